"""Comparators that are run when named: a kernel machine, AdaBoost and XGBoost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.ensemble import AdaBoostClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from dtp_scvi._optional import require
from dtp_scvi.train._baseline_fitted import FittedBaseline
from dtp_scvi.train._baseline_trees import dense_if_cheaper

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dtp_scvi.train._baseline_sample import Sample

ADABOOST_ROUNDS: Final = 50
_ADABOOST_DEPTH = 4


def fit_svm_rbf(sample: Sample, name: str) -> FittedBaseline:
    """
    Fit a support vector machine with a Gaussian kernel, C=1, gamma="scale".

    Genes are divided by their standard deviation in the rows that are fitted; centring leaves
    such a kernel as it is, so sparse rows stay sparse. What stands for log-odds is the distance
    from the margin: only its order means something, until it is calibrated.

    Parameters
    ----------
    sample
        Training rows and inner folds.
    name
        Name of the baseline.
    """

    def fitted(rows: Any, labels: NDArray[np.bool_]) -> Callable[[Any], Any]:
        scaler = StandardScaler(with_mean=False)
        # Without a seed it draws one from the global state, and then makes no use of it.
        model = make_pipeline(scaler, SVC(C=1.0, kernel="rbf", gamma="scale", random_state=0))
        return model.fit(rows, labels).decision_function

    return _fit(sample, name, fitted, {"C": 1.0, "gamma": "scale"})


def fit_adaboost(sample: Sample, name: str, seed: int) -> FittedBaseline:
    """
    Fit AdaBoost: 50 rounds of trees of depth 4 on all genes.

    What stands for log-odds is the weighted vote in [-1, 1]; only its order means something,
    until it is calibrated.

    Parameters
    ----------
    sample
        Training rows and inner folds.
    name
        Name of the baseline.
    seed
        Seed of the trees.
    """

    def fitted(rows: Any, labels: NDArray[np.bool_]) -> Callable[[Any], Any]:
        tree = DecisionTreeClassifier(max_depth=_ADABOOST_DEPTH)
        model = AdaBoostClassifier(tree, n_estimators=ADABOOST_ROUNDS, random_state=seed)
        return model.fit(rows, labels).decision_function

    details = {"n_rounds": ADABOOST_ROUNDS, "max_depth": _ADABOOST_DEPTH}
    return _fit(sample, name, fitted, details)


def fit_xgboost(sample: Sample, name: str, seed: int) -> FittedBaseline:
    """
    Fit XGBoost with its default settings on all genes.

    Rows are made dense, as XGBoost takes what a sparse row leaves out for missing, not for zero.

    Parameters
    ----------
    sample
        Training rows and inner folds.
    name
        Name of the baseline.
    seed
        Seed of the trees.
    """
    package = require("xgboost", "xgboost")

    def fitted(rows: Any, labels: NDArray[np.bool_]) -> Callable[[Any], Any]:
        model = package.XGBClassifier(n_jobs=1, random_state=seed, verbosity=0)
        model.fit(_dense(rows), labels.astype(int))
        return lambda new: model.predict(_dense(new), output_margin=True)

    return _fit(sample, name, fitted, {"version": str(package.__version__)})


def _fit(
    sample: Sample,
    name: str,
    fitted: Callable[[Any, NDArray[np.bool_]], Callable[[Any], Any]],
    details: dict[str, Any],
) -> FittedBaseline:
    """Fit the inner folds for the threshold, then all rows."""
    rows, labels, out_of_fold = dense_if_cheaper(sample.X), sample.is_positive, np.zeros(sample.n)
    dense = isinstance(rows, np.ndarray)
    for train, test in sample.folds:
        out_of_fold[test] = fitted(rows[train], labels[train])(rows[test])
    predict = fitted(rows[sample.whole], labels[sample.whole])
    return FittedBaseline(
        name,
        lambda new: np.asarray(predict(_dense(new) if dense else new), dtype=np.float64),
        out_of_fold,
        details,
    )


def _dense(rows: Any) -> NDArray[Any]:
    return rows if isinstance(rows, np.ndarray) else rows.toarray()
