from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtp_scvi.datasets import read_beataml


def lines(adata) -> pd.DataFrame:
    return adata.uns["dtp_cohort"]["report"]


def reason(adata, table: str, name: str) -> list[str]:
    report = lines(adata)
    return report.loc[(report["table"] == table) & (report["id"] == name), "reason"].tolist()


@pytest.fixture
def release(tmp_path, expression, curve_fits, clinical, sample_map):
    """The four files under their official names."""
    paths = {
        "expression": tmp_path / "beataml_waves1to4_norm_exp_dbgap.txt",
        "auc": tmp_path / "beataml_probit_curve_fits_v4_dbgap.txt",
        "clinical": tmp_path / "beataml_wv1to4_clinical.xlsx",
        "sample_map": tmp_path / "beataml_waves1to4_sample_mapping.xlsx",
    }
    expression.to_csv(paths["expression"], sep="\t", index=False)
    curve_fits.to_csv(paths["auc"], sep="\t", index=False)
    clinical.to_excel(paths["clinical"], index=False, sheet_name="summary")
    sample_map.to_excel(paths["sample_map"], index=False)
    return paths


def test_the_release_is_read_under_its_own_names(release, expression):
    adata = read_beataml(**release)
    # 9005 has no clinical row, 9006 is of a healthy person.
    assert adata.obs_names.tolist() == ["BA9001R", "BA9002R", "BA9003R", "BA9004R", "BA9005R"]
    assert adata.obs["patient"].tolist() == ["501", "502", "502", "504", "506"]
    assert adata.var_names.tolist()[:4] == ["FLT3", "CD34", "KIT", "ENSG00000000004"]
    by_hand = expression[list(adata.obs_names)].to_numpy(np.float32).T
    assert np.array_equal(adata.X, by_hand)
    assert reason(adata, "expression", "BA9006R") == ["healthy control"]
    files = adata.uns["dtp_cohort"]["files"]
    assert files["role"].tolist() == ["expression", "auc", "clinical", "sample_map"]
    assert files["name"].tolist() == [path.name for path in release.values()]
    assert files["sha256"].str.fullmatch("[0-9a-f]{64}").all()


def test_a_specimen_gets_its_own_response(release):
    adata = read_beataml(**release)
    auc = adata.obsm["drug_auc"]
    assert adata.uns["dtp_cohort"]["match"] == "specimen"
    # 9001: the median of two fits; 9002: named by its DNA sample only; 9003 is another
    # specimen of the same patient; 9004: left out by the study.
    np.testing.assert_array_equal(auc["Venetoclax"], [110, 50, 250, np.nan, np.nan])
    np.testing.assert_array_equal(auc["MEK1_2 Inhibitor"], [200] + [np.nan] * 4)
    assert auc.dtypes.unique().tolist() == [np.dtype("float64")]
    assert set(auc) == {"Venetoclax", "MEK1_2 Inhibitor"}


def test_every_lost_fit_is_listed_with_its_reason(release):
    adata = read_beataml(**release)
    assert reason(adata, "auc", "BA9003R") == ["curve fit that did not converge"]
    assert reason(adata, "auc", "BA9004R") == ["curve fit that the study left out"]
    assert reason(adata, "auc", "BA9007D") == ["names none of the RNA samples"]
    assert reason(adata, "auc", "BA9099R") == [
        "AUC is missing",
        "not among the RNA samples of the expression table",
    ]
    assert set(reason(adata, "auc", "BA9001R")) == {
        "combination of drugs",
        "several fits of one drug; their median was taken",
    }
    assert reason(adata, "auc", "Ibrutinib") == ["drug without a value on any sample"]
    assert "a slash in its name became _" in reason(adata, "auc", "MEK1/2 Inhibitor")[0]
    dropped = lines(adata).query("table == 'auc' and outcome == 'dropped' and id != 'Ibrutinib'")
    # 11 fits: five on a sample, six not.
    assert dropped["rows"].sum() == 6


