"""The comparators that are run when named, and the one that knows the study alone."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC

from dtp_scvi.data import group_folds
from dtp_scvi.train import BASELINES, MORE_BASELINES, fit_baseline, study_rows, usable_baselines

GENES = [f"G{i}" for i in range(10)]


def draw(n=160, effect=1.5, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.gamma(2.0, 0.6, (n, 10)) * (rng.random((n, 10)) < 0.7)
    signal = effect * (values[:, :4].sum(axis=1) - 3)
    labels = rng.random(n) < 1 / (1 + np.exp(-signal))
    return sp.csr_matrix(values.astype(np.float32)), labels


def fit(name, X, labels, seed=0, groups=None):
    if name == "xgboost":
        pytest.importorskip("xgboost")
    return fit_baseline(name, X, is_positive=labels, groups=groups, genes=GENES, seed=seed)


@pytest.mark.parametrize("name", ["svm_rbf", "adaboost", "xgboost"])
def test_signal_is_found_and_noise_is_not(name):
    X, labels = draw()
    new, truth = draw(seed=1)
    first, second = (fit(name, X, labels, seed=3) for _ in range(2))
    assert np.array_equal(first.logit(new), second.logit(new))
    assert np.array_equal(first.out_of_fold, second.out_of_fold)
    assert roc_auc_score(truth, first.logit(new)) > 0.75
    assert roc_auc_score(labels, first.out_of_fold) > 0.7
    noise, coin = draw(effect=0.0, n=240)
    assert abs(roc_auc_score(coin, fit(name, noise, coin).out_of_fold) - 0.5) < 0.15


@pytest.mark.parametrize("name", ["svm_rbf", "adaboost", "xgboost"])
def test_dense_and_sparse_rows_give_one_answer(name, monkeypatch):
    X, labels = draw()
    dense = fit(name, X, labels).logit(X)
    monkeypatch.setattr("dtp_scvi.train._baseline_trees._MIN_DENSITY", 1.1)
    sparse = fit(name, X, labels).logit(X)
    if name == "adaboost":
        # Of splits that are equally good the two kinds of rows need not take the same one.
        assert np.corrcoef(sparse, dense)[0, 1] > 0.97
    else:
        assert sparse == pytest.approx(dense, abs=1e-4)


def test_svm_is_that_of_genes_with_unit_variance():
    X, labels = draw()
    values = X.toarray().astype(float)
    oracle = SVC(C=1.0, gamma="scale", random_state=0).fit(values / values.std(axis=0), labels)
    expected = oracle.decision_function(values / values.std(axis=0))
    assert fit("svm_rbf", X, labels).logit(X) == pytest.approx(expected, abs=1e-3)


def test_they_are_not_run_unless_named():
    assert not set(MORE_BASELINES) & set(BASELINES)
    names, notes = usable_baselines(["svm_rbf", "adaboost"], GENES)
    assert (names, notes) == (("svm_rbf", "adaboost"), {})


def test_xgboost_that_is_not_there_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(ImportError, match=r"`xgboost` to be installed.*dtp-scvi\[xgboost\]"):
        usable_baselines(["xgboost"], GENES)


def test_study_alone_is_the_share_of_its_training_rows():
    studies = np.repeat(["b", "a", "c"], [40, 40, 20])
    labels = np.r_[np.arange(40) < 30, np.arange(40) < 10, np.zeros(20, bool)]
    X = study_rows(studies)
    assert (X.shape, X.sum()) == ((100, 3), 100)
    fitted = fit("study_only", X, labels)
    expected = np.log([10.5 / 30.5, 30.5 / 10.5, 0.5 / 20.5])
    assert fitted.logit(sp.identity(3, format="csr")) == pytest.approx(expected)
    assert fitted.details["n_unseen_studies"] == 0
    folds = group_folds(labels, None, 3, seed=0)
    for train, test in folds:
        here = train[studies[train] == "a"]
        share = np.log((labels[here].sum() + 0.5) / ((~labels[here]).sum() + 0.5))
        assert fitted.out_of_fold[test][studies[test] == "a"] == pytest.approx(share)


def test_a_study_without_training_rows_takes_the_share_of_all():
    X = sp.csr_matrix(np.repeat([[1.0, 0.0]], 40, axis=0))
    labels = np.arange(40) < 10
    fitted = fit("study_only", X, labels)
    assert fitted.logit(sp.csr_matrix([[0.0, 1.0]])) == pytest.approx(np.log(10.5 / 30.5))
    assert fitted.details["n_unseen_studies"] == 1
