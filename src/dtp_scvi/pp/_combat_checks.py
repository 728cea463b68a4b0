"""What ComBat needs of its rows before anything is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import Scale, detect_scale

if TYPE_CHECKING:
    import pandas as pd

_FEWEST: Final = 2


def check_logarithms(values: np.ndarray, where: str) -> None:
    """Refuse counts: ComBat is about locations and scales."""
    report = detect_scale(values)
    if report.scale is Scale.COUNTS and report.confident:
        msg = problem(
            f"logarithms or log-ratios in {where}",
            report.sentence().rstrip("."),
            "Run dtp.pp.close_composition or scanpy.pp.log1p first.",
        )
        raise ValueError(msg)


def check_sizes(counts: pd.Series) -> None:
    """Refuse batches without a spread; ``counts`` is rows by batch."""
    small = counts[counts < _FEWEST]
    if len(small):
        msg = problem(
            f"at least {_FEWEST} rows in every batch",
            f"1 in {shorten(small.index)}",
            "Merge these batches or leave them out: one row has no spread.",
        )
        raise ValueError(msg)


def constant_within(values: np.ndarray, batch: np.ndarray) -> np.ndarray:
    """Return which genes are constant in at least one batch, (n_vars,)."""
    parts = [np.ptp(values[batch == name], axis=0) == 0 for name in sorted(set(batch))]
    return np.asarray(np.any(parts, axis=0))