def test_by_patient_the_median_over_specimens_is_shared(release):
    adata = read_beataml(**release, match="patient")
    auc = adata.obsm["drug_auc"]["Venetoclax"]
    np.testing.assert_array_equal(auc, [110, 150, 150, np.nan, np.nan])
    assert adata.uns["dtp_cohort"]["match"] == "patient"


def test_survival_and_clinical_columns_join_by_sample(release):
    adata = read_beataml(**release)
    obs = adata.obs
    np.testing.assert_array_equal(obs["time"], [300, 800, 800, np.nan, np.nan])
    np.testing.assert_array_equal(obs["event"], [1, 0, 0, np.nan, np.nan])
    assert obs["wave"].tolist()[:4] == ["Waves1+2", "Both", "Both", "Waves3+4"]
    assert obs["stage"].astype(object).where(obs["stage"].notna(), "-").tolist() == [
        "Initial Diagnosis", "Relapse", "Initial Diagnosis", "-", "-",
    ]  # fmt: skip
    # Marrow for the aspirate, blood for the others; "rare" and ">90" are no numbers.
    np.testing.assert_array_equal(obs["blast_percentage"], [85, np.nan, 55, np.nan, np.nan])
    assert "'rare' is no number" in reason(adata, "clinical", "BA9002R")[0]
    assert reason(adata, "clinical", "BA9004R")[0] == "vital status unknown: no survival"
    assert reason(adata, "clinical", "BA9007D") == ["specimen without an RNA sample"]
    assert reason(adata, "clinical", "BA9099R") == ["RNA sample is not in the expression table"]
    assert "not in the clinical table" in reason(adata, "expression", "BA9005R")


def test_minus_one_day_is_missing(expression, curve_fits, clinical):
    expression["BA9099R"] = 1.0
    adata = read_beataml(expression, curve_fits, clinical)
    row = adata.obs.loc["BA9099R"]
    assert np.isnan(row["time"])
    assert np.isnan(row["event"])
    assert "overallSurvival is -1, so missing" in reason(adata, "clinical", "BA9099R")


def test_counts_are_of_patients(release):
    counts = read_beataml(**release).uns["dtp_cohort"]["counts"]
    assert counts == {
        "samples": 5, "patients": 4, "patients_with_several_samples": 1, "drugs": 2,
        "auc_values": 4, "patients_with_auc": 2, "patients_with_survival": 2,
        "patients_with_event": 1,
    }  # fmt: skip


def test_one_sample_a_patient_is_that_of_the_diagnosis(release):
    several = read_beataml(**release)
    assert reason(several, "expression", "502") == ["patient with several samples"]
    adata = read_beataml(**release, one_sample_per_patient=True)
    # 9002 comes first in the table and has a response, but is a relapse.
    assert adata.obs_names.tolist() == ["BA9001R", "BA9003R", "BA9004R", "BA9005R"]
    assert reason(adata, "expression", "BA9002R")[-1] == "another sample of its patient was taken"
    assert reason(adata, "expression", "502") == []
    assert list(adata.obs["patient"].cat.categories) == ["501", "502", "504", "506"]


def test_units_direction_and_licence_are_written(release):
    record = read_beataml(**release).uns["dtp_cohort"]
    assert (record["auc_low"], record["auc_high"]) == (0.0, 300.0)
    assert record["direction"] == "higher_is_resistant"
    assert record["time_unit"] == "days"
    assert record["licence"] == "CC-BY-4.0"
    assert "Bottomly" in record["attribution"]
    assert record["expression_scale"].startswith("log2")


