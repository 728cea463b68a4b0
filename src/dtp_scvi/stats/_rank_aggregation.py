"""Combine several rankings of one list: quantiles, their geometric mean, robust aggregation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import beta, rankdata

from dtp_scvi._validate import problem

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def within_list_quantiles(values: ArrayLike) -> NDArray[np.float64]:
    """
    Place each value within its list, from just above 0 (lowest) to just below 1 (highest).

    Parameters
    ----------
    values
        Numbers, shape (..., n): lists along the last axis; NaN marks what is not known.

    Returns
    -------
    ``(rank - 0.5) / n`` among the known values of each list, ties at their mean rank; NaN stays.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.within_list_quantiles([3.0, float("nan"), 1.0]).tolist()
    [0.75, nan, 0.25]
    """
    array = np.asarray(values, dtype=np.float64)
    unknown = np.isnan(array)
    n_unknown = unknown.sum(axis=-1, keepdims=True)
    # Unknown values take the lowest ranks, which are then taken off the others.
    ranks = rankdata(np.where(unknown, -np.inf, array), axis=-1) - n_unknown
    known = np.maximum(array.shape[-1] - n_unknown, 1) if array.ndim else 1
    return np.where(unknown, np.nan, (ranks - 0.5) / known)


def weighted_geometric_mean(values: ArrayLike, weights: ArrayLike) -> NDArray[np.float64]:
    """
    Weighted geometric mean over the last axis.

    Parameters
    ----------
    values
        Numbers above 0, shape (..., k).
    weights
        ``k`` weights, none negative, one above 0. A weight of 0 leaves its column out.

    Returns
    -------
    ``exp(sum(w log x) / sum(w))``, shape (...); NaN where a value that counts is NaN.

    Raises
    ------
    ValueError
        When a value is 0 or negative, or the weights don't fit.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.weighted_geometric_mean([[1.0, 4.0], [1.0, 16.0]], [1, 1]).round(6).tolist()
    [2.0, 4.0]
    """
    array = np.asarray(values, dtype=np.float64)
    shares = np.asarray(weights, dtype=np.float64)
    if shares.shape != array.shape[-1:] or not (shares >= 0).all() or not shares.sum() > 0:
        msg = problem(
            f"{array.shape[-1]} weights, none negative and one above 0",
            f"{shares.tolist()}",
            "Mend `weights`.",
        )
        raise ValueError(msg)
    used = array[..., shares > 0]
    if np.nanmin(used, initial=np.inf) <= 0:
        msg = problem("values above 0", f"{np.nanmin(used):g}", "Pass quantiles or ratios.")
        raise ValueError(msg)
    kept = shares[shares > 0]
    return np.exp((np.log(used) * kept).sum(axis=-1) / kept.sum())


def robust_rank_aggregation(
    ranks: ArrayLike,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Ask whether an item is near the top of more lists than chance would have it.

    Parameters
    ----------
    ranks
        Normalised ranks, rank / length of the list, shape (items, lists), in (0, 1]; small is
        good. NaN where a list doesn't know the item: the item is judged by its other lists.

    Returns
    -------
    rho
        The smallest p, over k, of the k-th smallest normalised rank, as a beta order statistic of
        as many uniform numbers as the item has ranks; NaN without any.
    p
        ``min(1, rho * number of ranks)``: Bonferroni's bound, as in Kolde et al. 2012
        (doi:10.1093/bioinformatics/btr709). It holds for lists that are independent under the
        null; it is not adjusted for the number of items.

    Raises
    ------
    ValueError
        When the ranks are not a table, or lie outside (0, 1].

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> rho, p = stats.robust_rank_aggregation([[0.01, 0.02], [0.5, 0.9]])
    >>> rho.round(4).tolist(), p.round(4).tolist()
    ([0.0004, 0.75], [0.0008, 1.0])
    """
    table = np.asarray(ranks, dtype=np.float64)
    known = np.isfinite(table)
    if table.ndim != 2 or not ((table[known] > 0) & (table[known] <= 1)).all():
        found = f"shape {table.shape}"
        if table.ndim == 2:
            found = f"{np.nanmin(table):g} to {np.nanmax(table):g}"
        msg = problem(
            "normalised ranks in (0, 1], items x lists", found, "Divide ranks by their number."
        )
        raise ValueError(msg)
    n = known.sum(axis=1)
    ordered = np.sort(table, axis=1)  # NaN go last
    k = np.arange(1, table.shape[1] + 1)
    after = n[:, None] - k + 1
    tails = np.where(after > 0, beta.cdf(ordered, k, np.maximum(after, 1)), np.inf)
    rho = np.where(n > 0, tails.min(axis=1, initial=np.inf), np.nan)
    return rho, np.minimum(1.0, rho * n)
