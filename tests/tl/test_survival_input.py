"""What is refused, warned of or left out before survival is related to a score."""

from __future__ import annotations

import sys

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp

RUN = {"n_boot": 5}


@pytest.fixture
def patients() -> ad.AnnData:
    rng = np.random.default_rng(0)
    n = 120
    score = rng.normal(size=n)
    time, lost = rng.exponential(300 / np.exp(0.6 * score)), rng.uniform(50, 900, n)
    obs = pd.DataFrame(
        {
            "dtp_logit": score,
            "dtp_score": dtp.stats.sigmoid(score),
            "dtp_rank": pd.Series(score).rank().to_numpy() / n,
            "time": np.minimum(time, lost).round(1),
            "event": (time <= lost).astype(int),
            "age": rng.normal(60, 10, n),
            "fab": np.array(["M1", "M2", "M4"])[rng.integers(0, 3, n)],
        },
        index=[f"s{i:03d}" for i in range(n)],
    )
    return ad.AnnData(np.zeros((n, 1), dtype=np.float32), obs=obs)


def stored(adata) -> dict:
    return adata.uns["dtp_survival"]


def refused(adata, match: str, error=ValueError, **arguments) -> None:
    with pytest.raises(error, match=match):
        dtp.tl.survival(adata, **RUN | arguments)
    # Nothing is written by a call that fails.
    assert "dtp_survival" not in adata.uns


@pytest.mark.parametrize(
    "kind",
    [
        lambda e: e.astype(bool),
        lambda e: e.astype(float),
        lambda e: e.astype("boolean"),
        lambda e: e.astype("Int64"),
        lambda e: e.astype(bool).astype(object),
        lambda e: e.astype("category"),
    ],
)
def test_events_may_be_of_any_kind_that_means_0_and_1(patients, kind):
    first = dtp.tl.survival(patients, **RUN)
    patients.obs["event"] = kind(patients.obs["event"])
    pd.testing.assert_frame_equal(dtp.tl.survival(patients, **RUN), first)


def test_words_and_other_codes_for_events_are_refused(patients):
    event = patients.obs["event"]
    patients.obs["event"] = event.map({1: "Dead", 0: "Alive"})
    refused(
        patients,
        r"events as 0/1 or booleans in adata.obs\['event'\]; found 'Alive', 'Dead'.*\.map\({'Dead': 1, 'Alive': 0}\)",
    )
    patients.obs["event"] = event.map({1: "1:DECEASED", 0: "0:LIVING"})
    refused(patients, r"found '0:LIVING', '1:DECEASED'.*\.map\({'1:DECEASED': 1, '0:LIVING': 0}\)")
    patients.obs["event"] = event + 1
    refused(patients, r"found 1, 2.*\.map\({2: 1, 1: 0}\)")


def test_the_line_in_the_message_mends_the_column(patients):
    dtp.tl.survival(patients, **RUN)
    first = stored(patients)["table"]
    adata = patients
    status = adata.obs["event"].map({1: "Dead", 0: "Alive"})
    adata.obs["vital"] = pd.Categorical([*status[:-1], "Unknown"])
    with pytest.raises(ValueError, match="found 'Alive', 'Dead', 'Unknown'") as error:
        dtp.tl.survival(adata, event_key="vital", **RUN)
    exec(str(error.value).split("for example: ")[1])
    assert adata.obs["event"].isna().sum() == 1
    assert (adata.obs["event"] == 1).equals(adata.obs["vital"] == "Dead")
    adata.obs["event"] = status.map({"Dead": 1, "Alive": 0})
    dtp.tl.survival(adata, **RUN)
    pd.testing.assert_frame_equal(stored(adata)["table"], first)


def test_bad_times_are_refused(patients):
    patients.obs.loc[["s003", "s007"], "time"] = -1.0
    refused(
        patients,
        r"times >= 0 in adata.obs\['time'\]; found 2 negative, smallest -1 \(rows s003, s007\)"
        r".*-1 often stands for missing",
    )
    patients.obs["time"] = patients.obs["time"].where(patients.obs["time"] >= 0)
    assert dtp.tl.survival(patients, **RUN).loc[0, "n"] == 118
    del patients.uns["dtp_survival"]
    patients.obs.loc["s003", "time"] = np.inf
    refused(patients, r"finite numbers in adata.obs\['time'\]; found 1 infinite")
    patients.obs["time"] = patients.obs["time"].astype(str)
    refused(patients, r"numbers in adata.obs\['time'\] \(`time_key`\).*pd.to_numeric")


def test_missing_rows_are_counted_and_said(patients):
    patients.obs.loc[patients.obs_names[:5], "time"] = np.nan
    patients.obs.loc[patients.obs_names[3:10], "age"] = np.nan
    table = dtp.tl.survival(patients, covariates=["age"], **RUN)
    assert (table["n"] == 110).all()
    assert (
        "10 of 120 rows were left out for missing values (time 5, age 7)"
        in table.loc[0, "sentence"]
    )
    params = stored(patients)["params"]
    assert params["missing"] == {"time": 5, "age": 7}
    assert (params["n_rows"], params["n_dropped"], params["n_patients"]) == (120, 10, 110)
    complete = patients[patients.obs[["time", "age"]].notna().all(axis=1)].copy()
    again = dtp.tl.survival(complete, covariates=["age"], **RUN)
    assert again["estimate"].tolist() == table["estimate"].tolist()


