from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from dtp_scvi.data import group_folds
from dtp_scvi.stats import sigmoid
from dtp_scvi.train import BASELINES, fit_baseline, usable_baselines
from dtp_scvi.train import _baseline_linear as linear
from dtp_scvi.train import _baseline_trees as trees
from dtp_scvi.train._baseline_scores import (
    LSC17_WEIGHTS,
    MEAN_SIGNATURES,
    lsc17_weights,
    mean_weights,
)


def make_rows(n=150, n_genes=60, *, seed=0, effect=1.5, density=0.3):
    """Sparse non-negative rows of six donors whose label follows the first five genes."""
    rng = np.random.default_rng(seed)
    values = rng.gamma(2.0, 0.6, (n, n_genes)) * (rng.random((n, n_genes)) < density)
    signal = values[:, :5].sum(axis=1)
    logits = effect * (signal - signal.mean()) / signal.std()
    labels = rng.random(n) < sigmoid(logits)
    donors = np.array([f"d{i}" for i in rng.integers(0, 6, n)])
    return sp.csr_matrix(values.astype(np.float32)), labels, donors


def genes_of(X):
    return [*LSC17_WEIGHTS][: X.shape[1]] + [f"G{i}" for i in range(X.shape[1] - 17)]


def fit(name, X, labels, donors=None, seed=0, genes=None):
    genes = genes_of(X) if genes is None else genes
    return fit_baseline(name, X, is_positive=labels, groups=donors, genes=genes, seed=seed)


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    """Forests of fewer trees; the cross-validation of the real models grows all 300."""
    monkeypatch.setattr(trees, "N_TREES", 40)
    monkeypatch.setattr(trees, "_N_INNER_TREES", 20)


@pytest.fixture(scope="module")
def rows():
    return make_rows()


@pytest.mark.parametrize("n_genes", [40, 700], ids=["dense", "rotated"])
@pytest.mark.parametrize("centred", [True, False], ids=["centred", "sparse"])
def test_logistic_regression_is_the_ridge_solution(n_genes, centred, monkeypatch):
    X, labels, donors = make_rows(n_genes=n_genes)
    if not centred:
        monkeypatch.setattr(linear, "_MAX_DENSE_BYTES", 0)
        monkeypatch.setattr(linear, "_MAX_GRAM_ROWS", 0)
    fitted = fit("logistic_regression", X, labels, donors)
    dense = X.toarray().astype(np.float64)
    oracle = LogisticRegression(C=fitted.details["C"], tol=1e-10, max_iter=10_000)
    oracle.fit(dense, labels)
    assert fitted.logit(X) == pytest.approx(oracle.decision_function(dense), abs=5e-3)


def test_rotation_and_genes_give_one_answer(monkeypatch):
    X, labels, donors = make_rows(n_genes=700)
    rotated = fit("logistic_regression", X, labels, donors)
    monkeypatch.setattr(linear, "_MAX_GRAM_ROWS", 0)
    direct = fit("logistic_regression", X, labels, donors)
    assert rotated.details["C"] == direct.details["C"]
    new = make_rows(n_genes=700, seed=1)[0]
    assert rotated.logit(new) == pytest.approx(direct.logit(new), abs=5e-3)
    assert rotated.out_of_fold == pytest.approx(direct.out_of_fold, abs=5e-3)


def test_c_is_chosen_by_log_loss_on_inner_donors(rows):
    X, labels, donors = rows
    fitted = fit("logistic_regression", X, labels, donors, seed=3)
    dense = X.toarray().astype(np.float64)
    found = {}
    for C in linear.C_GRID:
        out = np.zeros(len(labels))
        for train, test in group_folds(labels, donors, 3, seed=3):
            oracle = LogisticRegression(C=C, max_iter=5000).fit(dense[train], labels[train])
            out[test] = oracle.predict_proba(dense[test])[:, 1]
        found[C] = log_loss(labels, out)
    best = min(found, key=found.get)
    assert fitted.details["C"] == best
    assert fitted.details["inner_log_loss"] == pytest.approx(found[best], abs=1e-4)
    assert log_loss(labels, sigmoid(fitted.out_of_fold)) == pytest.approx(found[best], abs=1e-4)


