"""Survival of one gene in two public leukaemia cohorts, beside lifelines run alone."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp

lifelines = pytest.importorskip("lifelines")

TCGA = "tcga_laml/tcga_laml_rsem_712genes_173patients.csv.gz"
TCGA_SURVIVAL = "tcga_laml/tcga_laml_survival_186.csv"
BEAT = "beataml2/beataml2_norm_exp_493genes_566samples.csv.gz"
BEAT_MAP = "beataml2/expression_sample_map.csv"
BEAT_CLINICAL = "beataml2/beataml_wv1to4_clinical.xlsx"
TCGA_GENE, BEAT_GENE = "CD34", "FLT3"


def as_cohort(obs: pd.DataFrame) -> ad.AnnData:
    obs.index = obs.index.astype(str)
    return ad.AnnData(np.zeros((len(obs), 1), dtype=np.float32), obs=obs)


@pytest.fixture(scope="module")
def tcga(path_of) -> ad.AnnData:
    genes = pd.read_csv(path_of(TCGA), index_col=0)
    survival = pd.read_csv(path_of(TCGA_SURVIVAL)).set_index("PatientID")
    joined = survival.assign(gene=np.log2(genes.loc[TCGA_GENE] + 1))
    return as_cohort(joined[joined["gene"].notna()].copy())


@pytest.fixture(scope="module")
def beat(path_of) -> ad.AnnData:
    pytest.importorskip("openpyxl")
    genes = pd.read_csv(path_of(BEAT), index_col=0)
    links = pd.read_csv(path_of(BEAT_MAP)).set_index("dbgap_rnaseq_sample")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl on the style sheet of the file
        clinical = pd.read_excel(path_of(BEAT_CLINICAL), sheet_name=0)
    columns = ["overallSurvival", "vitalStatus", "ageAtDiagnosis"]
    by_patient = clinical.groupby("dbgap_subject_id")[columns].first()
    score = pd.DataFrame({"gene": genes.loc[BEAT_GENE]})
    score["patient"] = links["dbgap_subject_id"].reindex(score.index).to_numpy()
    return as_cohort(score.join(by_patient, on="patient"))


def alone(obs: pd.DataFrame, time: str, event: str, covariates: list[str]) -> pd.Series:
    """Fit by lifelines without this package; the row of the score."""
    table = obs[[time, event, "gene", *covariates]].dropna().astype(float)
    table["gene"] = (table["gene"] - table["gene"].mean()) / table["gene"].std()
    return lifelines.CoxPHFitter().fit(table, time, event).summary.loc["gene"]


def test_tcga_laml(tcga):
    table = dtp.tl.survival(
        tcga, time_key="Time", event_key="Dead", score_key="gene", n_boot=100
    ).set_index("term")
    row = table.loc["hazard_ratio"]
    assert row["n"] == 161
    other = alone(tcga.obs, "Time", "Dead", [])
    assert row["estimate"] == pytest.approx(other["exp(coef)"], rel=1e-5)
    assert row["p"] == pytest.approx(other["p"], rel=1e-4)
    assert table.loc["concordance", "low"] < table.loc["concordance", "estimate"]
    assert tcga.uns["dtp_survival"]["params"]["no_split"] == ""


def test_vital_status_as_it_comes_is_refused(beat):
    with pytest.raises(
        ValueError, match=r"found 'Alive', 'Dead', 'Unknown'.*'Dead': 1, 'Alive': 0"
    ):
        dtp.tl.survival(
            beat, time_key="overallSurvival", event_key="vitalStatus", score_key="gene"
        )


def test_beataml(beat):
    mended = beat.copy()
    obs = mended.obs
    obs["time"] = obs["overallSurvival"].where(obs["overallSurvival"] >= 0)
    obs["event"] = (obs["vitalStatus"] == "Dead").where(obs["vitalStatus"].isin(["Dead", "Alive"]))
    table = dtp.tl.survival(mended, score_key="gene", n_boot=100).set_index("term")
    row = table.loc["hazard_ratio"]
    assert (row["n"], row["n_events"]) == (548, 333)
    other = alone(obs, "time", "event", [])
    assert row["estimate"] == pytest.approx(other["exp(coef)"], rel=1e-5)
    adjusted = dtp.tl.survival(
        mended, score_key="gene", covariates=["ageAtDiagnosis"], n_boot=100
    ).set_index("term")
    other = alone(obs, "time", "event", ["ageAtDiagnosis"])
    row = adjusted.loc["hazard_ratio_adjusted"]
    assert row["estimate"] == pytest.approx(other["exp(coef)"], rel=1e-5)
    # Age is known to shorten survival in leukaemia.
    cox = mended.uns["dtp_survival"]["cox"].set_index("term")
    assert cox.loc["ageAtDiagnosis", "low"] > 1
