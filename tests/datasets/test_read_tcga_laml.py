from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dtp_scvi.datasets import read_tcga_laml

BARCODES = ["TCGA-AB-9001", "TCGA-AB-9002", "TCGA-AB-9003"]


@pytest.fixture
def expression() -> pd.DataFrame:
    return pd.DataFrame(np.arange(6.0).reshape(2, 3), ["CD34", "KIT"], BARCODES)


@pytest.fixture
def page() -> pd.DataFrame:
    """As the web page of cBioPortal downloads it."""
    return pd.DataFrame(
        {
            "Patient ID": ["TCGA-AB-9002", "TCGA-AB-9001", "TCGA-AB-9009"],
            "Sample ID": ["TCGA-AB-9002-03", "TCGA-AB-9001-03", "TCGA-AB-9009-03"],
            "Diagnosis Age": [50, 61, 70],
            "Bone Marrow Blast Percentage": ["88", "n.d.", "many"],
            "Overall Survival (Months)": [12.0, 4.0, 1.0],
            "Overall Survival Status": ["1:DECEASED", "0:LIVING", "1:DECEASED"],
            "Disease Free (Months)": [8.0, None, 1.0],
            "Disease Free Status": ["1:Recurred/Progressed", "0:DiseaseFree", None],
            "Sex": ["Male", "Female", "Male"],
            "Risk (Molecular)": ["Poor", "Good", "Poor"],
        }
    )


@pytest.fixture
def plain() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "PatientID": BARCODES[:2],
            "Dead": [1.0, 0.0],
            "Time": [0.0, 2000.0],
            "Abnormality": ["Normal", None],
            "Risk1": ["Int", "Low"],
        }
    )


def test_the_page_joins_by_patient(expression, page):
    adata = read_tcga_laml(expression, page)
    assert adata.obs["sample"].tolist() == BARCODES
    np.testing.assert_allclose(adata.obs["time"], [4 * 30.4375, 12 * 30.4375, np.nan])
    np.testing.assert_array_equal(adata.obs["event"], [0, 1, np.nan])
    np.testing.assert_array_equal(adata.obs["age"], [61, 50, np.nan])
    np.testing.assert_array_equal(adata.obs["blast_percentage"], [np.nan, 88, np.nan])
    assert adata.obs["risk"].tolist()[:2] == ["Good", "Poor"]
    record = adata.uns["dtp_cohort"]
    assert record["counts"] == {"samples": 3, "patients": 3, "with_survival": 2, "events": 1}
    assert record["time_unit"] == "days"
    lines = record["report"].set_index(["table", "id"])["reason"]
    assert lines["expression", "TCGA-AB-9003"] == "patient is not in the clinical table"
    assert lines["clinical", "TCGA-AB-9009"] == "no expression"


def test_disease_free_survival(expression, page):
    adata = read_tcga_laml(expression, page, endpoint="dfs")
    np.testing.assert_allclose(adata.obs["time"], [np.nan, 8 * 30.4375, np.nan])
    lines = adata.uns["dtp_cohort"]["report"].set_index("id")["reason"]
    assert lines["TCGA-AB-9001"] == "time or event is missing"
    with pytest.raises(ValueError, match="`endpoint` to be one of"):
        read_tcga_laml(expression, page, endpoint="pfs")


def test_the_plain_table_joins_as_a_merge_does(expression, plain, tmp_path):
    adata = read_tcga_laml(expression.T, plain)
    merged = pd.DataFrame({"PatientID": BARCODES}).merge(plain, how="left")
    np.testing.assert_array_equal(adata.obs["time"], merged["Time"])
    np.testing.assert_array_equal(adata.obs["event"], merged["Dead"])
    assert np.array_equal(adata.X, expression.T)
    adata.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad")
    pd.testing.assert_frame_equal(back.obs, adata.obs)
    for name in ("report", "files"):
        pd.testing.assert_frame_equal(back.uns["dtp_cohort"][name], adata.uns["dtp_cohort"][name])


def test_long_barcodes_are_of_the_same_patients(expression, plain):
    expression.columns = [f"{name}-03A-01T-0736-13" for name in BARCODES]
    adata = read_tcga_laml(expression, plain)
    assert adata.obs["patient"].tolist() == BARCODES
    expression.columns = [name.replace("-", ".") for name in BARCODES]
    assert read_tcga_laml(expression, plain).obs["patient"].tolist() == BARCODES


def test_bad_names_are_refused(expression, plain):
    with pytest.raises(ValueError, match="barcodes like TCGA-AB-2802 in expression; found s1, s2"):
        read_tcga_laml(expression.set_axis(["s1", "s2", "s3"], axis=1), plain)
    twice = expression.set_axis([f"{BARCODES[0]}-03", f"{BARCODES[0]}-04", BARCODES[1]], axis=1)
    with pytest.raises(ValueError, match="one sample a patient; found several of TCGA-AB-9001"):
        read_tcga_laml(twice, plain)
    plain["PatientID"] = ["TCGA-AB-1111", "TCGA-AB-2222"]
    with pytest.raises(
        ValueError,
        match=r"none in common: TCGA-AB-9001, .* on one side, TCGA-AB-1111, TCGA-AB-2222",
    ):
        read_tcga_laml(expression, plain)
