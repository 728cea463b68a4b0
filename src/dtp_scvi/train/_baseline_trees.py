"""Gradient boosting on principal components and a random forest on all genes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from dtp_scvi.stats import logit
from dtp_scvi.train._baseline_fitted import FittedBaseline

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

    from dtp_scvi.train._baseline_sample import Sample

N_COMPONENTS: Final = 50
N_TREES: Final = 300
# The forests of the inner folds serve the threshold alone, for which fewer trees do.
_N_INNER_TREES = 60
# Leaves of a probability forest: Malley et al., Methods of Information in Medicine 51:74 (2012).
_MIN_LEAF = 10
# Trees split dense columns faster unless hardly anything is there; measured from 3 to 35 %.
_MIN_DENSITY = 0.1
_MAX_DENSE_BYTES = 2**29


def fit_gradient_boosting(sample: Sample, name: str, seed: int) -> FittedBaseline:
    """
    Fit histogram gradient boosting with default settings on 50 principal components.

    The components come from the training rows alone. Early stopping is off: scikit-learn switches
    it on above 10,000 rows and holds out single cells for it, which would change with the size of
    the data and look at donors on both sides.

    Parameters
    ----------
    sample
        Training rows and inner folds; the folds share the components, which know no label: they
        are those of the real rows.
    name
        Name of the baseline.
    seed
        Seed of the decomposition's start and of boosting.
    """
    is_positive, real = sample.is_positive, sample.X[: sample.n]
    n_components = min(N_COMPONENTS, min(real.shape) - 1)
    if n_components < 1:
        components, scores = None, sample.X.toarray()
    else:
        # ARPACK centres sparse rows without making them dense.
        components = PCA(n_components, svd_solver="arpack", random_state=seed).fit(real)
        scores = components.transform(sample.X)

    def boosted(rows: NDArray[Any], labels: NDArray[np.bool_]) -> HistGradientBoostingClassifier:
        model = HistGradientBoostingClassifier(early_stopping=False, random_state=seed)
        return model.fit(rows, labels)

    model = boosted(scores[sample.whole], is_positive[sample.whole])
    out_of_fold = np.zeros(sample.n)
    for train, test in sample.folds:
        inner = boosted(scores[train], is_positive[train])
        out_of_fold[test] = inner.decision_function(scores[test])

    def predict(new: sp.csr_matrix) -> NDArray[np.float64]:
        rows = new.toarray() if components is None else components.transform(new)
        return np.asarray(model.decision_function(rows), dtype=np.float64)

    return FittedBaseline(name, predict, out_of_fold, {"n_components": max(n_components, 1)})


def fit_random_forest(sample: Sample, name: str, seed: int) -> FittedBaseline:
    """
    Fit a probability forest of 300 trees, leaves of 10 rows and more, no class weights.

    Its log-odds are those of the mean leaf share, kept finite at ±16 where all trees agree.

    Parameters
    ----------
    sample
        Training rows and inner folds.
    name
        Name of the baseline.
    seed
        Seed of the trees.
    """
    rows, is_positive = dense_if_cheaper(sample.X), sample.is_positive

    def grown(take: NDArray[np.intp] | slice, n_trees: int) -> RandomForestClassifier:
        model = RandomForestClassifier(
            n_trees,
            min_samples_leaf=_MIN_LEAF,
            max_features="sqrt",
            n_jobs=min(4, os.cpu_count() or 1),
            random_state=seed,
        )
        model.fit(rows[take], is_positive[take])
        # Threads add up votes in the order in which they finish; one thread adds them in one order.
        return model.set_params(n_jobs=1)

    def log_odds(model: RandomForestClassifier, new: Any) -> NDArray[np.float64]:
        return logit(model.predict_proba(new)[:, 1])

    model = grown(sample.whole, N_TREES)
    out_of_fold = np.zeros(sample.n)
    for train, test in sample.folds:
        out_of_fold[test] = log_odds(grown(train, _N_INNER_TREES), rows[test])
    return FittedBaseline(
        name, lambda new: log_odds(model, new), out_of_fold, {"n_trees": N_TREES}
    )


def dense_if_cheaper(X: sp.csr_matrix) -> Any:
    """Return a dense copy where trees split it faster and it is not too large."""
    size = X.shape[0] * X.shape[1]
    cheap = X.nnz >= _MIN_DENSITY * size and 4 * size <= _MAX_DENSE_BYTES
    return X.toarray() if cheap else X
