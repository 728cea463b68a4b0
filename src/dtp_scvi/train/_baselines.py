"""The comparators that stand beside every model, on the same genes and folds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from dtp_scvi._constants import (
    ADABOOST,
    ADABOOST_GRID,
    CTL,
    GRADIENT_BOOSTING,
    IFNG,
    LOGISTIC_REGRESSION,
    LSC17,
    MEAN_EXPRESSION,
    RANDOM_FOREST,
    RANDOM_FOREST_GRID,
    STUDY_ONLY,
    SVM_GRID,
    SVM_RBF,
    XGBOOST,
)
from dtp_scvi._optional import require
from dtp_scvi._validate import check_one_of
from dtp_scvi.train._baseline_fitted import FittedBaseline
from dtp_scvi.train._baseline_grid import (
    fit_adaboost_grid,
    fit_random_forest_grid,
    fit_svm_grid,
)
from dtp_scvi.train._baseline_linear import fit_logistic_regression
from dtp_scvi.train._baseline_more import fit_adaboost, fit_svm_rbf, fit_xgboost
from dtp_scvi.train._baseline_sample import Sample, make_sample
from dtp_scvi.train._baseline_scores import (
    LSC17_WEIGHTS,
    MEAN_SIGNATURES,
    fit_lsc17,
    fit_mean_expression,
    fit_mean_signature,
    lsc17_weights,
    mean_weights,
    too_few,
)
from dtp_scvi.train._baseline_study import fit_study_only
from dtp_scvi.train._baseline_trees import fit_gradient_boosting, fit_random_forest
from dtp_scvi.train._prepare import inner_folds

if TYPE_CHECKING:
    from collections.abc import Sequence

    import scipy.sparse as sp
    from numpy.typing import ArrayLike

_N_INNER = 3

BASELINES: Final = (
    LOGISTIC_REGRESSION,
    GRADIENT_BOOSTING,
    RANDOM_FOREST,
    MEAN_EXPRESSION,
    LSC17,
)
# Run when they are named.
GRID_BASELINES: Final = (SVM_GRID, RANDOM_FOREST_GRID, ADABOOST_GRID)
MORE_BASELINES: Final = (SVM_RBF, ADABOOST, XGBOOST, IFNG, CTL, *GRID_BASELINES)


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
    ImportError
        For ``xgboost`` without the package.
    """
    for name in names:
        check_one_of(name, (*BASELINES, *MORE_BASELINES), "baselines")
    names = tuple(dict.fromkeys(names))
    notes: dict[str, str] = {}
    if XGBOOST in names:
        require("xgboost", "xgboost")
    if LSC17 in names and len(lsc17_weights(genes)[1]) == len(LSC17_WEIGHTS):
        notes[LSC17] = "left out: none of its 17 genes is among the genes of the data"
    for name in MEAN_SIGNATURES:
        lack = too_few(name, mean_weights(name, genes)[1]) if name in names else None
        if lack:
            notes[name] = f"left out: among the genes of the data are {lack}"
    return tuple(name for name in names if name not in notes), notes


def fit_baseline(
    name: str,
    X: sp.csr_matrix,
    *,
    is_positive: ArrayLike,
    groups: np.ndarray | None,
    genes: Sequence[str] | np.ndarray,
    seed: int,
    resample: str | None = None,
) -> FittedBaseline:
    """
    Fit one comparator of the positive class against all others.

    Parameters
    ----------
    name
        One of ``BASELINES`` or ``MORE_BASELINES``, or ``study_only``.
    X
        log1p CP10k of the training rows, see :func:`log_rows`; for ``study_only`` what
        :func:`study_rows` makes.
    is_positive
        Whether each row is of the positive class, both there.
    groups
        Donor of each row, kept together in the inner folds, or ``None``.
    genes
        Name of each column.
    seed
        Seed of inner folds and of the fit.
    resample
        One of ``RESAMPLERS``: balance the classes of the training part of each inner fold and of
        the final fit. Log-odds of the training rows are those of real rows.

    Returns
    -------
    The fitted baseline, with log-odds of the training rows from three inner folds.

    Raises
    ------
    ValueError
        For an unknown name, one class, LSC17 without one of its genes, or a mean of fewer than
        half of its genes.
    """
    check_one_of(name, (*BASELINES, *MORE_BASELINES, STUDY_ONLY), "name")
    labels = np.asarray(is_positive, dtype=bool)
    inner = inner_folds(labels, groups, _N_INNER, seed)
    # A balanced study would say nothing of its own share.
    method = None if name == STUDY_ONLY else resample
    sample = make_sample(X, labels, inner.folds, method, seed)
    fitted = _FITS[name](sample, name, genes, seed)
    fitted.details["inner_folds"] = f"{inner.unit}, {len(inner.folds)}-fold"
    if method is not None:
        fitted.details["resample"] = method
    return fitted


_Fit = Callable[[Sample, str, "Sequence[str] | np.ndarray", int], FittedBaseline]
_FITS: Final[dict[str, _Fit]] = {
    LOGISTIC_REGRESSION: lambda sample, name, genes, seed: fit_logistic_regression(sample, name),
    GRADIENT_BOOSTING: lambda sample, name, genes, seed: fit_gradient_boosting(sample, name, seed),
    RANDOM_FOREST: lambda sample, name, genes, seed: fit_random_forest(sample, name, seed),
    MEAN_EXPRESSION: lambda sample, name, genes, seed: fit_mean_expression(sample, name),
    LSC17: lambda sample, name, genes, seed: fit_lsc17(sample, name, genes),
    SVM_RBF: lambda sample, name, genes, seed: fit_svm_rbf(sample, name),
    ADABOOST: lambda sample, name, genes, seed: fit_adaboost(sample, name, seed),
    SVM_GRID: lambda sample, name, genes, seed: fit_svm_grid(sample, name),
    RANDOM_FOREST_GRID: lambda sample, name, genes, seed: fit_random_forest_grid(
        sample, name, seed
    ),
    ADABOOST_GRID: lambda sample, name, genes, seed: fit_adaboost_grid(sample, name, seed),
    IFNG: lambda sample, name, genes, seed: fit_mean_signature(sample, name, genes),
    CTL: lambda sample, name, genes, seed: fit_mean_signature(sample, name, genes),
    XGBOOST: lambda sample, name, genes, seed: fit_xgboost(sample, name, seed),
    STUDY_ONLY: lambda sample, name, genes, seed: fit_study_only(sample, name),
}
