"""Bad input of tl.drug_response is named, with what to do about it."""

from __future__ import annotations

import numpy as np
import pytest

import dtp_scvi as dtp

QUICK = {"n_boot": 5, "n_permutations": 5}


def put(name, value):
    def change(adata):
        adata.obs[name] = value(adata) if callable(value) else value

    return change


def put_auc(function):
    def change(adata):
        adata.obsm["drug_auc"] = function(adata.obsm["drug_auc"])

    return change


CASES = [
    (put("dtp_score", 0.5), {}, ValueError, "a score that varies .* found 0.5 for all 100"),
    (put("dtp_score", np.nan), {}, ValueError, "only missing values. Run dtp.tl.score first"),
    (
        put("dtp_score", "high"),
        {},
        TypeError,
        r"numbers in adata.obs\['dtp_score'\]; found object",
    ),
    (put("dtp_score", lambda a: np.arange(100) / 0.0), {}, ValueError, "infinity in row"),
    (None, {"score_key": "dtp_scor"}, KeyError, "Did you mean dtp_score"),
    (None, {"auc_key": "drug_auk"}, KeyError, "Did you mean drug_auc"),
    (None, {"patient_key": "who"}, KeyError, "`patient_key` to name a key of adata.obs"),
    (None, {"covariates": ["age"]}, KeyError, "`covariates` to name a key"),
    (None, {"covariates": "age"}, TypeError, r"Pass \['age'\]"),
    (put("patient", lambda a: [None, *a.obs_names[1:]]), {}, ValueError, "1 missing of 100"),
    (put_auc(lambda t: t.astype(str)), {}, TypeError, "object for drug 'd0' .* pandas.to_numeric"),
    (put_auc(lambda t: t.to_numpy()), {}, TypeError, "a DataFrame with a column per drug"),
    (put_auc(lambda t: t * np.nan), {}, ValueError, "in at least 50 scored patients; found 0"),
    (put_auc(lambda t: t.replace(t.iloc[1, 1], np.inf)), {}, ValueError, "infinity for drug"),
    (put_auc(lambda t: t.set_axis(["a"] * 7, axis=1)), {}, ValueError, "one column per drug"),
    (None, {"min_patients": 99}, ValueError, "in at least 99 scored patients; found [67]"),
    (None, {"min_patients": 5}, ValueError, r"`min_patients` in \[15, inf\]"),
    (None, {"direction": "up"}, ValueError, "`direction` to be one of 'higher_is_resistant'"),
    (None, {"guards": "off"}, ValueError, "`guards` to be one of 'raise', 'warn'"),
    (None, {"auc_range": (300, 0)}, ValueError, "`auc_range` as"),
    (None, {"n_boot": 0}, ValueError, "`n_boot` to be a whole number"),
    (None, {"n_permutations": 0}, ValueError, "`n_permutations` to be a whole number"),
    (put("c", 1.0), {"covariates": ["c"]}, ValueError, "covariate 'c' to vary"),
]


@pytest.mark.parametrize(("change", "options", "error", "match"), CASES)
def test_bad_input_is_named_and_nothing_is_written(measured, change, options, error, match):
    adata = measured(100)
    if change is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            change(adata)
    with pytest.raises(error, match=match):
        dtp.tl.drug_response(adata, **{**QUICK, **options})
    assert "dtp_drug_response" not in adata.uns


def test_a_collinear_covariate_is_named_with_its_correlation(measured):
    adata = measured(100)
    adata.obs["also"] = np.exp(adata.obs["dtp_logit"])
    adata.obs["age"] = np.random.default_rng(9).normal(size=100)
    with pytest.raises(ValueError, match=r"rank correlation 1\.000 of 'also' with 'dtp_score'"):
        dtp.tl.drug_response(adata, covariates=["age", "also"], **QUICK)


def test_covariates_that_determine_the_score_together_are_refused(measured):
    adata = measured(100)
    site = np.arange(100) % 3
    adata.obs["site"] = site.astype(str)
    adata.obs["dtp_score"] = np.array([0.2, 0.9, 0.4])[site]
    with (
        pytest.warns(UserWarning, match="of 100 patients have the value"),
        pytest.raises(ValueError, match=r"all covariates together: 1\.000"),
    ):
        dtp.tl.drug_response(adata, covariates=["site"], **QUICK)


def test_a_patient_has_one_category(measured):
    adata = measured(120)
    adata.obs["patient"] = np.repeat([f"p{i}" for i in range(60)], 2)
    adata.obs["site"] = ["x", "y"] * 60
    with pytest.raises(ValueError, match="one value of covariate 'site' for each patient; found"):
        dtp.tl.drug_response(adata, patient_key="patient", covariates=["site"], **QUICK)


def test_repeated_rows_without_a_patient_column_are_refused(measured):
    adata = measured(100)
    adata.obs_names = [f"s{i // 2}" for i in range(100)]
    with pytest.raises(ValueError, match="several rows called s0, s1, s2"):
        dtp.tl.drug_response(adata, **QUICK)


def test_a_direction_that_the_reader_contradicts_is_refused(measured):
    adata = measured(100)
    adata.uns["dtp_cohort"] = {"direction": "higher_is_resistant"}
    with pytest.raises(ValueError, match="'higher_is_resistant'; found 'higher_is_sensitive'"):
        dtp.tl.drug_response(adata, direction="higher_is_sensitive", **QUICK)