def test_noise_is_shrunk_more_than_signal():
    strong = fit("logistic_regression", *make_rows(effect=6.0))
    noise = fit("logistic_regression", *make_rows(effect=0.0))
    assert noise.details["C"] < strong.details["C"]


def test_gradient_boosting_finds_what_is_not_linear():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 500))
    values = rng.gamma(2.0, 0.3, (500, 60))
    values[:, :15] += 3 * a[:, None]
    values[:, 15:30] += 3 * b[:, None]
    X, labels = sp.csr_matrix(values.astype(np.float32)), a != b
    train, test = slice(0, 350), slice(350, 500)
    score = {
        name: roc_auc_score(labels[test], fit(name, X[train], labels[train]).logit(X[test]))
        for name in ("gradient_boosting", "logistic_regression")
    }
    assert score["gradient_boosting"] > 0.95
    assert score["logistic_regression"] < 0.7


@pytest.mark.parametrize("n_genes", [1, 2, 30])
def test_gradient_boosting_takes_few_genes(n_genes):
    X, labels, donors = make_rows(n_genes=n_genes, density=0.9)
    genes = [f"G{i}" for i in range(n_genes)]
    fitted = fit("gradient_boosting", X, labels, donors, genes=genes)
    assert fitted.details["n_components"] == max(1, n_genes - 1)
    assert np.isfinite(fitted.logit(X)).all()


def test_forest_is_the_same_on_sparse_and_dense_rows(rows, monkeypatch):
    X, labels, donors = rows
    dense = fit("random_forest", X, labels, donors)
    monkeypatch.setattr(trees, "_MIN_DENSITY", 1.1)
    sparse = fit("random_forest", X, labels, donors)
    assert np.array_equal(dense.logit(X), sparse.logit(X))
    assert np.array_equal(dense.out_of_fold, sparse.out_of_fold)


def test_mean_expression_learns_its_direction():
    X, labels, donors = make_rows(n_genes=5)
    fitted = fit("mean_expression", X, labels, donors, genes=list("abcde"))
    flipped = fit("mean_expression", X, ~labels, donors, genes=list("abcde"))
    mean = np.asarray(X.mean(axis=1)).ravel()
    assert np.corrcoef(fitted.logit(X), mean)[0, 1] == pytest.approx(1, abs=1e-6)
    assert np.corrcoef(flipped.logit(X), mean)[0, 1] == pytest.approx(-1, abs=1e-6)
    # A logistic curve with an intercept gets the share of positives right.
    assert sigmoid(fitted.logit(X)).mean() == pytest.approx(labels.mean(), abs=1e-3)


def test_lsc17_weighs_published_genes_under_any_name():
    genes = ["CD34", "KIAA0125", "NGFRAP1", "GPR56", "C19orf77", "ENSG00000088305.18", "ACTB"]
    weights, missing = lsc17_weights(genes)
    expected = [0.0338, 0.0196, 0.0465, 0.0501, -0.0226, 0.0874, 0.0]
    assert weights == pytest.approx(expected)
    assert len(missing) == 11
    assert "CDK6" in missing


def test_genes_of_one_name_share_a_weight():
    weights, _ = lsc17_weights(["FAM30A", "KIAA0125", "CD34"])
    assert weights == pytest.approx([0.0098, 0.0098, 0.0338])


def test_lsc17_logit_is_the_weighted_sum_on_a_line(rows):
    X, labels, donors = rows
    fitted = fit("lsc17", X, labels, donors)
    score = X.toarray()[:, :17] @ np.array(list(LSC17_WEIGHTS.values()))
    assert abs(np.corrcoef(fitted.logit(X), score)[0, 1]) == pytest.approx(1, abs=1e-6)
    assert (fitted.details["n_found"], fitted.details["missing"]) == (17, "")


