"""R² of each gene across rows, with an interval for its mean over genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi.stats._bootstrap import cluster_counts, interval
from dtp_scvi.stats._profiles import as_profiles

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def gene_r2(truth: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """
    R² of each gene across rows.

    Parameters
    ----------
    truth, predicted
        Profiles, shape (rows, genes).

    Returns
    -------
    Shape (genes,), at most 1, below 0 where the gene's mean is the better prediction; NaN where the
    gene is constant (scikit-learn has 0 or 1 there).

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.gene_r2([[1.0], [2.0], [3.0]], [[1.0], [2.0], [2.0]]).tolist()
    [0.5]
    """
    y, p = as_profiles(truth, predicted)
    parts = _sums(y, p, np.zeros(len(y), np.intp), 1)
    return _r2(*(part[0] for part in parts))


def gene_r2_interval(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    n_boot: int = 1000,
    seed: int | None = 0,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """
    Mean over genes of :func:`gene_r2`, with an interval that resamples whole drugs.

    Parameters
    ----------
    truth, predicted
        Profiles, shape (rows, genes).
    groups
        The drug (or cell line) of each row; ``None`` resamples rows.
    n_boot, seed, level
        Number of resamples, their seed, the interval's level.

    Returns
    -------
    Value, lower and upper end.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> truth = np.random.default_rng(0).normal(size=(40, 3))
    >>> value, low, high = stats.gene_r2_interval(truth, truth * 0.5, n_boot=50)
    >>> low < value < high
    True
    """
    y, p = as_profiles(truth, predicted)
    codes, draws = cluster_counts(groups, n_boot, seed=seed, n_rows=len(y))
    n = int(codes.max()) + 1
    parts = _sums(y - y.mean(axis=0), p - y.mean(axis=0), codes, n)
    value = float(np.nanmean(_r2(*(part.sum(axis=0) for part in parts))))
    weights = np.stack(list(draws))
    drawn = np.nanmean(_r2(*(weights @ part for part in parts)), axis=1)
    low, high = interval(drawn, level, n_clusters=n)
    return value, float(low), float(high)


_Sums = tuple["NDArray[np.float64]", ...]


def _sums(
    y: NDArray[np.float64], p: NDArray[np.float64], codes: NDArray[np.intp], n: int
) -> _Sums:
    """Rows, sum, sum of squares and squared error of each cluster: all that R² needs."""
    found = []
    for values in (np.ones_like(y), y, y**2, (y - p) ** 2):
        total = np.zeros((n, y.shape[1]))
        np.add.at(total, codes, values)
        found.append(total)
    return tuple(found)


def _r2(
    n: NDArray[np.float64],
    total: NDArray[np.float64],
    square: NDArray[np.float64],
    error: NDArray[np.float64],
) -> NDArray[np.float64]:
    spread = square - total**2 / n
    # A constant gene leaves rounding of its square behind.
    usable = spread > 1e-12 * np.maximum(square, 1e-300)
    return 1.0 - np.divide(error, spread, out=np.full_like(error, np.nan), where=usable)
