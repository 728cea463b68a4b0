"""The simulated cohort: what it returns, and whether the hidden fraction drives it."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from statsmodels.duration.hazard_regression import PHReg

from dtp_scvi.datasets import simulate_cells, simulate_cohort

KEY = "dtp_simulation"


@pytest.fixture(scope="module")
def cells():
    return simulate_cells(1500, 500)


@pytest.fixture(scope="module")
def cohort(cells):
    return simulate_cohort(400, cells=cells)


def correlations(cohort):
    """Spearman correlation of each drug's area with the hidden fraction."""
    fraction = cohort.obs["true_persister_fraction"]
    auc = cohort.obsm["drug_auc"]
    return pd.Series({drug: spearmanr(fraction, auc[drug], nan_policy="omit")[0] for drug in auc})


def log_hazard(cohort, columns):
    """Cox coefficients per standard deviation of ``columns``."""
    known = cohort.obs.dropna(subset=["time", *columns])
    x = known[columns].apply(lambda v: (v - v.mean()) / v.std())
    return PHReg(known["time"], x, status=known["event"]).fit().params


def test_drugs_follow_the_hidden_fraction_where_planted(cohort):
    drugs, found = cohort.uns[KEY]["drug_effects"], correlations(cohort)
    assert drugs["role"].value_counts().to_dict() == {"affected": 6, "confounded": 3, "null": 3}
    assert (found[drugs["role"] == "affected"] > 0.35).all()
    assert (found[drugs["role"] == "null"].abs() < 0.25).all()
    assert (drugs.loc[drugs["role"] == "null", "blast_effect"] == 0).all()
    assert (drugs.loc[drugs["role"] != "affected", "persister_effect"] == 0).all()


def test_drugs_that_only_confounders_drive_look_affected(cohort):
    drugs, found = cohort.uns[KEY]["drug_effects"], correlations(cohort)
    confounded = drugs.index[drugs["role"] == "confounded"]
    assert (found[confounded] > 0.05).all()
    obs, auc = cohort.obs, cohort.obsm["drug_auc"]
    columns = ["true_persister_fraction", "true_blast_fraction", "true_monocytic_share"]
    ranks = obs[columns].rank()
    for drug in confounded:
        known = auc[drug].notna()
        x = np.column_stack([ranks[known], np.ones(known.sum())])
        adjusted = np.linalg.lstsq(x, auc.loc[known, drug].rank(), rcond=None)[0][0]
        assert adjusted < 0.2


def test_without_effects_drugs_are_noise(cells):
    plain = simulate_cohort(400, cells=cells, drug_effect=0, confounder_effect=0, missing=0)
    assert correlations(plain).abs().max() < 0.2
    assert not plain.obsm["drug_auc"].isna().any(axis=None)


def test_confounders_go_with_the_hidden_fraction(cohort):
    fraction = cohort.obs["true_persister_fraction"]
    for column in ("blast_percentage", "monocytic_score"):
        assert 0.15 < spearmanr(fraction, cohort.obs[column], nan_policy="omit")[0] < 0.7
    known = cohort.obs.dropna(subset="blast_percentage")
    error = known["blast_percentage"] - 100 * known["true_blast_fraction"]
    assert error.abs().max() < 25
    assert (fraction <= cohort.obs["true_blast_fraction"]).all()


def test_drug_areas_are_in_range_and_sparse(cohort):
    auc = cohort.obsm["drug_auc"]
    assert auc.shape == (400, 12)
    assert auc.index.equals(cohort.obs_names)
    assert auc.min(axis=None) >= 0
    assert auc.max(axis=None) <= 300
    missing = auc.isna().mean()
    assert missing.mean() == pytest.approx(0.35, abs=0.15)
    assert missing.max() > missing.min() + 0.1


def test_survival_falls_with_the_hidden_fraction(cells):
    cohort = simulate_cohort(1500, cells=cells, hazard_ratio=2.0, n_drugs=1)
    obs = cohort.obs
    obs["logit_fraction"] = np.log(
        obs["true_persister_fraction"] / (1 - obs["true_persister_fraction"])
    )
    fraction, age = log_hazard(cohort, ["logit_fraction", "age"])
    # Weibull proportional hazards were planted, so Cox regression finds the planted ratio.
    assert fraction == pytest.approx(np.log(2.0), abs=0.13)
    assert age == pytest.approx(0.3, abs=0.13)
    none = simulate_cohort(1500, cells=cells, hazard_ratio=1.0, n_drugs=1)
    assert abs(log_hazard(none, ["true_persister_fraction"])[0]) < 0.13


def test_clinical_columns_are_plausible_and_have_gaps(cohort):
    obs = cohort.obs
    assert obs["patient"].is_unique
    assert set(obs["event"].dropna()) == {0.0, 1.0}
    assert obs["event"].mean() == pytest.approx(0.6, abs=0.04)
    assert obs["time"].min() >= 1
    assert (obs["event"].isna() == obs["time"].isna()).all()
    for column in ("blast_percentage", "monocytic_score", "age", "time"):
        assert 0.02 < obs[column].isna().mean() < 0.16
    assert obs["blast_percentage"].dropna().between(0, 100).all()
    assert obs["age"].dropna().between(18, 92).all()
    assert not obs.filter(like="true_").isna().any(axis=None)
    full = simulate_cohort(20, n_genes=150, clinical_missing=0, censoring=0)
    assert not full.obs.isna().any(axis=None)
    assert (full.obs["event"] == 1).all()


