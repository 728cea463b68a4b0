"""The linear part against scikit-learn on the same folds."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from dtp_scvi.train import fit_linear, principal_axes


def cells(n_classes, seed=0):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(150, 4))
    codes = rng.integers(0, n_classes, 150)
    hidden[:, 0] += codes
    x = np.log1p(rng.poisson(np.exp(hidden @ rng.normal(0, 0.4, (4, 30)))))
    order = rng.permutation(150)
    folds = [(np.setdiff1d(order, test), test) for test in np.array_split(order, 3)]
    return sp.csr_matrix(x.astype(np.float32)), codes, folds


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_out_of_fold_outputs_equal_fits_of_sklearn(n_classes, weighted):
    X, codes, folds = cells(n_classes)
    weight = np.arange(1, n_classes + 1, dtype=float) if weighted else np.ones(n_classes)
    axes = principal_axes(X, 5, groups=None, seed=0)
    found = fit_linear(X, codes, axes, folds, weight)
    scores = axes.scores(X).astype(np.float64)
    raw = np.zeros((150, 1 if n_classes == 2 else n_classes))
    prob = np.zeros((150, n_classes))
    for train, test in folds:
        model = LogisticRegression(C=found.C, max_iter=2000, tol=1e-8)
        model.fit(scores[train], codes[train], sample_weight=weight[codes[train]])
        raw[test] = model.decision_function(scores[test]).reshape(len(test), -1)
        prob[test] = model.predict_proba(scores[test])
    np.testing.assert_allclose(found.out_of_fold, raw, atol=5e-3)
    expected = log_loss(codes, prob, sample_weight=weight[codes])
    assert found.log_loss[found.C] == pytest.approx(expected, abs=1e-4)
    assert min(found.log_loss, key=found.log_loss.get) == found.C


def test_weights_in_gene_space_give_the_outputs_of_the_fit():
    X, codes, folds = cells(2)
    axes = principal_axes(X, 5, groups=None, seed=0)
    found = fit_linear(X, codes, axes, folds, np.ones(2))
    model = LogisticRegression(C=found.C, max_iter=2000, tol=1e-8).fit(axes.scores(X), codes)
    raw = (X.toarray() - axes.mean) @ found.weight + found.bias
    np.testing.assert_allclose(raw[:, 0], model.decision_function(axes.scores(X)), atol=5e-3)


def test_axes_are_those_of_pca():
    X, _, _ = cells(2)
    axes = principal_axes(X, 4, groups=None, seed=0)
    pca = PCA(4).fit(X.toarray())
    np.testing.assert_allclose(np.abs(axes.loadings.T @ pca.components_.T), np.eye(4), atol=1e-3)
    np.testing.assert_allclose(axes.mean, X.toarray().mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(axes.sd, X.toarray().std(axis=0), atol=1e-5)
    np.testing.assert_allclose(axes.component_sd, axes.scores(X).std(axis=0), rtol=1e-4)


def test_genes_hardly_ever_detected_have_no_loading():
    X, _, _ = cells(2)
    dense = X.toarray()
    dense[:, 7] = 0
    dense[:2, 7] = 5
    axes = principal_axes(sp.csr_matrix(dense), 4, groups=None, seed=0)
    assert not axes.loadings[7].any()
    assert axes.loadings[8].any()


def test_one_seed_gives_one_fit():
    X, codes, folds = cells(2)
    fits = [
        fit_linear(X, codes, principal_axes(X, 5, groups=None, seed=1), folds, np.ones(2))
        for _ in range(2)
    ]
    np.testing.assert_array_equal(fits[0].weight, fits[1].weight)
