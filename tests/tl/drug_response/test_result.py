"""What tl.drug_response returns and writes: planted truth, oracles, invariances."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, spearmanr

import dtp_scvi as dtp
from dtp_scvi import stats

QUICK = {"n_boot": 60, "n_permutations": 40}
NO_SCORE = "true_persister_fraction"


@pytest.fixture(scope="module")
def simulated() -> ad.AnnData:
    cells = dtp.datasets.simulate_cells(1000, 150)
    return dtp.datasets.simulate_cohort(160, cells=cells, n_drugs=8)


@pytest.fixture
def bulk(simulated) -> ad.AnnData:
    return simulated.copy()


def make(seed: int = 0, n: int = 80, n_drugs: int = 4, effect: float = 0.6) -> ad.AnnData:
    """Patients whose drugs share the patient, a score, and a number that goes with it."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n)
    values = 150 + 30 * (effect * score[:, None] + rng.normal(size=(n, 1)))
    values = values + 30 * rng.normal(size=(n, n_drugs))
    values[rng.random(values.shape) < 0.2] = np.nan
    rows = [f"s{i:03d}" for i in range(n)]
    obs = pd.DataFrame(
        {
            "dtp_score": 1 / (1 + np.exp(-score)),
            "dtp_logit": score,
            "age": 60 + 5 * score + 10 * rng.normal(size=n),
            "site": rng.choice(["a", "b", "c"], n),
        },
        index=rows,
    )
    auc = pd.DataFrame(values, index=rows, columns=[f"Drug {i}" for i in range(n_drugs)])
    return ad.AnnData(rng.random((n, 20), dtype=np.float32), obs=obs, obsm={"drug_auc": auc})


def run(adata: ad.AnnData, **options) -> pd.DataFrame:
    return dtp.tl.drug_response(adata, **{**QUICK, **options})


def test_planted_effects_are_found_and_null_drugs_are_not(bulk):
    table = run(bulk, score_key=NO_SCORE).set_index("drug")
    role = bulk.uns["dtp_simulation"]["drug_effects"]["role"]
    affected, null = (
        table.loc[role.index[role == "affected"]],
        table.loc[role.index[role == "null"]],
    )
    assert (affected["q"] < 0.01).all()
    assert (affected["low"] > 0.3).all()
    assert (null["q"] > 0.05).all()
    assert affected["auroc"].min() > 0.75 > null["auroc"].max()
    assert bulk.uns["dtp_drug_response"]["params"]["simulated"]


def test_each_number_is_what_it_says():
    adata = make()
    table = run(adata, covariates=["age"], score_key="dtp_logit").set_index("drug")
    score, age = adata.obs["dtp_logit"].to_numpy(), adata.obs["age"].to_numpy()
    auc = adata.obsm["drug_auc"]
    others = pd.DataFrame(stats.other_drugs_rank(auc), columns=auc.columns)
    for drug, column in auc.items():
        row, kept = table.loc[drug], column.notna().to_numpy()
        x, y = score[kept], column[kept].to_numpy()
        expected = spearmanr(x, y)
        assert (row["rho"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue))
        assert (row["n"], row["n_missing"]) == (kept.sum(), (~kept).sum())
        main = stats.rank_correlation(x, y, n_boot=60)
        assert (row["low"], row["high"]) == pytest.approx((main.low, main.high))
        given_age = stats.partial_rank_correlation(x, y, age[kept], n_boot=60)
        assert row["partial_rho"] == pytest.approx(given_age.rho)
        assert (row["partial_low"], row["partial_p"]) == pytest.approx(
            (given_age.low, given_age.p)
        )
        other = others[drug].to_numpy()
        both = kept & ~np.isnan(other)
        assert row["specific_n"] == both.sum()
        assert row["rho_other_drugs"] == pytest.approx(spearmanr(score[both], other[both])[0])
        specific = stats.partial_rank_correlation(
            score[both], column[both], other[both], n_boot=60
        )
        assert row["specific_rho"] == pytest.approx(specific.rho)
        low, high = np.quantile(y, [1 / 3, 2 / 3])
        ends = (y <= low) | (y >= high)
        assert row["auroc"] == pytest.approx(stats.auroc(y[ends] >= high, x[ends]))
    assert table["q"].to_numpy() == pytest.approx(false_discovery_control(table["p"]))
    assert table["rho"].is_monotonic_decreasing