def test_the_linear_part_of_the_label_reaches_the_bulk(cells, cohort):
    def log_normalised(counts):
        return np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))

    x, y = log_normalised(cells.X.toarray()), cells.obs["state"] == "drug_tolerant"
    model = LogisticRegression(C=2e-3, max_iter=300).fit(x, y)
    score = model.decision_function(log_normalised(cohort.layers["counts"]))
    assert spearmanr(score, cohort.obs["true_persister_fraction"])[0] > 0.4


def test_counts_and_log2_tpm_are_one_cohort_on_two_scales(cells):
    counts = simulate_cohort(20, cells=cells, library_size=2e6)
    logs = simulate_cohort(20, cells=cells, library_size=2e6, scale="log2_tpm")
    assert counts.X.dtype == logs.X.dtype == np.float32
    assert (np.round(counts.X) == counts.X).all()
    np.testing.assert_array_equal(counts.X, counts.layers["counts"])
    assert "counts" not in logs.layers
    total = counts.X.sum(axis=1)
    assert np.median(total) == pytest.approx(2e6, rel=0.3)
    np.testing.assert_allclose(
        2.0**logs.X - 1, 1e6 * counts.X / total[:, None], rtol=2e-3, atol=0.1
    )
    np.testing.assert_allclose((2.0**logs.X - 1).sum(axis=1), 1e6, rtol=1e-3)
    pd.testing.assert_frame_equal(counts.obs, logs.obs)


def test_genes_are_those_of_the_cells_which_stay_as_they_were(cells):
    before = cells.copy()
    cohort = simulate_cohort(15, cells=cells)
    pd.testing.assert_frame_equal(cohort.var, cells.var)
    assert (cells.X != before.X).nnz == 0
    pd.testing.assert_frame_equal(cells.obs, before.obs)
    assert cohort.uns[KEY]["cells_seed"] == cells.uns[KEY]["seed"]
    assert "KIAA0125" in cohort.var_names


def test_same_seed_same_cohort(cells):
    first, again = (simulate_cohort(30, cells=cells, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.X, again.X)
    pd.testing.assert_frame_equal(first.obs, again.obs)
    pd.testing.assert_frame_equal(first.obsm["drug_auc"], again.obsm["drug_auc"])
    other = simulate_cohort(30, cells=cells, seed=4)
    assert not np.array_equal(first.X, other.X)
    drawn = simulate_cohort(30, cells=cells, seed=None)
    repeated = simulate_cohort(30, cells=cells, seed=drawn.uns[KEY]["seed"])
    np.testing.assert_array_equal(drawn.X, repeated.X)


@pytest.mark.parametrize("scale", ["counts", "log2_tpm"])
def test_marked_simulated_and_survives_writing(cells, scale, tmp_path):
    cohort = simulate_cohort(25, cells=cells, scale=scale)
    cohort.write_h5ad(tmp_path / "cohort.h5ad")
    back = ad.read_h5ad(tmp_path / "cohort.h5ad")
    truth = back.uns[KEY]
    assert bool(truth["simulated"])
    assert truth["generator"] == "dtp_scvi.datasets.simulate_cohort"
    assert truth["parameters"] == cohort.uns[KEY]["parameters"]
    pd.testing.assert_frame_equal(truth["drug_effects"], cohort.uns[KEY]["drug_effects"])
    pd.testing.assert_frame_equal(back.obsm["drug_auc"], cohort.obsm["drug_auc"])
    pd.testing.assert_frame_equal(back.obs, cohort.obs, check_categorical=False, check_dtype=False)
    np.testing.assert_array_equal(back.X, cohort.X)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_patients": 5}, "`n_patients` in"),
        ({"n_patients": 12.5}, "`n_patients` to be a whole number"),
        ({"n_drugs": 0}, "`n_drugs` to be a whole number"),
        ({"drug_effect": -1}, "`drug_effect` in"),
        ({"confounder_effect": np.inf}, "`confounder_effect` in"),
        ({"hazard_ratio": 0}, "`hazard_ratio` in"),
        ({"censoring": 1}, "`censoring` in"),
        ({"missing": -0.1}, "`missing` in"),
        ({"clinical_missing": 1}, "`clinical_missing` in"),
        ({"library_size": 0}, "`library_size` in"),
        ({"patient_sd": -1}, "`patient_sd` in"),
        ({"scale": "tpm"}, "`scale` to be one of 'counts', 'log2_tpm'"),
        ({"n_genes": 300}, "either `cells` or `n_genes`"),
    ],
)
def test_bad_arguments_are_named(cells, arguments, match):
    with pytest.raises(ValueError, match=match):
        simulate_cohort(**({"n_patients": 20, "cells": cells} | arguments))


def test_cells_must_be_simulated_and_enough(cells):
    with pytest.raises(ValueError, match="`cells` made by simulate_cells"):
        simulate_cohort(20, cells=ad.AnnData(np.ones((3, 2), dtype=np.float32)))
    with pytest.raises(ValueError, match="at least 5 stem-like cells that are drug_tolerant"):
        simulate_cohort(20, cells=cells[:10])
