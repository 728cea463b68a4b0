"""Resampling stays inside the training rows, and inside each inner fold's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import roc_auc_score

from dtp_scvi.data import group_folds
from dtp_scvi.train import RESAMPLERS, check_resample, fit_baseline
from dtp_scvi.train import _baseline_trees as trees
from dtp_scvi.train._baseline_sample import make_sample, resample

pytest.importorskip("imblearn")


@pytest.fixture(scope="module")
def rows():
    """Thirty rows of the positive class among 120, with genes of any value."""
    rng = np.random.default_rng(0)
    values = rng.gamma(2.0, 1.0, (120, 8)) * (rng.random((120, 8)) < 0.6)
    return sp.csr_matrix(values.astype(np.float32)), np.arange(120) < 30


@pytest.mark.parametrize("method", RESAMPLERS)
def test_rows_are_those_of_the_library(rows, method):
    from imblearn import combine, over_sampling, under_sampling

    X, labels = rows
    oracle = {
        "over": over_sampling.RandomOverSampler,
        "under": under_sampling.RandomUnderSampler,
        "smote": over_sampling.SMOTE,
        "smote_tomek": combine.SMOTETomek,
    }[method](random_state=7)
    expected, classes = oracle.fit_resample(X, labels)
    kept, new, new_labels = resample(X, labels, method, 7)
    found = sp.vstack([X[kept], new]).toarray()
    assert np.allclose(np.sort(found, axis=0), np.sort(expected.toarray(), axis=0))
    positive = labels[kept].sum() + new_labels.sum()
    assert (len(kept) + len(new_labels), positive) == (len(classes), classes.sum())


@pytest.mark.parametrize("method", RESAMPLERS)
def test_inner_folds_are_tested_on_real_rows_that_nothing_was_made_of(rows, method):
    X, labels = rows
    # One gene says which fold a row is tested in: rows between others keep to their side.
    folds = group_folds(labels.tolist(), None, 2, seed=0)
    marked = X.tolil()
    for number, (_, test) in enumerate(folds):
        marked[test, 0] = 10.0 * (number + 1)
    sample = make_sample(marked.tocsr(), labels, folds, method, 0)
    assert sorted(np.concatenate([test for _, test in sample.folds])) == list(range(120))
    for number, (train, test) in enumerate(sample.folds):
        own = 10.0 * (number + 1)
        assert (sample.X[test, 0].toarray() == own).all()
        assert not np.isclose(sample.X[train, 0].toarray(), own).any()
        assert 0.4 < sample.is_positive[train].mean() < 0.6
    assert 0.4 < sample.is_positive[sample.whole].mean() < 0.6
    assert sample.n == 120


def test_without_a_method_nothing_is_added(rows):
    X, labels = rows
    sample = make_sample(X, labels, [], None, 0)
    assert sample.X is X
    assert sample.whole == slice(None)


@pytest.mark.parametrize("name", ["logistic_regression", "gradient_boosting", "random_forest"])
def test_baselines_take_balanced_rows(rows, name):
    X, labels = rows
    values = X.toarray()
    values[labels, 1] += 2.0
    signal = sp.csr_matrix(values)
    genes = [f"G{i}" for i in range(8)]
    given = {"is_positive": labels, "groups": None, "genes": genes, "seed": 0}
    plain = fit_baseline(name, signal, **given)
    balanced = fit_baseline(name, signal, resample="smote", **given)
    assert balanced.details["resample"] == "smote"
    assert "resample" not in plain.details
    assert len(balanced.out_of_fold) == 120
    assert roc_auc_score(labels, balanced.out_of_fold) > 0.8
    # Half of the rows that it was fitted to are positive, so it calls more of them.
    assert (balanced.out_of_fold > 0).sum() > (plain.out_of_fold > 0).sum()


def test_smote_on_permuted_labels_stays_at_chance(rows, monkeypatch):
    monkeypatch.setattr(trees, "N_TREES", 10)
    X, labels = rows
    rng = np.random.default_rng(1)
    found = []
    for seed in range(4):
        permuted = rng.permutation(labels)
        given = {"groups": None, "genes": [f"G{i}" for i in range(8)], "seed": seed}
        fitted = fit_baseline("random_forest", X, is_positive=permuted, resample="smote", **given)
        found.append(roc_auc_score(permuted, fitted.out_of_fold))
    assert abs(np.mean(found) - 0.5) < 0.08


def test_one_row_has_no_neighbour(rows):
    X, _ = rows
    with pytest.raises(ValueError, match="two training rows or more of each class for SMOTE"):
        resample(X, np.arange(120) == 3, "smote", 0)
    # Few rows have fewer neighbours.
    assert resample(X, np.arange(120) < 3, "smote", 0)[2].sum() == 114


def test_unknown_method_is_an_error(monkeypatch):
    check_resample(None)
    check_resample("smote")
    with pytest.raises(ValueError, match=r"`resample` to be one of 'over'.*found 'adasyn'"):
        check_resample("adasyn")
    monkeypatch.setitem(__import__("sys").modules, "imblearn", None)
    with pytest.raises(ImportError, match=r"pip install 'dtp-scvi\[resampling\]'"):
        check_resample("smote")
