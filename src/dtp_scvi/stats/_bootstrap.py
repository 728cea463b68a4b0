"""Intervals from resampling whole clusters (donors), not rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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
    return _draw(codes, n_clusters, n_boot, np.random.default_rng(seed))


def _draw(
    codes: NDArray[np.intp], n_clusters: int, n_boot: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    for _ in range(n_boot):
        drawn = np.bincount(rng.integers(n_clusters, size=n_clusters), minlength=n_clusters)
        yield drawn.astype(np.float64)[codes]


def interval(values: ArrayLike, level: float = 0.95, *, axis: int = 0) -> tuple[Any, Any]:
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
    check_range(level, "level", 0.0, 1.0, inclusive=False)
    array = np.moveaxis(np.asarray(values, dtype=np.float64), axis, 0)
    ends = np.full((2, *array.shape[1:]), np.nan)
    usable = ~np.isnan(array).all(axis=0)
    if array.shape[0]:
        tails = [(1 - level) / 2, (1 + level) / 2]
        ends[:, usable] = np.nanquantile(array[:, usable], tails, axis=0)
    return ends[0], ends[1]