def test_lsc17_without_its_genes_is_left_out_and_said(rows):
    X, labels, _ = rows
    genes = [f"G{i}" for i in range(X.shape[1])]
    names, notes = usable_baselines(BASELINES, genes)
    assert names == BASELINES[:4]
    assert "none of its 17 genes" in notes["lsc17"]
    assert usable_baselines(BASELINES, [*genes, "GPR56"]) == (BASELINES, {})
    with pytest.raises(ValueError, match=r"at least one of the 17 genes.*found none.*Leave"):
        fit("lsc17", X, labels, genes=genes)


def test_means_of_a_few_genes_are_means_under_any_name(rows):
    weights, missing = mean_weights("ifng", ["IDO", "CXCL10", "ENSG00000111537", "ACTB"])
    assert weights == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert missing == ("CXCL9", "HLA-DRA", "STAT1")
    X, labels, donors = rows
    genes = [*MEAN_SIGNATURES["ctl"], *(f"G{i}" for i in range(X.shape[1] - 5))]
    fitted = fit("ctl", X, labels, donors, genes=genes)
    score = X.toarray()[:, :5].mean(axis=1)
    assert abs(np.corrcoef(fitted.logit(X), score)[0, 1]) == pytest.approx(1, abs=1e-6)
    assert (fitted.details["n_found"], fitted.details["missing"]) == (5, "")


def test_half_of_the_genes_of_a_mean_have_to_be_there(rows):
    X, labels, _ = rows
    others = [f"G{i}" for i in range(X.shape[1])]
    two = ["CD8A", "PRF1", *others[2:]]
    names, notes = usable_baselines(["ctl", "mean_expression"], two)
    assert names == ("mean_expression",)
    assert notes["ctl"].endswith("2 of its 5 genes; missing: CD8B, GZMA, GZMB")
    with pytest.raises(ValueError, match=r"at least 50% of the genes of 'ctl'.*CD8B, GZMA, GZMB"):
        fit("ctl", X, labels, genes=two)
    with pytest.raises(ValueError, match=r"'ifng'.*found 0 of its 6 genes; missing: IDO1"):
        fit("ifng", X, labels, genes=two)
    three = ["CD8A", "PRF1", "GZMB", *others[3:]]
    assert usable_baselines(["ctl"], three) == (("ctl",), {})
    assert fit("ctl", X, labels, genes=three).details["missing"] == "CD8B, GZMA"


@pytest.mark.parametrize("name", BASELINES)
def test_same_seed_same_fit(name, rows):
    X, labels, donors = rows
    first, second = (fit(name, X, labels, donors, seed=5) for _ in range(2))
    assert np.array_equal(first.logit(X), second.logit(X))
    assert np.array_equal(first.out_of_fold, second.out_of_fold)
    assert first.name == name
    assert first.details["inner_folds"] == "donor, 3-fold"
    # Rows are scored one by one.
    assert first.logit(X[[7, 3]]) == pytest.approx(first.logit(X)[[7, 3]], abs=1e-5)


@pytest.mark.parametrize("name", BASELINES)
def test_out_of_fold_logits_have_not_seen_their_labels(name):
    X, labels, donors = make_rows(n=240, effect=0.0)
    fitted = fit(name, X, labels, donors)
    assert abs(roc_auc_score(labels, fitted.out_of_fold) - 0.5) < 0.15


@pytest.mark.parametrize("name", BASELINES)
def test_one_donor_splits_cells(name, rows):
    X, labels, _ = rows
    fitted = fit(name, X, labels, np.full(len(labels), "only"))
    assert fitted.details["inner_folds"] == "cell, 3-fold"


def test_unknown_name_is_an_error(rows):
    X, labels, _ = rows
    with pytest.raises(ValueError, match=r"`name` to be one of 'logistic_regression'.*'svm'"):
        fit("svm", X, labels)
    with pytest.raises(ValueError, match=r"`baselines` to be one of .*found 'svm'"):
        usable_baselines(["svm"], genes_of(X))
