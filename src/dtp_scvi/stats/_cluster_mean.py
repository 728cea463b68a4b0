"""The mean of values that come in clusters, with an interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi.stats._bootstrap import cluster_counts, interval
from dtp_scvi.stats._check import as_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def cluster_mean(
    values: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    n_boot: int = 1000,
    seed: int | None = 0,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """
    Mean over rows, with a percentile interval that resamples whole clusters.

    Parameters
    ----------
    values
        One finite number a row, shape (rows,).
    groups
        The cluster (drug, cell line) of each row; ``None`` makes each row its own.
    n_boot, seed, level
        Number of resamples, their seed, the interval's level.

    Returns
    -------
    Mean, lower and upper end; both ends NaN where there is one cluster.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> value, low, high = stats.cluster_mean([0.0, 1.0, 2.0, 3.0], list("aabb"), n_boot=100)
    >>> value, low <= value <= high
    (1.5, True)
    """
    array = as_vector(np.asarray(values, np.float64), "values", len(np.asarray(values)))
    if not len(array):
        return np.nan, np.nan, np.nan
    if (groups is not None and len(set(np.asarray(groups).tolist())) < 2) or len(array) < 2:
        return float(array.mean()), np.nan, np.nan
    codes, draws = cluster_counts(groups, n_boot, seed=seed, n_rows=len(array))
    n = int(codes.max()) + 1
    total, size = np.bincount(codes, array, n), np.bincount(codes, minlength=n)
    weights = np.stack(list(draws))
    drawn = (weights @ total) / (weights @ size)
    low, high = interval(drawn, level, n_clusters=n)
    return float(array.mean()), float(low), float(high)
