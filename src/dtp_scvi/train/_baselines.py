"""The comparators that stand beside every model, on the same genes and folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dtp_scvi._constants import (
    GRADIENT_BOOSTING,
    LOGISTIC_REGRESSION,
    LSC17,
    MEAN_EXPRESSION,
    RANDOM_FOREST,
)
from dtp_scvi._validate import check_one_of
from dtp_scvi.train._baseline_linear import fit_logistic_regression
from dtp_scvi.train._baseline_scores import (
    LSC17_WEIGHTS,
    fit_lsc17,
    fit_mean_expression,
    lsc17_weights,
)
from dtp_scvi.train._baseline_trees import fit_gradient_boosting, fit_random_forest
from dtp_scvi.train._prepare import inner_folds

if TYPE_CHECKING:
    from collections.abc import Sequence

    import scipy.sparse as sp
    from numpy.typing import ArrayLike

    from dtp_scvi.train._baseline_fitted import FittedBaseline

_N_INNER = 3

BASELINES: Final = (
    LOGISTIC_REGRESSION,
    GRADIENT_BOOSTING,
    RANDOM_FOREST,
    MEAN_EXPRESSION,
    LSC17,
)


def usable_baselines(
    names: Sequence[str], genes: Sequence[str] | np.ndarray
) -> tuple[tuple[str, ...], dict[str, str]]:
    """
    Return the baselines that these genes allow, and why another one is left out.

    Parameters
    ----------
    names
        Baselines asked for.
    genes
        Gene names of the matrix.

    Raises
    ------
    ValueError
        For a name that is no baseline.
    """
    for name in names:
        check_one_of(name, BASELINES, "baselines")
    names = tuple(dict.fromkeys(names))
    if LSC17 in names and len(lsc17_weights(genes)[1]) == len(LSC17_WEIGHTS):
        note = "left out: none of its 17 genes is among the genes of the data"
        return tuple(name for name in names if name != LSC17), {LSC17: note}
    return names, {}


def fit_baseline(
    name: str,
    X: sp.csr_matrix,
    *,
    is_positive: ArrayLike,
    groups: np.ndarray | None,
    genes: Sequence[str] | np.ndarray,
    seed: int,
) -> FittedBaseline:
    """
    Fit one comparator of the positive class against all others.

    Parameters
    ----------
    name
        One of ``BASELINES``.
    X
        log1p CP10k of the training rows, see :func:`log_rows`.
    is_positive
        Whether each row is of the positive class, both there.
    groups
        Donor of each row, kept together in the inner folds, or ``None``.
    genes
        Name of each column.
    seed
        Seed of inner folds and of the fit.

    Returns
    -------
    The fitted baseline, with log-odds of the training rows from three inner folds.

    Raises
    ------
    ValueError
        For an unknown name, one class, or LSC17 without one of its genes.
    """
    check_one_of(name, BASELINES, "name")
    labels = np.asarray(is_positive, dtype=bool)
    inner = inner_folds(labels, groups, _N_INNER, seed)
    folds = inner.folds
    if name == LOGISTIC_REGRESSION:
        fitted = fit_logistic_regression(X, labels, folds, name)
    elif name == GRADIENT_BOOSTING:
        fitted = fit_gradient_boosting(X, labels, folds, name, seed)
    elif name == RANDOM_FOREST:
        fitted = fit_random_forest(X, labels, folds, name, seed)
    elif name == MEAN_EXPRESSION:
        fitted = fit_mean_expression(X, labels, folds, name)
    else:
        fitted = fit_lsc17(X, labels, folds, name, genes)
    fitted.details["inner_folds"] = f"{inner.unit}, {len(folds)}-fold"
    return fitted
