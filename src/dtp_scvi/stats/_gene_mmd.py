"""Distance of two samples of profiles, gene by gene."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._validate import check_range, problem

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Beyond so many deviations of the kernel's spectrum nothing is left above 1e-14.
_REACH = 8.0


def gene_mmd(truth: ArrayLike, predicted: ArrayLike, *, gamma: float = 1.0) -> NDArray[np.float64]:
    """
    Squared maximum mean discrepancy of each gene, with the kernel ``exp(-gamma (a - b)²)``.

    All pairs count, a row with itself too (the biased estimate). The double sum over pairs is
    taken as an integral over frequencies of two characteristic functions, which is exact to
    rounding and linear in the number of rows.

    Parameters
    ----------
    truth, predicted
        Profiles, shape (rows, genes); the numbers of rows may differ.
    gamma
        Inverse squared width of the kernel.

    Returns
    -------
    Shape (genes,), from 0 (the same values) to 2.

    Raises
    ------
    ValueError
        Different numbers of genes, no rows, or NaN.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.gene_mmd([[0.0], [1.0]], [[1.0], [0.0]]).round(6).tolist()
    [0.0]
    >>> stats.gene_mmd([[0.0]], [[1.0]]).round(6).tolist()  # 2 - 2 exp(-1)
    [1.264241]
    """
    check_range(gamma, "gamma", 0.0, inclusive=False)
    y, p = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if y.ndim != 2 or p.ndim != 2 or y.shape[1] != p.shape[1] or not (len(y) and len(p)):
        msg = problem(
            "two tables with the same genes", f"{y.shape} and {p.shape}", "Check their columns."
        )
        raise ValueError(msg)
    low, high = np.minimum(y.min(axis=0), p.min(axis=0)), np.maximum(y.max(axis=0), p.max(axis=0))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        msg = problem("finite numbers", "NaN or infinite ones", "Leave these rows out.")
        raise ValueError(msg)
    # The spectrum of the kernel is normal; a grid of frequencies repeats it after 2 pi / step, which
    # has to lie so far beyond the data that nothing reaches across.
    deviation = math.sqrt(2 * gamma)
    period = float((high - low).max()) + _REACH / deviation * math.sqrt(2)
    step = 2 * math.pi / period
    n = math.ceil(_REACH * deviation / step)
    frequency = step * np.arange(n + 1)
    weight = (
        step * np.exp(-((frequency / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))
    )
    weight[1:] *= 2
    total = np.zeros(y.shape[1])
    y, p = y - low, p - low
    for w, share in zip(frequency[1:], weight[1:], strict=True):
        gap = [np.mean(f(w * y), axis=0) - np.mean(f(w * p), axis=0) for f in (np.cos, np.sin)]
        total += share * (gap[0] ** 2 + gap[1] ** 2)
    return total
