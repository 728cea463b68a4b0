"""Refuse counts where logarithms are expected."""

from __future__ import annotations

from typing import Any, Final

from dtp_scvi._validate import problem
from dtp_scvi.data._check_matrix import check_matrix
from dtp_scvi.data._scale import detect_scale
from dtp_scvi.data._scale_kinds import LINEARISE, Scale, scale_kind
from dtp_scvi.data._scale_rules import describe

# Intensities of L1000 end at 15; counts and TPM go far beyond.
_HIGHEST_LOG: Final = 30.0
_TODO: Final = "Normalise and take the logarithm first, or name a layer that holds logarithms."


def check_log_values(
    matrix: Any, *, name: str = "adata.X", todo: str = _TODO, seed: int | None = 0
) -> None:
    """
    Raise unless a matrix holds logarithms of expression, as far as can be told.

    Parameters
    ----------
    matrix
        Samples x genes in any storage.
    name
        What to call the matrix in messages.
    todo
        What the message says to do about linear values.
    seed
        Seed of the choice of rows that are looked at.

    Raises
    ------
    ValueError
        Missing or infinite values; counts or other linear values; logarithms of
        logarithms; z-scores.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi.data import check_log_values
    >>> check_log_values(np.random.default_rng(0).uniform(3, 14, (50, 100)))
    """
    check_matrix(matrix, name=name, negative=True)
    report = detect_scale(matrix, seed=seed)
    largest = float(report.evidence.get("max", 0.0))
    linear = report.scale in LINEARISE and scale_kind(report.scale) == "linear"
    linear = linear and report.scale is not Scale.LOG2
    if largest > _HIGHEST_LOG or (linear and report.confident):
        what = f"{describe(report.scale)}, " if linear else ""
        msg = problem(
            f"logarithms in {name}",
            f"{what}values up to {largest:,.4g}",
            todo,
        )
        raise ValueError(msg)
    if report.scale is Scale.ZSCORE and report.confident:
        msg = problem(
            f"logarithms in {name}",
            f"{describe(report.scale)} ({report.reason})",
            "Pass level-3 intensities, not level-4 or level-5 z-scores.",
        )
        raise ValueError(msg)
    if report.scale is Scale.DOUBLE_LOG and report.confident:
        msg = problem(
            f"logarithms in {name}", report.sentence().rstrip("."), "Take the logarithm once."
        )
        raise ValueError(msg)
