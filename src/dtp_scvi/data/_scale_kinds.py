"""The scales an expression matrix may be on, and the way back to the linear one."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final, Literal

import numpy as np

from dtp_scvi._validate import problem

ScaleKind = Literal["linear", "log1p", "log2p1", "as_is"]


class Scale(StrEnum):
    """Scale of an expression matrix, by name."""

    COUNTS = "counts"
    """Whole non-negative numbers."""
    CORRECTED_COUNTS = "corrected_counts"
    """Linear, not whole: ambient-corrected counts, RSEM or Salmon estimates, FPKM."""
    CP10K = "cp10k"
    """Linear, rows sum to 10,000."""
    CPM = "cpm"
    """Linear, rows sum to a million (TPM as well)."""
    NORMALIZED = "normalized"
    """Linear, rows sum to another constant, as by ``scanpy.pp.normalize_total`` by default."""
    LOG1P_CP10K = "log1p_cp10k"
    """log(1 + x), x summing to 10,000."""
    LOG1P_CPM = "log1p_cpm"
    """log(1 + x), x summing to a million."""
    LOG1P_NORMALIZED = "log1p_normalized"
    """log(1 + x), x counts or size-factor-normalised, summing to anything else."""
    LOG2_TPM = "log2_tpm"
    """log2(1 + x), x summing to a million."""
    LOG2_SIZEFACTOR = "log2_sizefactor"
    """log2(1 + x), x counts or size-factor-normalised, summing to anything else."""
    LOG2 = "log2"
    """log2(x) without a pseudocount (RPKM, TMM): negative where x < 1, and 0 stands for 1."""
    AS_IS = "as_is"
    """Values that are used as they are, of either sign (coordinates of an embedding, z-scores).
    Never detected, only declared, and only for models that take such values."""
    ZSCORE = "zscore"
    """Centred per gene: refused."""
    DOUBLE_LOG = "double_log"
    """log1p taken twice: refused."""
    UNKNOWN = "unknown"
    """None of these: refused."""


LINEARISE: Final[dict[Scale, ScaleKind]] = {
    Scale.COUNTS: "linear",
    Scale.CORRECTED_COUNTS: "linear",
    Scale.CP10K: "linear",
    Scale.CPM: "linear",
    Scale.NORMALIZED: "linear",
    Scale.LOG1P_CP10K: "log1p",
    Scale.LOG1P_CPM: "log1p",
    Scale.LOG1P_NORMALIZED: "log1p",
    Scale.LOG2_TPM: "log2p1",
    Scale.LOG2_SIZEFACTOR: "log2p1",
    # A value that is not stored stands for 1, so rows are made linear when they are read.
    Scale.LOG2: "linear",
}

# Scales on which a negative value is fit.
SIGNED: Final = frozenset({Scale.LOG2, Scale.AS_IS})


def scale_kind(scale: Scale | str) -> ScaleKind:
    """
    Return the transform of rows once read.

    It is ``"linear"``, ``"log1p"``, ``"log2p1"`` or ``"as_is"``. Rows on the scale ``"log2"`` are linear then: :func:`iter_blocks` takes their logarithm off.
    Values that are used as they are have no transform.

    Parameters
    ----------
    scale
        A scale, by name or as a :class:`Scale`.

    Raises
    ------
    ValueError
        For a scale from which there is no way back (``zscore``, ``double_log``, ``unknown``) and
        for a name that is no scale.

    Examples
    --------
    >>> from dtp_scvi.data import scale_kind
    >>> scale_kind("log2_tpm")
    'log2p1'
    """
    if scale == Scale.AS_IS:
        return "as_is"
    if scale not in LINEARISE:
        usable = ", ".join(repr(str(name)) for name in LINEARISE)
        msg = problem(f"`scale` to be one of {usable}", repr(str(scale)), "Pick one of these.")
        raise ValueError(msg)
    return LINEARISE[Scale(scale)]


def linearise(values: np.ndarray, scale: Scale | str) -> np.ndarray:
    """
    Take the logarithm off: ``x``, ``expm1(x)``, ``2**x - 1`` or ``2**x``.

    Values that are used as they are stay so.

    Parameters
    ----------
    values
        Expression values of any shape on ``scale``.
    scale
        A scale that can be undone; see :class:`Scale`.

    Returns
    -------
    Values on the linear scale; the input itself where it is linear already.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi.data import linearise
    >>> linearise(np.array([0.0, 1.0, 2.0]), "log2_tpm").tolist()
    [0.0, 1.0, 3.0]
    """
    kind = scale_kind(scale)
    if scale == Scale.LOG2:
        return np.exp2(values)
    if kind in ("linear", "as_is"):
        return values
    # expm1 keeps the digits of small values, which 2**x - 1 would lose.
    return np.expm1(values if kind == "log1p" else values * math.log(2.0))


def linearise_block(values: np.ndarray, scale: Scale | str) -> np.ndarray:
    """
    Take the logarithm off what :func:`iter_blocks` has read.

    A logarithm without a pseudocount is undone there, as its zeros are not stored zeros: undoing it
    again would give 2 to the power of the expression.

    Parameters
    ----------
    values
        Values of a block.
    scale
        Scale of the matrix that the block was read from.

    Returns
    -------
    Values on the linear scale.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi.data import linearise_block
    >>> linearise_block(np.array([0.5, 8.0]), "log2").tolist()
    [0.5, 8.0]
    """
    return values if scale_kind(scale) == "linear" else linearise(values, scale)
