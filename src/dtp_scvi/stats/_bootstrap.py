"""Intervals from resampling whole clusters (donors), not rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm, t

from dtp_scvi._validate import check_positive_int, check_range, problem
from dtp_scvi.stats._check import as_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray


def cluster_bootstrap_weights(
    groups: ArrayLike | None, n_boot: int, *, seed: int | None = 0, n_rows: int | None = None
) -> Iterator[NDArray[np.float64]]:
    """
    Yield row weights of resamples that draw whole clusters with replacement.

    Parameters
    ----------
    groups
        The cluster (donor) of each row; ``None`` resamples single rows.
    n_boot
        Number of resamples.
    seed
        Seed of the draws.
    n_rows
        Number of rows; needed where ``groups`` is ``None``.

    Yields
    ------
    How often each row was drawn, shape (rows,); all rows of a cluster share one number.

    Raises
    ------
    ValueError
        Fewer than two clusters: their variation can't be seen. Neither groups nor ``n_rows``.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> draws = stats.cluster_bootstrap_weights(["a", "a", "b", "c"], 2, seed=0)
    >>> [weights[0] == weights[1] for weights in draws]
    [np.True_, np.True_]
    """
    codes, counts = cluster_counts(groups, n_boot, seed=seed, n_rows=n_rows)
    return (drawn[codes] for drawn in counts)


def cluster_counts(
    groups: ArrayLike | None, n_boot: int, *, seed: int | None = 0, n_rows: int | None = None
) -> tuple[NDArray[np.intp], Iterator[NDArray[np.float64]]]:
    """Return the cluster of each row, and how often each cluster is drawn per resample."""
    check_positive_int(n_boot, "n_boot")
    if groups is None and n_rows is None:
        msg = problem("`groups` or `n_rows`", "neither", "Pass one of them.")
        raise ValueError(msg)
    n = len(np.asarray(groups)) if n_rows is None else n_rows
    codes = as_codes(groups, n)
    n_clusters = int(codes.max(initial=-1)) + 1
    if n_clusters < 2:
        todo = "Pass `groups=None` to resample rows, and call the interval optimistic."
        msg = problem("at least 2 clusters to resample", f"{n_clusters}", todo)
        raise ValueError(msg)
    return codes, _draw(n_clusters, n_boot, np.random.default_rng(seed))


def _draw(n_clusters: int, n_boot: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    for _ in range(n_boot):
        drawn = np.bincount(rng.integers(n_clusters, size=n_clusters), minlength=n_clusters)
        yield drawn.astype(np.float64)


def tails(level: float, n_clusters: float | None = None) -> tuple[float, float]:
    """
    Shares of the resamples below and above which the interval ends.

    With ``n_clusters`` they lie further out, where a t interval of the inflated standard error
    would end if the resamples were normal: the expanded percentile interval of Hesterberg (2015,
    doi:10.1080/00031305.2015.1089789). The plain one is too short with few clusters.
    """
    check_range(level, "level", 0.0, 1.0, inclusive=False)
    if n_clusters is None:
        return (1 - level) / 2, (1 + level) / 2
    stretch = math.sqrt(n_clusters / (n_clusters - 1))
    below = float(norm.cdf(-stretch * t.ppf((1 + level) / 2, n_clusters - 1)))
    return below, 1 - below


def interval(
    values: ArrayLike, level: float = 0.95, *, axis: int = 0, n_clusters: int | None = None
) -> tuple[Any, Any]:
    """
    Percentile interval of bootstrap values, over those that are not NaN.

    Parameters
    ----------
    values
        Bootstrap values along ``axis``; NaN marks a resample in which none could be computed.
    level
        Share of the values inside, in (0, 1).
    axis
        The axis of the resamples.
    n_clusters
        Number of clusters that were resampled: widens the interval as a t distribution does, for
        the percentile interval is too short with few of them. ``None`` leaves it plain.

    Returns
    -------
    Lower and upper end, without ``axis``; NaN where no value is left.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> low, high = stats.interval(range(101), 0.9)
    >>> round(float(low), 6), round(float(high), 6)
    (5.0, 95.0)
    """
    shares = tails(level, n_clusters)
    array = np.moveaxis(np.asarray(values, dtype=np.float64), axis, 0)
    ends = np.full((2, *array.shape[1:]), np.nan)
    usable = ~np.isnan(array).all(axis=0)
    if array.shape[0]:
        ends[:, usable] = np.nanquantile(array[:, usable], shares, axis=0)
    return ends[0], ends[1]


def logit_interval(
    value: float,
    draws: NDArray[np.float64],
    left_out: NDArray[np.float64],
    level: float,
    *,
    n_clusters: float,
    eps: float,
) -> tuple[float, float]:
    """
    Interval by t of a share such as the AUROC, on the logit scale.

    Near 1 percentiles are too short at the low end: resamples repeat clusters, whose own pairs
    are ranked best. The standard error is the larger one of the resamples and of the jackknife
    (``left_out``: the share without each cluster; may be empty), which errs on the wide side
    (Efron & Stein 1981, doi:10.1214/aos/1176345462). ``n_clusters`` is the effective number:
    clusters of unequal size count for fewer. ``eps``, half of the smallest step of the share,
    keeps logits finite.
    """
    check_range(level, "level", 0.0, 1.0, inclusive=False)
    middle, logits, without = (
        logit(np.clip(part, eps, 1 - eps)) for part in (value, draws, left_out)
    )
    error = float(np.std(logits)) * math.sqrt(n_clusters / (n_clusters - 1))
    if len(without) > 1:
        error = max(error, float(np.std(without)) * math.sqrt(len(without) - 1))
    reach = float(t.ppf((1 + level) / 2, n_clusters - 1)) * error
    low, high = expit([middle - reach, middle + reach])
    return min(float(low), value), max(float(high), value)
