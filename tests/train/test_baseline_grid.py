"""Grids are searched on inner folds alone, and shortcuts give what separate fits give."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from dtp_scvi.data import group_folds
from dtp_scvi.stats import sigmoid
from dtp_scvi.train import _baseline_grid as grid
from dtp_scvi.train import fit_baseline

GENES = [f"G{i}" for i in range(10)]
NAMES = ("svm_grid", "random_forest_grid", "adaboost_grid")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(grid, "DEPTHS", (2, 4))
    monkeypatch.setattr(grid, "N_TREES", (5, 10, 15))


def draw(n=120, effect=1.5, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.gamma(2.0, 0.6, (n, 10)) * (rng.random((n, 10)) < 0.7)
    labels = rng.random(n) < 1 / (1 + np.exp(-effect * (values[:, :4].sum(axis=1) - 3)))
    donors = np.array([f"d{i}" for i in rng.integers(0, 30, n)])
    return sp.csr_matrix(values.astype(np.float32)), labels, donors


def fit(name, X, labels, donors=None, seed=0, **kwargs):
    return fit_baseline(
        name, X, is_positive=labels, groups=donors, genes=GENES, seed=seed, **kwargs
    )


@pytest.mark.parametrize("name", NAMES)
def test_signal_is_found_and_noise_is_not(name):
    X, labels, donors = draw()
    new, truth, _ = draw(seed=1)
    first, second = (fit(name, X, labels, donors, seed=3) for _ in range(2))
    assert np.array_equal(first.logit(new), second.logit(new))
    assert np.array_equal(first.out_of_fold, second.out_of_fold)
    assert roc_auc_score(truth, first.logit(new)) > 0.72
    assert first.details["inner_folds"] == "donor, 3-fold"
    noise, coin, _ = draw(effect=0.0, n=240, seed=2)
    new, truth, _ = draw(effect=0.0, n=240, seed=3)
    assert abs(roc_auc_score(truth, fit(name, noise, coin).logit(new)) - 0.5) < 0.12


def test_published_grids(monkeypatch):
    monkeypatch.undo()
    assert grid.DEPTHS == (2, 3, 4, 5, 6, 7, 8, 9)
    assert (grid.N_TREES[0], grid.N_TREES[-1], len(grid.N_TREES)) == (10, 290, 29)
    assert (grid.SVM_C, grid.SVM_GAMMA) == ((1, 10, 100), (1, 0.1, 0.001))


@pytest.mark.parametrize("donors_known", [True, False])
def test_svm_is_that_of_a_grid_search_over_the_inner_folds(donors_known):
    X, labels, donors = draw()
    groups = donors if donors_known else None
    found = fit("svm_grid", X, labels, groups)
    folds = group_folds(labels, groups, 3, seed=0)
    if donors_known:
        assert not any(set(donors[a]) & set(donors[b]) for a, b in folds)
    search = GridSearchCV(
        Pipeline([("scale", StandardScaler()), ("svm", SVC(random_state=0))]),
        [
            {"svm__kernel": ["linear"], "svm__C": [1, 10, 100]},
            {
                "svm__kernel": ["poly", "rbf"],
                "svm__C": [1, 10, 100],
                "svm__gamma": [1, 0.1, 0.001],
            },
        ],
        scoring="roc_auc",
        cv=folds,
    ).fit(X.toarray(), labels)
    assert found.details["n_settings"] == len(search.cv_results_["params"]) == 21
    assert found.details["inner_auroc"] == pytest.approx(search.best_score_, abs=1e-6)
    best = {name.removeprefix("svm__"): value for name, value in search.best_params_.items()}
    assert best == {name: found.details[name] for name in best}
    expected = search.decision_function(X.toarray())
    assert found.logit(X) == pytest.approx(expected, abs=1e-3)


def test_the_first_trees_are_the_smaller_forest():
    X, labels, _ = draw()
    found = fit("random_forest_grid", X, labels, seed=7)
    assert found.details["n_settings"] == 6
    depth, n_trees = found.details["max_depth"], found.details["n_trees"]
    forest = RandomForestClassifier(n_trees, max_depth=depth, random_state=7)
    expected = forest.fit(X.toarray(), labels).predict_proba(X.toarray())[:, 1]
    assert sigmoid(found.logit(X)) == pytest.approx(expected, abs=1e-6)


def test_the_first_rounds_are_the_shorter_boosting():
    X, labels, _ = draw()
    found = fit("adaboost_grid", X, labels, seed=7)
    tree = DecisionTreeClassifier(max_depth=found.details["max_depth"])
    model = AdaBoostClassifier(tree, n_estimators=found.details["n_trees"], random_state=7)
    expected = model.fit(X.toarray(), labels).decision_function(X.toarray())
    assert found.logit(X) == pytest.approx(expected, abs=1e-6)


def test_boosting_that_ends_early_has_one_answer_for_more_rounds():
    labels = np.arange(60) < 30
    X = sp.csr_matrix(np.outer(labels, np.arange(1, 11)).astype(np.float32))
    found = fit("adaboost_grid", X, labels)
    assert found.details["inner_auroc"] == 1
    assert (found.details["max_depth"], found.details["n_trees"]) == (2, 5)


@pytest.mark.parametrize("name", NAMES)
def test_resampled_rows_are_tested_on_real_ones(name):
    pytest.importorskip("imblearn")
    X, labels, donors = draw()
    found = fit(name, X, labels, donors, resample="over")
    assert found.out_of_fold.shape == labels.shape
    assert found.details["resample"] == "over"
    assert roc_auc_score(labels, found.out_of_fold) > 0.6