def test_a_general_effect_is_told_from_a_specific_one():
    rng = np.random.default_rng(7)
    adata = make(n=200, effect=0.0)
    n, score = 200, adata.obs["dtp_logit"].to_numpy()
    common = 0.8 * score + 0.6 * rng.normal(size=n)
    values = common[:, None] + 0.5 * rng.normal(size=(n, 5))
    values[:, 4] = rng.normal(size=n) + 1.5 * score
    adata.obsm["drug_auc"] = pd.DataFrame(
        150 + 20 * np.where(rng.random(values.shape) < 0.1, np.nan, values),
        index=adata.obs_names,
        columns=[*"abcd", "own"],
    )
    table = run(adata, score_key="dtp_logit").set_index("drug")
    general, specific = table.loc[list("abcd")], table.loc["own"]
    assert (general["rho"] > 0.5).all()
    assert (general["specific_rho"] < 0.5 * general["rho"]).all()
    assert (general["rho_other_drugs"] > 0.7).all()
    assert specific["specific_rho"] > 0.25


def test_pooled_counts_patients_once_and_puts_the_naive_one_last():
    adata = make(n=100, n_drugs=6)
    run(adata, score_key="dtp_logit", covariates=["age", "site"])
    stored = adata.uns["dtp_drug_response"]
    pooled = stored["pooled"].set_index("estimator")
    order = ["within_drug", "mean_rank", "meta_analysis", "mixed_model", "naive_pairs"]
    assert list(pooled.index) == order
    assert pooled["valid"].tolist() == [True, True, True, True, False]
    assert pooled.loc["naive_pairs", "note"].startswith("WRONG")
    width = pooled["high"] - pooled["low"]
    assert width["naive_pairs"] < 0.8 * width["within_drug"]
    score, auc = adata.obs["dtp_logit"], adata.obsm["drug_auc"].to_numpy()
    main = stats.pooled_rank_correlation(score, auc, **QUICK)
    columns = ["value", "low", "high", "p"]
    assert pooled.loc["within_drug", columns].tolist() == pytest.approx(
        [main.rho, main.low, main.high, main.p]
    )
    assert pooled.loc["naive_pairs", "n_pairs"] == np.isfinite(auc).sum()
    meta = stats.random_effects(main.drug_rho, np.isfinite(auc).sum(axis=0), main.draws)
    assert pooled.loc["meta_analysis", "low"] == pytest.approx(meta.low)
    assert stored["meta_analysis"]["se_from"] == "patients"
    assert stored["mixed_model"]["converged"]
    assert pooled.loc["mixed_model", "note"].startswith("given covariates")


def test_one_drug_has_neither_meta_analysis_nor_mixed_model():
    adata = make(n_drugs=1)
    run(adata)
    stored = adata.uns["dtp_drug_response"]
    assert list(stored["pooled"]["estimator"]) == ["within_drug", "mean_rank", "naive_pairs"]
    assert "at least 2 drugs" in stored["mixed_model"]["message"]


def test_a_mixed_model_that_does_not_converge_is_said(monkeypatch):
    from dtp_scvi.stats import _mixed_model as own

    monkeypatch.setattr(own, "_minimum", lambda d, n: (np.full(n, 0.5), "not converged: stuck"))
    adata = make()
    with pytest.warns(UserWarning, match="Mixed model: not converged: stuck"):
        run(adata)
    pooled = adata.uns["dtp_drug_response"]["pooled"].set_index("estimator")
    assert not pooled.loc["mixed_model", "valid"]


@settings(max_examples=6)
@given(st.integers(0, 1000))
def test_rank_statistics_ignore_row_order_and_monotone_transforms(seed):
    options = {"n_boot": 20, "n_permutations": 20, "covariates": ["age", "site"]}
    adata = make(seed % 3, n=60)
    before = dtp.tl.drug_response(adata, score_key="dtp_logit", **options, min_patients=30)
    order = np.random.default_rng(seed).permutation(60)
    shuffled = adata[order].copy()
    after = dtp.tl.drug_response(shuffled, score_key="dtp_score", **options, min_patients=30)
    pd.testing.assert_frame_equal(before, after)
    first, second = (a.uns["dtp_drug_response"]["pooled"] for a in (adata, shuffled))
    rank = first["estimator"] != "mixed_model"
    pd.testing.assert_frame_equal(first[rank], second[rank])


def test_direction_turns_every_sign():
    adata, turned = make(), make()
    before = run(adata).set_index("drug")
    after = run(turned, direction="higher_is_sensitive").set_index("drug").loc[before.index]
    for name in ("rho", "specific_rho", "rho_other_drugs"):
        assert after[name].to_numpy() == pytest.approx(-before[name].to_numpy())
    assert after["auroc"].to_numpy() == pytest.approx(1 - before["auroc"].to_numpy())
    first, second = (a.uns["dtp_drug_response"] for a in (adata, turned))
    assert second["pooled"]["value"].to_numpy() == pytest.approx(-first["pooled"]["value"])
    # What was given stays as it was given.
    pd.testing.assert_frame_equal(first["response"], second["response"])


