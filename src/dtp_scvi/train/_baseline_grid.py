"""Comparators whose settings are chosen on the inner folds, from the grids published with AMU."""

from __future__ import annotations

import warnings
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from dtp_scvi.stats import auroc, logit
from dtp_scvi.train._baseline_fitted import FittedBaseline
from dtp_scvi.train._baseline_trees import dense_if_cheaper

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dtp_scvi.train._baseline_sample import Sample

    Scores = NDArray[np.float64]
    # Fits rows and their classes, and returns what scores new rows under every setting of a part
    # of the grid, (n_settings, n_rows).
    Path = Callable[[Any, NDArray[np.bool_]], Callable[[Any], Scores]]

SVM_C: Final = (1.0, 10.0, 100.0)
SVM_GAMMA: Final = (1.0, 0.1, 0.001)
DEPTHS: Final = tuple(range(2, 10))
N_TREES: Final = tuple(range(10, 291, 10))
# Without a limit the solver may not end on a kernel whose values span many orders of magnitude.
_SVM_ITERATIONS = 100_000


def fit_svm_grid(sample: Sample, name: str) -> FittedBaseline:
    """
    Fit a support vector machine; kernel, C and gamma are those of the best inner AUROC.

    The grid is that of AMU (Yin et al.): kernels linear, polynomial (degree 3) and Gaussian, C of 1, 10 and
    100, gamma of 1, 0.1 and 0.001, which the linear kernel does not have: 21 settings. Genes are
    standardised in the rows that are fitted, and the solver stops after 100,000 steps.
    What stands for log-odds is the distance from the margin.

    Parameters
    ----------
    sample
        Training rows and inner folds, which keep donors together.
    name
        Name of the baseline.
    """
    grid: list[dict[str, Any]] = [{"kernel": "linear", "C": C} for C in SVM_C]
    grid += [
        {"kernel": kernel, "C": C, "gamma": gamma}
        for kernel, C, gamma in product(("poly", "rbf"), SVM_C, SVM_GAMMA)
    ]

    def path(setting: dict[str, Any]) -> Path:
        def fitted(rows: Any, labels: NDArray[np.bool_]) -> Callable[[Any], Scores]:
            model = make_pipeline(
                StandardScaler(), SVC(**setting, max_iter=_SVM_ITERATIONS, random_state=0)
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(_dense(rows), labels)
            return lambda new: model.decision_function(_dense(new))[None]

        return fitted

    return _tuned(sample, name, [([setting], path(setting)) for setting in grid])


def fit_random_forest_grid(sample: Sample, name: str, seed: int) -> FittedBaseline:
    """
    Fit a random forest; depth and number of trees are those of the best inner AUROC.

    The grid is that of AMU (Yin et al.): depth 2 to 9, 10 to 290 trees in steps of 10. The first trees
    of a forest are the smaller forest of the same seed, so each depth is grown once in an inner fold.

    Parameters
    ----------
    sample
        Training rows and inner folds, which keep donors together.
    name
        Name of the baseline.
    seed
        Seed of the trees.
    """

    def path(depth: int) -> Path:
        def fitted(rows: Any, labels: NDArray[np.bool_]) -> Callable[[Any], Scores]:
            model = RandomForestClassifier(N_TREES[-1], max_depth=depth, random_state=seed)
            return partial(_forest_scores, model.fit(rows, labels))

        return fitted

    return _tuned(sample, name, _tree_grid(path))


def fit_adaboost_grid(sample: Sample, name: str, seed: int) -> FittedBaseline:
    """
    Fit AdaBoost; depth of its trees and rounds are those of the best inner AUROC.

    The grid is that of the forest: depth 2 to 9, 10 to 290 rounds in steps of 10. Boosting goes
    through the smaller numbers of rounds, so each depth is fitted once in an inner fold; where it ends
    early, since a tree makes no error, more rounds change nothing. What stands for log-odds is
    the weighted vote in [-1, 1].

    Parameters
    ----------
    sample
        Training rows and inner folds, which keep donors together.
    name
        Name of the baseline.
    seed
        Seed of the trees.
    """

    def path(depth: int) -> Path:
        def fitted(rows: Any, labels: NDArray[np.bool_]) -> Callable[[Any], Scores]:
            tree = DecisionTreeClassifier(max_depth=depth)
            model = AdaBoostClassifier(tree, n_estimators=N_TREES[-1], random_state=seed)
            return partial(_boosted_scores, model.fit(rows, labels))

        return fitted

    return _tuned(sample, name, _tree_grid(path))


def _forest_scores(model: RandomForestClassifier, new: Any) -> Scores:
    # Trees read rows in single precision, as the forest does.
    votes = [tree.predict_proba(new.astype(np.float32))[:, 1] for tree in model.estimators_]
    sizes = np.array(N_TREES)
    return logit(np.cumsum(votes, axis=0)[sizes - 1] / sizes[:, None])


def _boosted_scores(model: AdaBoostClassifier, new: Any) -> Scores:
    stages = np.stack(list(model.staged_decision_function(new)))
    return stages[np.minimum(N_TREES, len(stages)) - 1]


def _tree_grid(path: Callable[[int], Path]) -> list[tuple[list[dict[str, Any]], Path]]:
    return [
        ([{"max_depth": depth, "n_trees": n} for n in N_TREES], path(depth)) for depth in DEPTHS
    ]


def _tuned(
    sample: Sample, name: str, grid: list[tuple[list[dict[str, Any]], Path]]
) -> FittedBaseline:
    """Take the first setting with the largest mean AUROC over inner folds, and fit all rows."""
    rows, labels = dense_if_cheaper(sample.X), sample.is_positive
    dense = isinstance(rows, np.ndarray)
    best, chosen, place = -1.0, grid[0], 0
    out_of_fold = np.zeros(sample.n)
    for settings, path in grid:
        out, values = np.zeros((len(settings), sample.n)), np.zeros(len(settings))
        for train, test in sample.folds:
            out[:, test] = path(rows[train], labels[train])(rows[test])
            values += [auroc(labels[test], scores) for scores in out[:, test]]
        values /= len(sample.folds)
        if values.max() > best:
            best, place = float(values.max()), int(values.argmax())
            chosen, out_of_fold = (settings, path), out[place]
    settings, path = chosen
    scores = path(rows[sample.whole], labels[sample.whole])

    def predict(new: Any) -> NDArray[np.float64]:
        return np.asarray(scores(_dense(new) if dense else new)[place], dtype=np.float64)

    n_settings = sum(len(settings) for settings, _ in grid)
    details = {**settings[place], "inner_auroc": best, "n_settings": n_settings}
    return FittedBaseline(name, predict, out_of_fold, details)


def _dense(rows: Any) -> NDArray[Any]:
    return rows if isinstance(rows, np.ndarray) else rows.toarray()