def test_many_missing_rows_are_warned_of(patients):
    patients.obs.loc[patients.obs_names[:40], "event"] = np.nan
    with pytest.warns(UserWarning, match=r"40 of 120 rows lack a value.*\(event 40\)"):
        dtp.tl.survival(patients, **RUN)
    del patients.uns["dtp_survival"]
    patients.obs["event"] = np.nan
    with pytest.warns(UserWarning, match="120 of 120"):
        refused(patients, r"at least 10 complete patients; found 0 of 120 rows \(120 lack event\)")


def test_all_censored_and_a_constant_score_are_refused(patients):
    patients.obs["constant"] = 1.0
    refused(patients, r"found 1 in all 120 patients", score_key="constant")
    patients.obs["event"] = 0
    refused(patients, r"events in adata.obs\['event'\]; found none: all 120 .* censored")


def test_covariates_that_cannot_be_fitted_are_refused(patients):
    obs = patients.obs
    obs["copy"] = -3 * obs["dtp_logit"] + np.random.default_rng(1).normal(0, 0.3, 120)
    refused(
        patients, r"copy with a correlation of -0\.9[89]\d with the score", covariates=["copy"]
    )
    obs["half"] = obs["dtp_logit"] + obs["age"]
    refused(
        patients,
        r"age, half with a multiple correlation of 1\.000 with the score",
        covariates=["age", "half"],
    )
    obs["one"] = "diagnosis"
    refused(patients, r"found 'diagnosis' in all 120", covariates=["one"])
    obs["months"] = obs["age"] * 12
    refused(
        patients,
        r"found a linear relation among age, months",
        covariates=["age", "months"],
    )
    obs["hot"] = np.where(obs["age"] > 60, np.inf, 1.0)
    refused(patients, r"finite numbers in adata.obs\['hot'\]", covariates=["hot"])


def test_a_score_by_category_is_collinear_too(patients):
    levels = pd.Series({"M1": -1.0, "M2": 0.0, "M4": 2.0})
    noise = np.random.default_rng(0).normal(0, 0.05, 120)
    patients.obs["dtp_logit"] = patients.obs["fab"].map(levels).astype(float) + noise
    refused(patients, r"fab with a multiple correlation of 0.99\d", covariates=["fab"])


def test_keys_are_checked(patients):
    refused(patients, r"`time_key`.*found 'tme'. Did you mean time", KeyError, time_key="tme")
    refused(patients, r"`covariates`.*found 'agee'", KeyError, covariates=["agee"])
    refused(patients, r"`strata`.*found 'fabb'", KeyError, strata=["fabb"])
    refused(patients, r"found 'age' named twice", covariates=["age"], strata=["age"])
    refused(
        patients, r"`covariates` as a list of columns; found 'age'", TypeError, covariates="age"
    )


@pytest.mark.parametrize("cut", [["median", "tertiles"], (0.1, 0.5), np.array([0.1, 0.5])])
def test_more_than_one_cut_is_refused_and_the_message_says_why(patients, cut):
    refused(patients, r"found 2 of them. The best of several cuts shows a difference", cut=cut)


@pytest.mark.parametrize("cut", ["best", "optimal", None, float("nan"), True])
def test_unknown_cuts_are_refused(patients, cut):
    refused(patients, r"`cut` to be one of 'median', 'tertiles'", cut=cut)


@pytest.mark.parametrize("horizon", [1e6, 0.01, [100, 1e6]])
def test_horizons_outside_the_follow_up_are_refused(patients, horizon):
    refused(patients, r"`horizon` from the first event .* to before the longest", horizon=horizon)


def test_few_events_are_said_in_the_result(patients):
    died = np.flatnonzero(patients.obs["event"])
    patients.obs.iloc[died[15:], patients.obs.columns.get_loc("event")] = 0
    with pytest.warns(UserWarning, match=r"Only 15 events for 2 terms, fewer than 10 each"):
        table = dtp.tl.survival(patients, covariates=["age"], **RUN).set_index("term")
    for term in ("hazard_ratio", "hazard_ratio_adjusted"):
        assert "the estimate is unstable" in table.loc[term, "sentence"]
    assert stored(patients)["params"]["few_events"] is True
    dtp.tl.survival(patients, **RUN)
    assert stored(patients)["params"]["few_events"] is False


def test_several_rows_of_a_patient_are_refused_unless_the_column_is_named(patients):
    patients.obs["patient"] = patients.obs_names.to_numpy()
    twice = ad.concat([patients, patients[:30]], index_unique="-", keys=["a", "b"])
    shift = np.where(np.arange(150) >= 120, 0.5, 0.0)
    twice.obs["dtp_logit"] += shift
    refused(twice, r"30 of 120 patients with several rows.*patient_key='patient' to average")
    table = dtp.tl.survival(twice, patient_key="patient", **RUN)
    assert (table["n"] == 120).all()
    assert stored(twice)["params"]["n_averaged"] == 30
    patients.obs["dtp_logit"] += np.where(np.arange(120) < 30, 0.25, 0.0)
    expected = dtp.tl.survival(patients, **RUN)
    assert table["estimate"].tolist() == pytest.approx(expected["estimate"].tolist(), nan_ok=True)


