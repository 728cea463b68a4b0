"""Bias-corrected and accelerated bootstrap interval from draws that were made elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import norm

from dtp_scvi._validate import check_range
from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights
from dtp_scvi.stats._check import as_codes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_MOST_LEFT_OUT: Final = 1000


def resampling_weights(
    groups: ArrayLike | None, n: int, n_boot: int, seed: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Row weights of ``n_boot`` cluster resamples, and of the rows without each cluster.

    Of many clusters several are left out at a time: the skewness that the acceleration measures
    comes out the same, for groups of m are m times fewer and their means as much less skewed.

    Returns
    -------
    Shapes (n_boot, n) and (clusters, n), at most 1,000 of the latter.
    """
    codes = as_codes(groups, n)
    drawn = np.array(list(cluster_bootstrap_weights(groups, n_boot, seed=seed, n_rows=n)))
    parts = codes % _MOST_LEFT_OUT
    return drawn, (np.arange(parts.max() + 1)[:, None] != parts).astype(np.float64)


def bca_interval(
    value: float, draws: NDArray[np.float64], left_out: NDArray[np.float64], level: float
) -> tuple[float, float]:
    """
    Interval by Efron (1987, doi:10.1080/01621459.1987.10478410) around ``value``.

    Parameters
    ----------
    value
        The statistic of all rows.
    draws
        The statistic of the resamples; NaN where it does not exist.
    left_out
        The statistic without each cluster, for the acceleration.
    level
        Coverage, in (0, 1).

    Returns
    -------
    Lower and upper end; NaN without a draw. Where ``value`` lies outside of all draws, its share
    is taken for half a draw, as the correction would be infinite.
    """
    check_range(level, "level", 0.0, 1.0, inclusive=False)
    draws, left_out = draws[~np.isnan(draws)], left_out[~np.isnan(left_out)]
    if len(draws) == 0 or np.isnan(value):
        return float("nan"), float("nan")
    share = (np.count_nonzero(draws < value) + np.count_nonzero(draws <= value)) / 2 / len(draws)
    bias = float(norm.ppf(np.clip(share, 0.5 / len(draws), 1 - 0.5 / len(draws))))
    gaps = left_out.mean() - left_out if len(left_out) else np.zeros(1)
    squares = float((gaps**2).sum())
    bent = float((gaps**3).sum()) / (6 * squares**1.5) if squares > 0 else 0.0
    ends = bias + norm.ppf([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(draws, norm.cdf(bias + ends / (1 - bent * ends)))
    return float(low), float(high)
