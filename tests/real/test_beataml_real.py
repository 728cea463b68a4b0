"""BeatAML and TCGA-LAML as they are: joins, known biology, survival."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from dtp_scvi.datasets import read_beataml, read_bulk, read_clinical, read_tcga_laml

EXPRESSION = "beataml2/beataml2_norm_exp_493genes_566samples.csv.gz"
AUC = "beataml2/drug_auc_569patients_166drugs.csv.gz"
CLINICAL = "beataml2/beataml_wv1to4_clinical.xlsx"
SAMPLE_MAP = "beataml2/expression_sample_map.csv"
TCGA = "tcga_laml/tcga_laml_rsem_712genes_173patients.csv.gz"


def test_all_samples_and_449_patients_with_auc(beataml):
    assert beataml.shape == (566, 493)
    counts = beataml.uns["dtp_cohort"]["counts"]
    assert counts["patients"] == 566
    assert counts["patients_with_auc"] == 449
    auc = beataml.obsm["drug_auc"]
    assert 0 <= np.nanmin(auc) < np.nanmax(auc) <= 300
    assert auc.notna().mean().mean() < 0.9


def test_the_join_is_that_of_a_merge(beataml, path_of):
    """Joined another way: by patient, on the tables as pandas reads them."""
    auc = pd.read_csv(path_of(AUC), index_col=0)
    who = pd.read_csv(path_of(SAMPLE_MAP)).set_index("dbgap_rnaseq_sample")["dbgap_subject_id"]
    expected = auc.reindex(who.loc[beataml.obs_names])["Venetoclax"].to_numpy()
    np.testing.assert_array_equal(beataml.obsm["drug_auc"]["Venetoclax"], expected)
    assert beataml.obs["patient"].astype(int).tolist() == who.loc[beataml.obs_names].tolist()


@pytest.mark.parametrize(("gene", "rho"), [("FLT3", -0.41), ("BCL2A1", 0.65), ("LYZ", 0.52)])
def test_known_biology_of_venetoclax(beataml, gene, rho):
    auc = beataml.obsm["drug_auc"]["Venetoclax"].to_numpy()
    known = ~np.isnan(auc)
    assert beataml.obs["patient"][known].nunique() == known.sum() == 329
    found = spearmanr(beataml[known, gene].X.ravel(), auc[known]).statistic
    assert found == pytest.approx(rho, abs=0.006)


def test_survival_of_548_patients_with_333_deaths(beataml):
    obs = beataml.obs.dropna(subset=["time", "event"])
    assert (obs["patient"].nunique(), obs["event"].sum()) == (548, 333)
    assert obs["time"].min() >= 0
    counts = beataml.uns["dtp_cohort"]["counts"]
    assert (counts["patients_with_survival"], counts["patients_with_event"]) == (548, 333)


def test_what_is_lost_adds_up(beataml):
    report = beataml.uns["dtp_cohort"]["report"]
    lost = report.query("outcome == 'dropped'")
    by_reason = lost[lost["table"] == "auc"].groupby("reason")["id"].nunique()
    # 569 patients have a response, 449 of them expression.
    assert by_reason["not among the patients of the expression table"] == 569 - 449
    clinical = lost.loc[lost["table"] == "clinical", "rows"].sum()
    assert clinical == 942 - 566


def test_several_samples_a_patient_are_kept_or_chosen(path_of):
    wide = "beataml2/beataml2_norm_exp_26genes_707samples.csv.gz"
    paths = [path_of(name) for name in (wide, AUC, CLINICAL)]
    several = read_beataml(*paths)
    counts = several.uns["dtp_cohort"]["counts"]
    assert counts["samples"] > counts["patients"]
    assert counts["patients_with_several_samples"] == 48
    single = read_beataml(*paths, one_sample_per_patient=True)
    assert single.n_obs == single.obs["patient"].nunique() == counts["patients"]
    # Whoever has a sample of the initial diagnosis is represented by one.
    initial = several.obs.loc[several.obs["stage"] == "Initial Diagnosis", "patient"].unique()
    taken = single.obs.set_index("patient")["stage"].astype(str)
    assert (taken.loc[initial.astype(str)] == "Initial Diagnosis").all()


def test_it_survives_write_and_read(beataml, tmp_path):
    beataml.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad")
    pd.testing.assert_frame_equal(back.obs, beataml.obs)
    pd.testing.assert_frame_equal(back.obsm["drug_auc"], beataml.obsm["drug_auc"])


def test_tcga_has_161_patients_with_both(path_of):
    adata = read_tcga_laml(path_of(TCGA), path_of("tcga_laml/tcga_laml_survival_186.csv"))
    assert adata.shape == (173, 712)
    assert adata.uns["dtp_cohort"]["counts"]["with_survival"] == 161


def test_tcga_from_the_table_of_cbioportal(path_of):
    path = path_of("tcga_laml/laml_tcga_pub_clinical_data.csv")
    adata = read_tcga_laml(path_of(TCGA), path)
    assert adata.uns["dtp_cohort"]["counts"]["with_survival"] == 173
    whole = read_clinical(path)
    assert (len(whole), whole["event"].sum()) == (200, 133)
    assert whole["time"].max() == pytest.approx(118.1 * 365.25 / 12)


def test_gse74246_is_read_with_its_genes_in_rows(path_of, fresh):
    adata = read_bulk(path_of("gse74246"))
    assert np.array_equal(adata.X, fresh("gse74246").X)
    assert adata.uns["dtp_cohort"]["orientation"].startswith("Genes are in rows")
