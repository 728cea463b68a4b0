from __future__ import annotations

import re

import pandas as pd
import pytest

from dtp_scvi.datasets import read_beataml


def test_samples_that_do_not_join_are_shown_from_both_sides(expression, curve_fits, sample_map):
    sample_map["dbgap_rnaseq_sample"] = [f"X{i}" for i in range(6)]
    curve_fits["dbgap_rnaseq_sample"] = None
    message = "the expression and the tables of ids to share RNA samples; found none in common: "
    with pytest.raises(
        ValueError, match=message + "BA9001R, BA9002R, BA9003R .* on one side, X0, X1, X2"
    ):
        read_beataml(expression, curve_fits, sample_map=sample_map)


def test_without_a_table_of_ids_one_is_asked_for(expression, wide_auc):
    with pytest.raises(ValueError, match=r"which patient; found none\. Pass `sample_map` or"):
        read_beataml(expression, wide_auc)


def test_patients_that_do_not_join_are_shown(expression, wide_auc, sample_map):
    wide_auc["dbgap_subject_id"] = [1, 2, 3]
    message = "none in common: 501, 502, 504 and 1 more on one side, 1, 2, 3 on the other"
    with pytest.raises(ValueError, match=message):
        read_beataml(expression, wide_auc, sample_map=sample_map)


def test_clinical_rows_that_do_not_join_are_shown(expression, wide_auc, sample_map, clinical):
    clinical["dbgap_rnaseq_sample"] = [f"BA{i}R" for i in range(6)]
    with pytest.raises(ValueError, match=r"to share RNA samples; .* BA0R, BA1R, BA2R and 3 more"):
        read_beataml(expression, wide_auc, clinical, sample_map)


def test_a_sample_of_two_patients_is_refused(expression, wide_auc, sample_map, clinical):
    clinical.loc[0, "dbgap_subject_id"] = 999
    message = "one dbgap_subject_id for each dbgap_rnaseq_sample .* BA9001R with 501, BA9001R with"
    with pytest.raises(ValueError, match=message):
        read_beataml(expression, wide_auc, clinical, sample_map)


def test_text_for_auc_is_refused(expression, curve_fits, wide_auc, sample_map):
    wide_auc["Cytarabine"] = [None, "210.5", "11"]
    message = "AUC as numbers in column 'Cytarabine' of DataFrame; found '210.5' for 501"
    with pytest.raises(ValueError, match=re.escape(message)):
        read_beataml(expression, wide_auc, sample_map=sample_map)
    curve_fits["auc"] = curve_fits["auc"].astype(str)
    with pytest.raises(ValueError, match=r"'100\.0' for Venetoclax.*pandas\.to_numeric"):
        read_beataml(expression, curve_fits, sample_map=sample_map)


@pytest.mark.parametrize("value", [-1.0, 300.5, float("inf")])
def test_auc_off_the_scale_is_refused(expression, wide_auc, sample_map, value):
    wide_auc.loc[0, "Venetoclax"] = value
    with pytest.raises(
        ValueError, match=r"AUC between 0 and 300 in column 'Venetoclax'.* for 502"
    ):
        read_beataml(expression, wide_auc, sample_map=sample_map)


def test_only_fits_that_count_need_be_on_the_scale(expression, curve_fits, sample_map):
    curve_fits.loc[5, "auc"] = 1e6  # did not converge
    read_beataml(expression, curve_fits, sample_map=sample_map)
    curve_fits.loc[0, "auc"] = 1e6
    with pytest.raises(ValueError, match=r"AUC between 0 and 300 .*; found 1e\+06 for BA9001R"):
        read_beataml(expression, curve_fits, sample_map=sample_map)


def test_a_patient_twice_in_a_wide_table_is_refused(expression, wide_auc, sample_map):
    twice = pd.concat([wide_auc, wide_auc.iloc[:1]], ignore_index=True)
    with pytest.raises(
        ValueError, match=r"every dbgap_subject_id .* once; found 502 twice or more"
    ):
        read_beataml(expression, twice, sample_map=sample_map)
    wide_auc["dbgap_subject_id"] = [502, None, 777]
    with pytest.raises(ValueError, match="found rows without one"):
        read_beataml(expression, wide_auc, sample_map=sample_map)


def test_negative_times_are_refused(expression, wide_auc, clinical):
    clinical.loc[0, "overallSurvival"] = -300
    message = "no negative times in column 'overallSurvival' .* -300.* for BA9001R"
    with pytest.raises(ValueError, match=message):
        read_beataml(expression, wide_auc, clinical)


def test_an_unheard_of_vital_status_is_refused(expression, wide_auc, clinical):
    clinical.loc[0, "vitalStatus"] = "Lost"
    with pytest.raises(
        ValueError, match=r"events 0 or 1 in column 'vitalStatus'.*'Lost' for BA9001R"
    ):
        read_beataml(expression, wide_auc, clinical)


def test_two_clinical_rows_of_a_sample_are_refused(expression, wide_auc, clinical):
    twice = pd.concat([clinical, clinical.iloc[:1]], ignore_index=True)
    with pytest.raises(ValueError, match=r"one row of DataFrame for each RNA sample; .* BA9001R"):
        read_beataml(expression, wide_auc, twice)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("auc", "dbgap_subject_id"),
        ("sample_map", "dbgap_rnaseq_sample"),
        ("clinical", "overallSurvival"),
        ("clinical", "vitalStatus"),
    ],
)
def test_missing_columns_are_named(expression, wide_auc, clinical, sample_map, table, column):
    tables = {"auc": wide_auc, "clinical": clinical, "sample_map": sample_map}
    tables[table] = tables[table].drop(columns=column)
    with pytest.raises(KeyError, match=f"a column {column}"):
        read_beataml(expression, **tables)


def test_flags_that_are_neither_true_nor_false_are_refused(expression, curve_fits, sample_map):
    curve_fits["converged"] = "maybe"
    with pytest.raises(ValueError, match=r"true or false in column 'converged'.* maybe"):
        read_beataml(expression, curve_fits, sample_map=sample_map)


def test_match_is_checked(expression, wide_auc):
    with pytest.raises(ValueError, match="`match` to be one of"):
        read_beataml(expression, wide_auc, match="sample")


def test_the_published_header_column_never_becomes_a_sample(expression, wide_auc, sample_map):
    # A public analysis of this cohort had to filter out a sample called entrez_gene_id.
    expression.insert(4, "entrez_gene_id", range(5))
    adata = read_beataml(expression, wide_auc, sample_map=sample_map)
    assert "entrez_gene_id" not in adata.obs_names
    assert adata.var["entrez_gene_id"].tolist() == list(range(5))
