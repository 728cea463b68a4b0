"""Measured drug response of the BeatAML cohort: known biology, and guards that stay silent."""

from __future__ import annotations

import pytest

import dtp_scvi as dtp

KNOWN = "Venetoclax"


@pytest.fixture(scope="module")
def patients(beataml):
    """The patients with both expression and drug response, with two genes as scores."""
    measured = beataml.obsm["drug_auc"].notna().any(axis=1).to_numpy()
    adata = beataml[measured].copy()
    for gene in ("FLT3", "BCL2A1"):
        adata.obs[gene] = adata.obs_vector(gene)
    return adata


def run(patients, score_key, drugs):
    adata = patients.copy()
    adata.obsm["drug_auc"] = adata.obsm["drug_auc"][drugs]
    options = {"n_boot": 200, "n_permutations": 200}
    return adata, dtp.tl.drug_response(adata, score_key=score_key, **options).set_index("drug")


def test_known_biology_of_venetoclax(patients):
    assert patients.n_obs == 449
    many = patients.obsm["drug_auc"].notna().sum()
    drugs = list(dict.fromkeys([*many[many > 300].index[:12], KNOWN]))
    adata, table = run(patients, "FLT3", drugs)
    assert table.loc[KNOWN, "n"] == 329
    assert table.loc[KNOWN, "rho"] == pytest.approx(-0.41, abs=0.01)
    assert table.loc[KNOWN, "high"] < -0.3
    levels = set(adata.uns["dtp_drug_response"]["guards"]["level"])
    assert levels <= {"ok", "not judged"}


def test_one_gene_says_much_of_one_drug_and_nothing_of_drugs_in_general(patients):
    many = patients.obsm["drug_auc"].notna().sum()
    drugs = list(dict.fromkeys([*many[many > 350].index[:30], KNOWN]))
    adata, table = run(patients, "BCL2A1", drugs)
    row = table.loc[KNOWN]
    assert row["rho"] == pytest.approx(0.65, abs=0.01)
    assert row["specific_rho"] == pytest.approx(row["rho"], abs=0.05)
    assert abs(row["rho_other_drugs"]) < 0.2
    pooled = adata.uns["dtp_drug_response"]["pooled"].set_index("estimator")
    assert abs(pooled.loc["within_drug", "value"]) < 0.15
    width = pooled["high"] - pooled["low"]
    assert width["naive_pairs"] < 0.5 * width["within_drug"]
    guards = adata.uns["dtp_drug_response"]["guards"].set_index("guard")
    assert guards.loc["residual_correlation", "value"] > 0.15