def test_rows_of_a_patient_are_averaged():
    adata = make(n=60)
    twice = ad.concat([adata, adata], index_unique="-")
    twice.obsm["drug_auc"] = pd.concat([adata.obsm["drug_auc"]] * 2).set_axis(twice.obs_names)
    twice.obs["who"] = [name.split("-")[0] for name in twice.obs_names]
    first = run(adata, min_patients=30)
    second = run(twice, min_patients=30, patient_key="who")
    pd.testing.assert_frame_equal(first, second)
    params = twice.uns["dtp_drug_response"]["params"]
    assert (params["n_rows"], params["n_patients"], params["patient_key"]) == (120, 60, "who")
    twice.obs["patient"] = twice.obs["who"]
    with pytest.warns(UserWarning, match=r"120 rows are averaged to 60 patients by .*'patient'"):
        third = run(twice, min_patients=30)
    pd.testing.assert_frame_equal(first, third)


def test_drugs_that_cannot_be_tested_are_listed_with_the_reason():
    adata = make()
    auc = adata.obsm["drug_auc"]
    auc["rare"] = np.where(np.arange(80) < 12, auc["Drug 0"].fillna(100), np.nan)
    auc["never"] = np.nan
    auc["flat"] = 100.0
    table = run(adata).set_index("drug")
    assert list(table["tested"]) == [True] * 4 + [False] * 3
    assert table.loc["rare", "reason"] == "12 patients, fewer than 50"
    assert table.loc["never", "reason"] == "never measured in a scored patient"
    assert table.loc["flat", "reason"] == "one value (100) in all 80 patients"
    assert table.loc["rare", "n"] == 12
    assert table.loc[["rare", "never", "flat"], "rho"].isna().all()
    assert not (table["reason"][:4] != "").any()


def test_patients_without_score_are_left_out_and_counted():
    adata = make()
    adata.obs.loc[adata.obs_names[:10], "dtp_score"] = np.nan
    table = run(adata)
    assert (table["n"] + table["n_missing"] == 70).all()
    assert adata.uns["dtp_drug_response"]["params"]["n_unscored"] == 10


def test_result_survives_a_file_and_nothing_else_is_touched(tmp_path):
    adata = make()
    before = adata.copy()
    returned = run(adata, controls=["permuted", "age"], covariates=["age"])
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    assert list(adata.uns) == ["dtp_drug_response"]
    pd.testing.assert_frame_equal(adata.obsm["drug_auc"], before.obsm["drug_auc"])
    adata.write_h5ad(tmp_path / "x.h5ad")
    stored = ad.read_h5ad(tmp_path / "x.h5ad").uns["dtp_drug_response"]
    pd.testing.assert_frame_equal(
        stored["table"], returned, check_index_type=False, check_dtype=False
    )
    assert set(stored) == {
        "table",
        "pooled",
        "meta_analysis",
        "mixed_model",
        "controls",
        "guards",
        "patients",
        "response",
        "params",
    }
    assert list(stored["pooled"]["estimator"])[-1] == "naive_pairs"
    returned.loc[0, "rho"] = 5
    assert adata.uns["dtp_drug_response"]["table"].loc[0, "rho"] < 1


def test_a_saturated_probability_is_pointed_at_the_logit():
    adata = make()
    adata.obs["dtp_score"] = np.where(adata.obs["dtp_logit"] > 0, 1.0, adata.obs["dtp_score"])
    with pytest.warns(
        UserWarning, match=r"of 80 patients have the value 1 in .*use the logit, e.g. 'dtp_logit'"
    ):
        run(adata)


def test_a_value_that_many_share_is_named_and_two_values_are_a_group():
    adata = make()
    adata.obs["gene"] = adata.obs["dtp_logit"].clip(lower=0)
    with pytest.warns(UserWarning, match=r"of 80 patients have the value 0 in 'gene'\.$"):
        run(adata, score_key="gene")
    adata.obs["mutated"] = (adata.obs["dtp_logit"] > 0).astype(int)
    assert run(adata, score_key="mutated")["rho"].max() > 0.2


def test_same_seed_same_numbers_other_seed_other_intervals():
    first, second, third = (run(make(), seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, second)
    assert (first["rho"] == third["rho"]).all()
    assert (first["low"] != third["low"]).any()
