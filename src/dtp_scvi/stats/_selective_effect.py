"""How much stronger an effect is in one group of lines than in all other lineages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import t as student

from dtp_scvi._validate import check_positive_int, problem
from dtp_scvi.stats._bootstrap import cluster_counts, tails
from dtp_scvi.stats._check import as_codes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Genes whose resamples are held at a time.
_BLOCK: Final = 500


def lineage_means(
    values: NDArray[np.float64], codes: NDArray[np.intp], min_lines: int
) -> NDArray[np.float64]:
    """Return lineages x genes, NaN where a lineage has fewer than ``min_lines`` values."""
    member = (codes == np.arange(codes.max(initial=-1) + 1)[:, None]).astype(np.float64)
    known = ~np.isnan(values)
    counts = member @ known
    sums = member @ np.where(known, values, 0.0)
    return np.where(counts >= min_lines, sums / np.maximum(counts, 1), np.nan)


def selective_effect(
    inside: ArrayLike,
    others: ArrayLike,
    lineages: ArrayLike,
    *,
    min_lines: int = 3,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int | None = 0,
) -> pd.DataFrame:
    """
    Compare the mean effect in one group of lines with the mean of all other lineages.

    Lines of a lineage are alike, and collections hold many of some: each lineage counts once, by
    the mean of its lines. The test is Welch's t test of the group's lines against those means;
    the interval resamples the group's lines and, independently, whole lineages.

    Parameters
    ----------
    inside
        Effects in the group's lines, shape (lines, genes); NaN where not measured.
    others
        Effects in other lines, shape (other lines, genes).
    lineages
        The lineage of each of the other lines.
    min_lines
        Lines with a value that a lineage, and the group, has to have for a gene.
    n_boot
        Number of resamples; 0 leaves out the interval.
    level
        Coverage of the interval.
    seed
        Seed of the resamples.

    Returns
    -------
    One gene a row: ``mean``, ``median``, ``n`` (of the group), ``others`` (mean over lineages),
    ``others_sd`` (between lineages), ``n_others`` (lines of the lineages that count),
    ``n_lineages``, ``difference`` (group minus others), ``low``, ``high``, ``p`` (two-sided); NaN
    where the group has fewer than ``min_lines`` values or fewer than two lineages do. The interval
    is the expanded percentile interval for the smaller of the two numbers of units.

    Raises
    ------
    ValueError
        When tables don't have the same genes, or there are fewer than two lines or lineages.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> rng = np.random.default_rng(0)
    >>> inside, others = rng.normal(-1, 0.2, (10, 1)), rng.normal(0, 0.2, (12, 1))
    >>> table = stats.selective_effect(inside, others, np.repeat(list("abcd"), 3), n_boot=200)
    >>> bool(table["high"].iloc[0] < -0.7), bool(table["p"].iloc[0] < 1e-4)
    (True, True)
    """
    check_positive_int(min_lines, "min_lines")
    x, y = np.asarray(inside, dtype=np.float64), np.asarray(others, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        found = f"shapes {x.shape} and {y.shape}"
        msg = problem("two tables of lines x the same genes", found, "Align their columns.")
        raise ValueError(msg)
    codes = as_codes(lineages, len(y), "lineages")
    means = lineage_means(y, codes, min_lines)
    if len(x) < 2 or np.count_nonzero(~np.isnan(means).all(axis=1)) < 2:
        found = f"{len(x)} lines and {np.count_nonzero(~np.isnan(means).all(axis=1))} lineages"
        msg = problem(
            f"at least 2 lines in the group and 2 lineages of {min_lines} lines beside it",
            found,
            "Pass more lines, or lower `min_lines`.",
        )
        raise ValueError(msg)
    table = _welch(x, means, min_lines)
    sizes = np.bincount(codes)
    table.insert(5, "n_others", (~np.isnan(means) * sizes[:, None]).sum(axis=0))
    table["low"] = table["high"] = np.nan
    usable = np.flatnonzero(table["difference"].notna())
    if n_boot and len(usable):
        ends = _resampled(x[:, usable], means[:, usable], n_boot, level, seed)
        table.loc[usable, ["low", "high"]] = np.column_stack(ends)
    return table[[*(name for name in table if name != "p"), "p"]]


def _welch(x: NDArray[np.float64], means: NDArray[np.float64], min_lines: int) -> pd.DataFrame:
    n = np.count_nonzero(~np.isnan(x), axis=0)
    k = np.count_nonzero(~np.isnan(means), axis=0)
    usable = (n >= max(min_lines, 2)) & (k >= 2)
    mean, spread = _moments(x)
    others, others_sd = _moments(means)
    median = np.full(x.shape[1], np.nan)
    median[n > 0] = np.nanmedian(x[:, n > 0], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = spread**2 / n, others_sd**2 / k
        freedom = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (k - 1))
        p = 2 * student.sf(np.abs(mean - others) / np.sqrt(a + b), freedom)
    return pd.DataFrame(
        {
            "mean": mean,
            "median": median,
            "n": n,
            "others": others,
            "others_sd": others_sd,
            "n_lineages": k,
            "difference": np.where(usable, mean - others, np.nan),
            "p": np.where(usable, p, np.nan),
        }
    )


def _moments(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation by column, NaN where there are too few values."""
    known = ~np.isnan(x)
    n = known.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, x, 0.0).sum(axis=0) / n
        gaps = np.where(known, x - mean, 0.0)
        return mean, np.sqrt((gaps**2).sum(axis=0) / np.where(n > 1, n - 1, np.nan))


def _resampled(
    x: NDArray[np.float64],
    means: NDArray[np.float64],
    n_boot: int,
    level: float,
    seed: int | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Interval of the difference; the same resamples serve all genes."""
    means = means[~np.isnan(means).all(axis=1)]
    shares = tails(level, min(len(x), len(means)))
    seeds = np.random.SeedSequence(seed).generate_state(2)
    drawn = [
        np.array(list(cluster_counts(None, n_boot, seed=int(s), n_rows=len(part))[1]))
        for s, part in zip(seeds, (x, means), strict=True)
    ]
    low, high = np.empty(x.shape[1]), np.empty(x.shape[1])
    for start in range(0, x.shape[1], _BLOCK):
        at = slice(start, start + _BLOCK)
        draws = _weighted(drawn[0], x[:, at]) - _weighted(drawn[1], means[:, at])
        # Skipping NaN takes many times longer, and most genes have none.
        quantile = np.nanquantile if np.isnan(draws).any() else np.quantile
        low[at], high[at] = quantile(draws, shares, axis=0)
    return low, high


def _weighted(weights: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (weights @ np.where(known, x, 0.0)) / (weights @ known)
