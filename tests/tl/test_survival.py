"""Survival of a score: against statsmodels, with planted truth, and what must not matter."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, norm, rankdata
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

import dtp_scvi as dtp

RATIO = 1.8


def cohort(n: int = 150, seed: int = 0, *, ratio: float = RATIO) -> ad.AnnData:
    """Patients whose exponential survival has ``ratio`` per SD of the score, and on age."""
    rng = np.random.default_rng(seed)
    score, age, site = rng.normal(size=n), rng.normal(60, 10, n), rng.integers(0, 2, n)
    time = rng.exponential(500 / np.exp(np.log(ratio) * score + 0.03 * (age - 60) + 0.5 * site))
    lost = rng.uniform(100, 2000, n)
    obs = pd.DataFrame(
        {
            "dtp_logit": 2 * score + 1,
            "time": np.minimum(time, lost).round(1),
            "event": time <= lost,
            "age": age,
            "sex": pd.Categorical(np.where(rng.random(n) < 0.5, "female", "male")),
            "site": np.where(site == 0, "A", "B"),
        },
        index=[f"p{i:04d}" for i in range(n)],
    )
    return ad.AnnData(np.zeros((n, 1), dtype=np.float32), obs=obs)


@pytest.fixture
def patients() -> ad.AnnData:
    return cohort()


def run(adata, **arguments) -> pd.DataFrame:
    return dtp.tl.survival(adata, **{"n_boot": 20} | arguments).set_index("term")


def scaled(adata) -> np.ndarray:
    score = adata.obs["dtp_logit"].to_numpy()
    return (score - score.mean()) / score.std(ddof=1)


def other_fit(adata, columns, strata=None):
    obs = adata.obs
    return PHReg(
        obs["time"].to_numpy(),
        np.column_stack(columns),
        status=obs["event"].to_numpy(dtype=int),
        strata=strata,
        ties="efron",
    ).fit()


@pytest.mark.parametrize("site", [False, True])
def test_hazard_ratio_is_that_of_statsmodels(patients, site):
    strata = (patients.obs["site"] == "B").to_numpy(dtype=int) if site else None
    row = run(patients, strata=["site"] if site else []).loc["hazard_ratio"]
    other = other_fit(patients, [scaled(patients)], strata)
    assert row["estimate"] == pytest.approx(np.exp(other.params[0]), rel=1e-5)
    assert [row["low"], row["high"]] == pytest.approx(np.exp(other.conf_int()[0]), rel=1e-5)
    assert row["p"] == pytest.approx(other.pvalues[0], rel=1e-3)
    assert row["n"] == 150
    assert row["n_events"] == patients.obs["event"].sum()
    assert ("within strata of site" in row["sentence"]) == site


def test_adjusted_hazard_ratio_and_all_terms_are_those_of_statsmodels(patients):
    row = run(patients, covariates=["age", "sex"]).loc["hazard_ratio_adjusted"]
    obs = patients.obs
    male = (obs["sex"] == "male").to_numpy(dtype=float)
    other = other_fit(patients, [scaled(patients), obs["age"], male])
    assert row["estimate"] == pytest.approx(np.exp(other.params[0]), rel=1e-5)
    cox = patients.uns["dtp_survival"]["cox"]
    assert cox["term"].tolist() == ["score", "age", "sex: male against female"]
    assert cox["hazard_ratio"].to_numpy() == pytest.approx(np.exp(other.params), rel=1e-5)
    expected = np.exp(other.conf_int())
    assert cox[["low", "high"]].to_numpy() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("site", [False, True])
def test_proportional_hazards_test_is_the_one_by_hand(patients, site):
    codes = (patients.obs["site"] == "B").to_numpy(dtype=int) if site else None
    row = run(patients, strata=["site"] if site else []).loc["proportional_hazards"]
    other = other_fit(patients, [scaled(patients)], codes)
    event = patients.obs["event"].to_numpy()
    residual = other.schoenfeld_residuals[event, 0]
    # Of the whole cohort, not stratum by stratum as lifelines' own "rank" would have it.
    rank = rankdata(patients.obs["time"].to_numpy()[event])
    centred, variance = rank - rank.mean(), other.cov_params()[0, 0]
    n = event.sum()
    by_hand = (centred @ (n * variance * residual)) ** 2 / (n * variance * (centred @ centred))
    assert row["estimate"] == pytest.approx(by_hand, rel=1e-4)
    assert row["p"] == pytest.approx(chi2.sf(by_hand, 1), rel=1e-4)


def test_spline_is_tested_by_the_likelihood_ratio(patients):
    row = run(patients).loc["non_linearity"]
    z = scaled(patients)
    basis = dtp.stats.spline_basis(z, dtp.stats.spline_knots(z, 4))
    gain = 2 * (other_fit(patients, [z, basis]).llf - other_fit(patients, [z]).llf)
    assert row["estimate"] == pytest.approx(gain, rel=1e-3, abs=1e-4)
    assert row["p"] == pytest.approx(chi2.sf(gain, 2), rel=1e-3)


def test_curves_and_logrank_are_those_of_statsmodels(patients):
    row = run(patients).loc["logrank"]
    obs = patients.obs
    high = (obs["dtp_logit"] >= obs["dtp_logit"].median()).to_numpy()
    status = obs["event"].to_numpy(dtype=int)
    statistic, p = survdiff(obs["time"].to_numpy(), status, high.astype(int))
    assert (row["estimate"], row["p"]) == pytest.approx((statistic, p))
    km = patients.uns["dtp_survival"]["km"]
    for name, rows in (("high", high), ("low", ~high)):
        curve = km[(km["group"] == name) & (km["time"] > 0)]
        other = SurvfuncRight(obs["time"][rows].to_numpy(), status[rows])
        seen = curve[curve["time"].isin(other.surv_times)]
        assert seen["survival"].to_numpy() == pytest.approx(other.surv_prob)
        assert seen["at_risk"].to_numpy() == pytest.approx(other.n_risk)
        # Greenwood's error on the log-log scale.
        inside = (other.surv_prob > 0) & (other.surv_prob < 1)
        surv = other.surv_prob[inside]
        reach = norm.ppf(0.975) * other.surv_prob_se[inside] / (surv * np.log(surv))
        low, high_end = np.sort([surv ** np.exp(reach), surv ** np.exp(-reach)], axis=0)
        assert seen["low"].to_numpy()[inside] == pytest.approx(low)
        assert seen["high"].to_numpy()[inside] == pytest.approx(high_end)


def test_the_rest_is_what_stats_says(patients):
    table = run(patients, horizon=[600, 300])
    obs = patients.obs
    data = [obs[name].to_numpy() for name in ("time", "event", "dtp_logit")]
    assert table.loc["concordance", "estimate"] == dtp.stats.concordance(*data)
    interval = dtp.stats.concordance_interval(*data, n_boot=20)
    assert table.loc["concordance", ["low", "high"]].tolist() == pytest.approx(interval[1:])
    for horizon in (300, 600):
        expected = dtp.stats.time_dependent_auc_interval(*data, horizon, n_boot=20)
        row = table.loc[f"auc_at_{horizon}", ["estimate", "low", "high"]]
        assert row.tolist() == pytest.approx(expected)
    high = data[2] >= np.median(data[2])
    found = dtp.stats.rmst_difference(data[0], data[1], high, 600)
    columns = ["estimate", "low", "high", "p"]
    assert table.loc["rmst_difference", columns].tolist() == pytest.approx(list(found))


def test_default_horizon_is_the_median_follow_up(patients):
    table = run(patients)
    expected = dtp.stats.median_follow_up(patients.obs["time"], patients.obs["event"])
    assert patients.uns["dtp_survival"]["params"]["horizon"].tolist() == [expected]
    assert f"auc_at_{expected:g}" in table.index


def test_without_a_loss_the_default_horizon_is_the_median_event(patients):
    patients.obs["event"] = 1
    run(patients)
    found = patients.uns["dtp_survival"]["params"]["horizon"].tolist()
    assert found == [patients.obs["time"].median()]


def test_interval_covers_a_planted_hazard_ratio():
    inside = []
    for seed in range(25):
        adata = cohort(120, seed)
        row = run(adata, covariates=["age"], strata=["site"], n_boot=2).loc[
            "hazard_ratio_adjusted"
        ]
        # The score's SD in the sample is not its SD in the population.
        truth = RATIO ** (adata.obs["dtp_logit"].std() / 2)
        inside.append(row["low"] <= truth <= row["high"])
    assert sum(inside) >= 21


def test_a_score_of_no_worth_is_called_so_and_one_of_worth_is_found():
    useless = run(cohort(400, 3, ratio=1.0)).loc["hazard_ratio"]
    assert useless["low"] < 1 < useless["high"]
    assert "No association is shown." in useless["sentence"]
    useful = run(cohort(400, 3)).loc["hazard_ratio"]
    assert useful["low"] > 1
    assert "A higher score goes with earlier events." in useful["sentence"]


def test_crossing_hazards_and_a_curve_are_noticed():
    rng = np.random.default_rng(0)
    adata = cohort(600, 1)
    score = rng.normal(size=600)
    # U-shaped: both ends die early.
    adata.obs["dtp_logit"] = score
    adata.obs["time"] = rng.exponential(np.exp(-np.abs(2 * score)))
    adata.obs["event"] = 1
    row = run(adata).loc["non_linearity"]
    assert row["p"] < 1e-6
    assert "is not a straight line" in row["sentence"]
    # Harmful early and protective late: Weibull shapes differ by the score.
    adata.obs["time"] = rng.exponential(size=600) ** np.where(score > 0, 2.5, 0.5)
    row = run(adata).loc["proportional_hazards"]
    assert row["p"] < 1e-6
    assert "changes over time" in row["sentence"]
    assert "Nothing shows" not in row["sentence"]


def test_simulated_cohort_gives_back_what_was_planted():
    cells = dtp.datasets.simulate_cells(1000, 300)
    bulk = dtp.datasets.simulate_cohort(
        300, cells=cells, n_drugs=4, hazard_ratio=1.8, clinical_missing=0.02
    )
    bulk.obs["truth"] = dtp.stats.logit(bulk.obs["true_persister_fraction"].to_numpy())
    table = run(bulk, score_key="truth", covariates=["age"])
    row = table.loc["hazard_ratio_adjusted"]
    assert row["low"] < 1.8 < row["high"]
    assert bulk.uns["dtp_survival"]["simulated"] is True


def test_order_of_rows_and_unit_of_time_change_nothing(patients):
    arguments = {"covariates": ["age"], "strata": ["site"], "horizon": 300}
    first = run(patients, **arguments)
    order = np.random.default_rng(0).permutation(patients.n_obs)
    shuffled = run(patients[order].copy(), **arguments)
    numbers = ["estimate", "low", "high", "p"]
    pd.testing.assert_frame_equal(shuffled[numbers], first[numbers], rtol=1e-6)
    patients.obs["time"] *= 2
    doubled = run(patients, **arguments | {"horizon": 600}).rename({"auc_at_600": "auc_at_300"})
    pd.testing.assert_frame_equal(
        doubled[numbers].drop("rmst_difference"), first[numbers].drop("rmst_difference"), rtol=1e-6
    )
    means = [table.loc["rmst_difference", "estimate"] for table in (doubled, first)]
    assert means[0] == pytest.approx(2 * means[1])


def test_seed_moves_only_the_bootstrap(patients):
    first, same, other = run(patients), run(patients), run(patients, seed=1)
    pd.testing.assert_frame_equal(first, same)
    assert first.loc["concordance", "low"] != other.loc["concordance", "low"]
    assert first.loc["hazard_ratio"].equals(other.loc["hazard_ratio"])


def test_only_the_named_key_is_written_and_it_survives_a_file(patients, tmp_path):
    before = patients.obs.copy()
    table = dtp.tl.survival(patients, covariates=["age"], n_boot=5, key_added="os")
    pd.testing.assert_frame_equal(patients.obs, before)
    assert set(patients.uns) == {"os"}
    patients.write_h5ad(tmp_path / "p.h5ad")
    read = ad.read_h5ad(tmp_path / "p.h5ad").uns["os"]
    assert set(read) == {"table", "km", "cox", "params", "simulated"}
    for name in ("table", "km", "cox"):
        pd.testing.assert_frame_equal(
            read[name].reset_index(drop=True),
            patients.uns["os"][name].reset_index(drop=True),
            check_dtype=False,
        )
    assert read["table"]["sentence"].tolist() == table["sentence"].tolist()
    assert read["params"]["cut"] == "median"
    assert list(table.columns) == [
        *("term", "estimate", "low", "high", "p", "n", "n_events", "sentence")
    ]
    assert table["term"].iloc[0] == "hazard_ratio"


def test_tertiles_and_a_number_make_their_groups(patients):
    table = run(patients, cut="tertiles")
    km = patients.uns["dtp_survival"]["km"]
    starts = km[km["time"] == 0].set_index("group")["at_risk"]
    assert starts.to_dict() == {"high": 50, "middle": 50, "low": 50}
    assert "3 groups" in table.loc["logrank", "sentence"]
    at = float(patients.obs["dtp_logit"].sort_values().iloc[100])
    run(patients, cut=at)
    km = patients.uns["dtp_survival"]["km"]
    # A patient at the cut belongs to the higher group.
    assert km[km["time"] == 0].set_index("group")["at_risk"].to_dict() == {"high": 50, "low": 100}
    assert patients.uns["dtp_survival"]["params"]["cut_values"].tolist() == [at]


def test_simulated_scores_are_called_so(patients):
    run(patients)
    assert patients.uns["dtp_survival"]["simulated"] is False
    patients.uns["dtp"] = {"simulated": True}
    run(patients)
    assert patients.uns["dtp_survival"]["simulated"] is True