def test_patients_with_two_survivals_are_refused(patients):
    patients.obs["person"] = [f"p{i // 2}" for i in range(120)]
    refused(patients, r"one time a patient; found 60 patients with several", patient_key="person")
    patients.obs["time"] = patients.obs.groupby("person")["time"].transform("first")
    patients.obs["event"] = patients.obs.groupby("person")["event"].transform("first")
    refused(
        patients,
        r"one fab a patient; found \d+ patients with several, such as 'p",
        patient_key="person",
        covariates=["fab"],
    )
    assert dtp.tl.survival(patients, patient_key="person", **RUN).loc[0, "n"] == 60


def test_a_patient_without_a_name_is_refused(patients):
    patients.obs["patient"] = [None, *patients.obs_names[1:]]
    refused(patients, r"a value for every row in adata.obs\['patient'\]; found 1 missing")


def test_cells_taken_for_patients_are_warned_of(patients):
    cells = ad.concat([patients[:20]] * 12, index_unique="-", keys=list("abcdefghijkl"))
    cells.obs["dtp_logit"] += np.random.default_rng(0).normal(size=240)
    with pytest.warns(UserWarning, match=r"240 rows share 20 pairs.*`patient_key`"):
        dtp.tl.survival(cells, **RUN)


@pytest.mark.parametrize("sign", [1, -1])
def test_saturated_scores_are_not_split(patients, sign):
    patients.obs["dtp_logit"] = sign * (8 + patients.obs["dtp_logit"])
    patients.obs["dtp_score"] = dtp.stats.sigmoid(patients.obs["dtp_logit"].to_numpy())
    where = "above 0.95" if sign > 0 else "below 0.05"
    for key in ("dtp_logit", "dtp_score"):
        table = dtp.tl.survival(patients, score_key=key, **RUN).set_index("term")
        reason = stored(patients)["params"]["no_split"]
        assert f"The scores saturate: 100% of the probabilities lie {where}" in reason
        assert stored(patients)["km"].empty
        assert table.loc[["logrank", "rmst_difference"], "estimate"].isna().all()
        assert reason in table.loc["logrank", "sentence"]
        assert np.isfinite(table.loc["hazard_ratio", "estimate"])
    # Order alone can still be asked for by name.
    dtp.tl.survival(patients, score_key="dtp_rank", **RUN)
    assert stored(patients)["params"]["no_split"] == ""
    assert not stored(patients)["km"].empty


def test_no_split_survives_a_file(patients, tmp_path):
    dtp.tl.survival(patients, cut=100.0, **RUN)
    reason = stored(patients)["params"]["no_split"]
    assert "fewer than 10 patients in a group (low 120, high 0)" in reason
    patients.write_h5ad(tmp_path / "p.h5ad")
    read = stored(ad.read_h5ad(tmp_path / "p.h5ad"))
    assert read["params"]["no_split"] == reason
    assert read["km"].empty
    assert list(read["km"]) == list(stored(patients)["km"])


def test_ties_at_the_median_are_not_split(patients):
    patients.obs["ties"] = np.maximum(patients.obs["dtp_logit"], 0.5)
    table = dtp.tl.survival(patients, score_key="ties", **RUN).set_index("term")
    reason = stored(patients)["params"]["no_split"]
    assert "Too many patients share the score at the cut: 2 equal groups were meant" in reason
    assert "Not tested for ties: " in table.loc["non_linearity", "sentence"]
    assert np.isnan(table.loc["non_linearity", "p"])


def test_a_score_that_sorts_all_events_apart_is_refused(patients):
    patients.obs["time"] = np.arange(120.0) + 1
    patients.obs["event"] = 1
    patients.obs["perfect"] = -patients.obs["time"]
    refused(patients, "found no convergence: .*no finite hazard ratio", score_key="perfect")


def test_a_category_without_an_event_is_said_in_the_result(patients):
    rare = np.zeros(120, dtype=bool)
    rare[np.flatnonzero(patients.obs["event"] == 0)[:6]] = True
    patients.obs["rare"] = np.where(rare, "yes", "no")
    patients.obs["time"] = np.where(rare, 900.0, patients.obs["time"])
    with pytest.warns(UserWarning, match="lifelines doubts the fit: Column rare: yes against no"):
        table = dtp.tl.survival(patients, covariates=["rare"], **RUN).set_index("term")
    assert "lifelines doubts the fit" in table.loc["hazard_ratio_adjusted", "sentence"]
    assert "lifelines doubts the fit" not in table.loc["hazard_ratio", "sentence"]


def test_without_lifelines_the_extra_is_named(patients, monkeypatch):
    monkeypatch.setitem(sys.modules, "lifelines", None)
    with pytest.raises(ImportError, match=r"pip install 'dtp-scvi\[survival\]'"):
        dtp.tl.survival(patients)