def test_a_wide_table_joins_by_patient_as_a_merge_does(expression, wide_auc, sample_map):
    adata = read_beataml(expression, wide_auc, sample_map=sample_map)
    merged = sample_map.iloc[:5].merge(wide_auc, on="dbgap_subject_id", how="left")
    for drug in ("Venetoclax", "Cytarabine"):
        np.testing.assert_array_equal(adata.obsm["drug_auc"][drug], merged[drug])
    assert adata.uns["dtp_cohort"]["match"] == "patient"
    assert reason(adata, "auc", "777") == ["not among the patients of the expression table"]
    assert reason(adata, "auc", "Trametinib") == ["drug without a value on any sample"]
    assert "time" not in adata.obs
    indexed = read_beataml(
        expression, wide_auc.set_index("dbgap_subject_id"), sample_map=sample_map
    )
    pd.testing.assert_frame_equal(indexed.obsm["drug_auc"], adata.obsm["drug_auc"])
    with pytest.raises(ValueError, match="an AUC table that names specimens; found patients only"):
        read_beataml(expression, wide_auc, sample_map=sample_map, match="specimen")


def test_a_wide_table_may_name_samples(expression, sample_map):
    auc = pd.DataFrame({"dbgap_rnaseq_sample": ["BA9002R"], "Venetoclax": [12.0]})
    adata = read_beataml(expression, auc, sample_map=sample_map)
    expected = [np.nan, 12, np.nan, np.nan, np.nan]
    np.testing.assert_array_equal(adata.obsm["drug_auc"]["Venetoclax"], expected)


def test_curve_fits_alone_tell_who_is_who(expression, curve_fits):
    adata = read_beataml(expression, curve_fits)
    # The fit of 9004 does not count, but it says whose sample it is.
    assert adata.obs["patient"].to_dict() == {"BA9001R": "501", "BA9003R": "502", "BA9004R": "504"}
    gone = reason(adata, "expression", "BA9005R")
    assert gone == ["no table says which patient it is of"]


def test_counts_are_recognised(expression, curve_fits, sample_map):
    samples = [name for name in expression if name.startswith("BA")]
    expression[samples] = expression[samples].abs().round()
    adata = read_beataml(expression, curve_fits, sample_map=sample_map)
    assert adata.uns["dtp_cohort"]["expression_scale"] == "counts"


def test_drugs_are_picked_in_any_case(release):
    assert list(read_beataml(**release, drugs=["venetoclax"]).obsm["drug_auc"]) == ["Venetoclax"]
    with pytest.raises(KeyError, match=r"found 'venetoclaks'\. Did you mean Venetoclax"):
        read_beataml(**release, drugs=["venetoclaks"])


def test_combinations_are_kept_on_request(release):
    auc = read_beataml(**release, combinations=True).obsm["drug_auc"]
    assert auc.loc["BA9001R", "Venetoclax - Sorafenib"] == 9.0


def test_the_result_is_written_and_read_back(release, tmp_path):
    adata = read_beataml(**release)
    adata.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad")
    pd.testing.assert_frame_equal(back.obs, adata.obs)
    pd.testing.assert_frame_equal(back.obsm["drug_auc"], adata.obsm["drug_auc"])
    ours, theirs = adata.uns["dtp_cohort"], back.uns["dtp_cohort"]
    assert set(ours) == set(theirs)
    for name in ours:
        if isinstance(ours[name], pd.DataFrame):
            pd.testing.assert_frame_equal(theirs[name], ours[name])
        else:
            assert theirs[name] == ours[name]


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 10_000))
def test_order_of_rows_and_columns_does_not_matter(
    expression, curve_fits, clinical, sample_map, seed
):
    rng = np.random.default_rng(seed)
    straight = read_beataml(expression, curve_fits, clinical, sample_map)
    mixed = [
        t.iloc[rng.permutation(len(t)), rng.permutation(t.shape[1])].reset_index(drop=True)
        for t in (expression, curve_fits, clinical, sample_map)
    ]
    other = read_beataml(*mixed)[straight.obs_names, straight.var_names]
    assert np.array_equal(other.X, straight.X)
    pd.testing.assert_frame_equal(other.obs, straight.obs, check_like=True)
    pd.testing.assert_frame_equal(
        other.obsm["drug_auc"], straight.obsm["drug_auc"], check_like=True
    )
    order = ["table", "id", "reason"]
    ours, theirs = (lines(a).sort_values(order)[[*order, "rows"]] for a in (straight, other))
    assert ours.to_numpy().tolist() == theirs.to_numpy().tolist()
