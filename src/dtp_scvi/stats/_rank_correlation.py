"""Spearman's correlation, plain and partial, with a cluster-bootstrap interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata, t

from dtp_scvi._validate import check_range, problem
from dtp_scvi.stats._bca import bca_interval, resampling_weights
from dtp_scvi.stats._check import as_vector
from dtp_scvi.stats._weighted_ranks import RankCorrelator

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_FEWEST = 4


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """
    A rank correlation and what is known about it.

    Attributes
    ----------
    rho
        In [-1, 1]; NaN where a column is constant, or explained by the covariates.
    low, high
        Ends of the interval.
    p
        Two-sided, of no correlation.
    n
        Rows.
    """

    rho: float
    low: float
    high: float
    p: float
    n: int


def rank_correlation(
    x: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    n_boot: int = 1000,
    seed: int | None = 0,
    level: float = 0.95,
) -> RankCorrelation:
    """
    Spearman's correlation with a BCa interval that resamples whole patients.

    Parameters
    ----------
    x, y
        One number per row, finite.
    groups
        Patient of each row; ``None`` where each row is a patient of its own.
    n_boot
        Number of resamples; their ranks are taken anew.
    seed
        Seed of the resamples.
    level
        Coverage of the interval (Efron 1987, doi:10.1080/01621459.1987.10478410).

    Returns
    -------
    Correlation, interval, p and n. The p is that of Student's t with n - 2 degrees of freedom;
    where patients have several rows, that of the Fisher-transformed correlation over the standard
    deviation of its resamples.

    Raises
    ------
    ValueError
        Unequal lengths, NaN, fewer than four rows or two patients.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.rank_correlation([1, 2, 3, 4, 5], [1, 2, 4, 3, 5]).rho.__round__(6)
    0.9
    """
    return partial_rank_correlation(x, y, (), groups, n_boot=n_boot, seed=seed, level=level)


def partial_rank_correlation(
    x: ArrayLike,
    y: ArrayLike,
    covariates: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    n_boot: int = 1000,
    seed: int | None = 0,
    level: float = 0.95,
) -> RankCorrelation:
    """
    Spearman's correlation of what the ranks of covariates leave of two columns.

    Parameters
    ----------
    x, y
        One number per row, finite.
    covariates
        One column or several, shape (rows,) or (rows, covariates); a category as 0/1 columns.
    groups, n_boot, seed, level
        See :func:`rank_correlation`.

    Returns
    -------
    As :func:`rank_correlation`, with as many degrees of freedom fewer as there are independent
    covariates.

    Raises
    ------
    ValueError
        Unequal lengths, NaN, too few rows.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> age = [30, 40, 50, 60, 70, 80]
    >>> x, y = [1, 3, 2, 5, 4, 6], [2, 1, 3, 4, 6, 5]
    >>> found = stats.partial_rank_correlation(x, y, age)
    >>> found.rho < stats.rank_correlation(x, y).rho
    True
    """
    n = len(np.asarray(x))
    first, second = as_vector(x, "x", n), as_vector(y, "y", n)
    others = as_columns(covariates, n)
    lost = rank_of(others)
    if n < _FEWEST + lost:
        msg = problem(f"at least {_FEWEST + lost} rows", f"{n}", "Correlate more rows.")
        raise ValueError(msg)
    correlator = RankCorrelator(first, second, others)
    drawn, without = resampling_weights(groups, n, n_boot, seed)
    rho, draws = correlator.value(), correlator.values(drawn)
    low, high = bca_interval(rho, draws, correlator.values(without), level)
    n_clusters = n if groups is None else len(np.unique(np.asarray(groups)))
    p = t_test(rho, n - 2 - lost) if n_clusters == n else clustered_test(rho, draws, n_clusters)
    return RankCorrelation(rho, low, high, p, n)


def as_columns(covariates: ArrayLike, n: int) -> list[NDArray[np.float64]]:
    """Split covariates into columns of ``n`` numbers."""
    array = np.asarray(covariates, dtype=np.float64)
    if array.size == 0:
        return []
    columns = [array] if array.ndim == 1 else list(array.T)
    return [as_vector(column, "covariates", n) for column in columns]


def rank_of(columns: list[NDArray[np.float64]]) -> int:
    """How many independent columns the ranks of these are."""
    if not columns:
        return 0
    ranks = np.stack([rankdata(column) for column in columns])
    return int(np.linalg.matrix_rank(ranks - ranks.mean(axis=1, keepdims=True)))


def t_test(rho: float, freedom: int) -> float:
    """Two-sided p of a correlation by Student's t."""
    if np.isnan(rho) or freedom < 1:
        return float("nan")
    gap = max(0.0, 1 - rho**2)
    return float(2 * t.sf(abs(rho) * np.sqrt(freedom / gap), freedom)) if gap > 0 else 0.0


def clustered_test(rho: float, draws: NDArray[np.float64], n_clusters: int) -> float:
    """Two-sided p by t of the Fisher-transformed correlation over the spread of its resamples."""
    spread = float(np.nanstd(fisher(draws))) if np.isfinite(draws).any() else 0.0
    if np.isnan(rho) or spread == 0:
        return float("nan")
    return float(2 * t.sf(abs(float(fisher(np.array(rho)))) / spread, n_clusters - 1))


def fisher(rho: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fisher's transform, finite at the ends."""
    return np.arctanh(np.clip(rho, -0.999999, 0.999999))


def fisher_interval(
    rho: float, draws: NDArray[np.float64], level: float, *, n_clusters: int
) -> tuple[float, float]:
    """Interval by t on Fisher's scale with the standard deviation of the resamples."""
    check_range(level, "level", 0.0, 1.0, inclusive=False)
    kept = draws[~np.isnan(draws)]
    if len(kept) == 0 or np.isnan(rho):
        return float("nan"), float("nan")
    error = float(np.std(fisher(kept))) * np.sqrt(n_clusters / (n_clusters - 1))
    middle, reach = float(fisher(np.array(rho))), t.ppf((1 + level) / 2, n_clusters - 1) * error
    return float(np.tanh(middle - reach)), float(np.tanh(middle + reach))
