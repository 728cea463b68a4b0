"""Agreement of predicted and true profiles, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from dtp_scvi._validate import problem

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# A prediction that varies by less than this share of the truth is rounding, not a prediction.
_ROUNDING = 1e-5


def group_profiles(
    values: ArrayLike, groups: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.intp]]:
    """
    Average the rows of each group.

    Parameters
    ----------
    values
        Profiles, shape (rows, genes).
    groups
        The group of each row.

    Returns
    -------
    Mean profiles, shape (groups, genes); the groups in sorted order; the rows of each.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> means, groups, n = stats.group_profiles(
    ...     [[1.0, 2.0], [3.0, 4.0], [5.0, 5.0]], ["a", "a", "b"]
    ... )
    >>> means.tolist(), groups.tolist(), n.tolist()
    ([[2.0, 3.0], [5.0, 5.0]], ['a', 'b'], [2, 1])
    """
    array = np.asarray(values, np.float64)
    codes, names = pd.factorize(np.asarray(groups), sort=True)
    if len(codes) != len(array) or (codes < 0).any():
        msg = problem(
            f"a group for each of {len(array):,} rows",
            f"{len(codes):,}, {int((codes < 0).sum()):,} of them missing",
            "Drop rows without a group.",
        )
        raise ValueError(msg)
    sums = np.zeros((len(names), array.shape[1]))
    np.add.at(sums, codes, array)
    n = np.bincount(codes, minlength=len(names))
    return sums / n[:, None], np.asarray(names), n


def profile_r2(truth: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """
    R² of each row across genes: ``1 - Σ(y - p)² / Σ(y - mean(y))²``.

    On expression it mostly says that genes differ in their mean, which a copied control knows too.

    Parameters
    ----------
    truth, predicted
        Profiles, shape (rows, genes).

    Returns
    -------
    Shape (rows,), at most 1; NaN where the true profile is constant.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.profile_r2([[1.0, 2.0, 3.0]], [[1.0, 2.0, 2.0]]).tolist()
    [0.5]
    """
    y, p = as_profiles(truth, predicted)
    residual = ((y - p) ** 2).sum(axis=1)
    total = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return 1.0 - np.divide(residual, total, out=np.full(len(y), np.nan), where=total > 0)


def profile_correlation(
    truth: ArrayLike, predicted: ArrayLike, *, ranks: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """
    Correlation of each row across genes; a constant prediction has 0 and is marked.

    Parameters
    ----------
    truth, predicted
        Profiles, usually changes, shape (rows, genes).
    ranks
        Spearman's correlation in place of Pearson's.

    Returns
    -------
    The correlations, shape (rows,), NaN where the true profile is constant; and which predictions
    are constant: their deviation is below 1e-5 of the truth's, that is, rounding.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> values, constant = stats.profile_correlation(
    ...     [[1, 2, 3], [1, 2, 3]], [[2, 4, 6], [5, 5, 5]]
    ... )
    >>> values.round(6).tolist(), constant.tolist()
    ([1.0, 0.0], [False, True])
    """
    y, p = as_profiles(truth, predicted)
    flat = y.std(axis=1) == 0
    constant = p.std(axis=1) <= _ROUNDING * y.std(axis=1)
    if ranks:
        y, p = rankdata(y, axis=1), rankdata(p, axis=1)
    y, p = (part - part.mean(axis=1, keepdims=True) for part in (y, p))
    size = np.sqrt((y**2).sum(axis=1) * (p**2).sum(axis=1))
    found = np.divide((y * p).sum(axis=1), size, out=np.zeros(len(y)), where=~constant & ~flat)
    return np.where(flat, np.nan, np.clip(found, -1, 1)), constant & ~flat


def as_profiles(
    truth: ArrayLike, predicted: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two tables of one shape and of finite numbers as float64."""
    y, p = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if y.ndim != 2 or y.shape != p.shape:
        msg = problem(
            "`truth` and `predicted` of one shape, rows x genes",
            f"{y.shape} and {p.shape}",
            "Match rows by name first.",
        )
        raise ValueError(msg)
    bad = int((~np.isfinite(y)).sum() + (~np.isfinite(p)).sum())
    if bad:
        msg = problem("finite numbers", f"{bad:,} NaN or infinite", "Leave these rows out.")
        raise ValueError(msg)
    return y, p
