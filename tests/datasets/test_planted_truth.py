"""Whether the truth that the simulator plants is what it says, and can be found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import spearmanr
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from dtp_scvi.datasets import simulate_cells

KEY = "dtp_simulation"


@pytest.fixture(scope="module")
def cells():
    return simulate_cells(3000, 1500)


def log_normalised(adata):
    counts = adata.layers["counts"].toarray()
    return np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))


def is_positive(adata):
    return (adata.obs["state"] == "drug_tolerant").to_numpy()


def held_out_auroc(adata):
    """AUROC of logistic regression and of boosting on 50 components, on two unseen donors."""
    x, y = log_normalised(adata), is_positive(adata)
    test = adata.obs["donor"].isin(["donor_3", "donor_8"]).to_numpy()
    logistic = LogisticRegression(C=2e-3, max_iter=300).fit(x[~test], y[~test])
    pca = PCA(50, svd_solver="randomized", random_state=0).fit(x[~test])
    boosting = HistGradientBoostingClassifier(max_iter=100, random_state=0)
    boosting.fit(pca.transform(x[~test]), y[~test])
    return (
        roc_auc_score(y[test], logistic.decision_function(x[test])),
        roc_auc_score(y[test], boosting.predict_proba(pca.transform(x[test]))[:, 1]),
    )


def test_truth_of_the_label_is_consistent(cells):
    obs, truth = cells.obs, cells.uns[KEY]
    np.testing.assert_allclose(logit(obs["true_probability"]), obs["true_logit"])
    intercept = obs["true_logit"] - obs["true_linear"] - obs["true_interaction"]
    np.testing.assert_allclose(intercept, intercept.iloc[0], atol=1e-6)
    assert obs["true_probability"].mean() == pytest.approx(0.35, abs=1e-6)
    assert obs["true_linear"].std(ddof=0) == pytest.approx(1.8)
    assert obs["true_interaction"].std(ddof=0) == pytest.approx(2.2)
    oracle = roc_auc_score(is_positive(cells), obs["true_logit"])
    assert truth["oracle_auroc"] == pytest.approx(oracle)
    assert 0.88 < truth["oracle_auroc"] < 0.94
    # Labels follow their probabilities: calibrated in tenths within sampling error.
    tenth = pd.qcut(obs["true_probability"], 10, labels=False)
    expected = obs.groupby(tenth)["true_probability"].mean()
    found = pd.Series(is_positive(cells), index=obs.index).groupby(tenth).mean()
    assert (found - expected).abs().max() < 4 * np.sqrt(0.25 / 300)


def test_interaction_has_no_linear_trace_in_its_programmes(cells):
    names = list(cells.uns[KEY]["programmes"].index)
    activity = cells.obsm["true_programmes"]
    products = 0
    for first, second, weight in cells.uns[KEY]["interactions"].itertuples(index=False):
        pair = activity[:, [names.index(first), names.index(second)]]
        for k in range(2):
            assert abs(np.corrcoef(pair[:, k], is_positive(cells))[0, 1]) < 0.06
        products = products + weight * pair.prod(axis=1)
    assert np.corrcoef(products, cells.obs["true_interaction"])[0, 1] > 0.9999
    assert np.corrcoef(products, is_positive(cells))[0, 1] > 0.3


def test_programmes_can_be_read_off_their_genes(cells):
    x, loadings = log_normalised(cells), cells.varm["true_loadings"]
    table = cells.uns[KEY]["programmes"]
    assert (table["n_genes"] >= 30).all()
    assert ((loadings != 0).sum(axis=0) == table["n_genes"]).all()
    for k, (name, row) in enumerate(table.iterrows()):
        rho = spearmanr(x @ loadings[:, k], cells.obsm["true_programmes"][:, k])[0]
        assert rho > (0.85 if row["role"] == "interaction" else 0.3), name


def test_interactions_reward_a_nonlinear_model(cells):
    linear, boosted = held_out_auroc(cells)
    assert 0.64 < linear < 0.80
    assert boosted > linear + 0.04
    assert boosted < cells.uns[KEY]["oracle_auroc"]


def test_without_interactions_the_linear_model_is_enough():
    cells = simulate_cells(3000, 1500, interaction_effect=0)
    assert (cells.obs["true_interaction"] == 0).all()
    linear, boosted = held_out_auroc(cells)
    assert linear > 0.75
    assert linear > boosted


def test_no_effect_is_no_signal():
    cells = simulate_cells(2000, 150, linear_effect=0, interaction_effect=0, prevalence=0.4)
    np.testing.assert_allclose(cells.obs["true_probability"], 0.4)
    assert is_positive(cells).mean() == pytest.approx(0.4, abs=4 * np.sqrt(0.24 / 2000))


def test_prevalence_is_met_even_when_rare():
    cells = simulate_cells(500, 120, prevalence=0.01)
    assert expit(cells.obs["true_logit"]).mean() == pytest.approx(0.01, abs=1e-4)


def test_one_class_has_no_oracle():
    cells = simulate_cells(20, 120, n_donors=2, prevalence=1e-6)
    assert not is_positive(cells).any()
    assert np.isnan(cells.uns[KEY]["oracle_auroc"])
