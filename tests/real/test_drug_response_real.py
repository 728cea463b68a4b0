"""Measured drug response of the BeatAML cohort: known biology, and guards that stay silent."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp

KNOWN = "Venetoclax"


@pytest.fixture(scope="module")
def patients(request) -> ad.AnnData:
    """The patients with both expression and drug response, by patient."""
    path_of = request.getfixturevalue("path_of")
    auc = pd.read_csv(path_of("beataml2/drug_auc_569patients_166drugs.csv.gz"), index_col=0)
    genes = pd.read_csv(
        path_of("beataml2/beataml2_norm_exp_493genes_566samples.csv.gz"), index_col=0
    )
    samples = genes.T
    samples.index = samples.index.str.removeprefix("P")
    if not samples.index.isin(auc.index.astype(str)).any():
        links = pd.read_csv(path_of("beataml2/expression_sample_map.csv"), dtype=str)
        names = links.set_index("dbgap_rnaseq_sample")["dbgap_subject_id"]
        samples.index = names.reindex(samples.index).astype(str)
    auc.index = auc.index.astype(str)
    auc.columns = auc.columns.str.replace("/", "_")
    both = samples.index.intersection(auc.index)
    obs = samples.loc[both, ["FLT3", "BCL2A1"]].assign(patient=both)
    adata = ad.AnnData(samples.loc[both].to_numpy(np.float32), obs=obs)
    adata.obsm["drug_auc"] = auc.loc[both]
    return adata


def run(patients, score_key, drugs):
    adata = patients.copy()
    adata.obsm["drug_auc"] = adata.obsm["drug_auc"][drugs]
    options = {"auc_range": (0, 300), "n_boot": 200, "n_permutations": 200}
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
