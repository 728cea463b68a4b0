"""The log-rank test within strata: against statsmodels, and what must not matter."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import survdiff

import dtp_scvi as dtp
from dtp_scvi.tl._survival_logrank import stratified_logrank


def follow(n: int = 240, seed: int = 0, effect: float = 0.0, site_effect: float = 1.5):
    """Sites with hazards and scores of their own: without strata they look like an effect."""
    rng = np.random.default_rng(seed)
    site = rng.integers(0, 4, n)
    score = rng.normal(size=n) + 0.8 * site
    time = rng.exponential(500 / np.exp(effect * score + site_effect * (site - 1.5)))
    lost = rng.uniform(100, 2000, n)
    obs = pd.DataFrame(
        {
            "dtp_logit": score,
            # Whole tens, so that times are tied.
            "time": np.ceil(np.minimum(time, lost) / 10) * 10,
            "event": time <= lost,
            "site": np.array(list("ABCD"))[site],
            "arm": np.where(rng.random(n) < 0.5, "x", "y"),
        },
        index=[f"p{i:04d}" for i in range(n)],
    )
    return ad.AnnData(np.zeros((n, 1), dtype=np.float32), obs=obs)


def run(adata, **arguments) -> pd.DataFrame:
    return dtp.tl.survival(adata, **{"n_boot": 5} | arguments).set_index("term")


@pytest.mark.parametrize("cut", ["median", "tertiles"])
@pytest.mark.parametrize("strata", [["site"], ["site", "arm"]])
def test_it_is_that_of_statsmodels(cut, strata):
    adata = follow(effect=0.2)
    row = run(adata, strata=strata, cut=cut).loc["logrank_stratified"]
    obs = adata.obs
    shares = [0.5] if cut == "median" else [1 / 3, 2 / 3]
    groups = np.searchsorted(np.quantile(obs["dtp_logit"], shares), obs["dtp_logit"], side="right")
    statistic, p = survdiff(
        obs["time"].to_numpy(),
        obs["event"].to_numpy(dtype=int),
        groups,
        strata=obs[strata].agg("-".join, axis=1).to_numpy(),
    )
    assert (row["estimate"], row["p"]) == pytest.approx((statistic, p))
    assert f"{len(set(map(tuple, obs[strata].to_numpy())))} strata" in row["sentence"]
    assert f"{len(shares)} df" in row["sentence"]


def test_it_stands_beside_the_plain_one_which_the_sites_mislead():
    adata = follow(effect=0.0)
    table = run(adata, strata=["site"])
    terms = table.index.tolist()
    assert terms[terms.index("logrank") + 1] == "logrank_stratified"
    assert table.loc["logrank", "p"] < 1e-4
    assert table.loc["logrank_stratified", "p"] > 0.05
    assert "are not shown to differ" in table.loc["logrank_stratified", "sentence"]
    assert "logrank_stratified" not in run(adata).index
    assert table.loc["logrank", "estimate"] == run(adata).loc["logrank", "estimate"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 4))
def test_names_order_and_unit_do_not_matter_and_one_stratum_is_the_plain_test(seed, n_groups):
    rng = np.random.default_rng(seed)
    n = 60
    time, event = rng.integers(1, 30, n).astype(float), rng.random(n) < 0.7
    groups, strata = rng.integers(0, n_groups, n), rng.integers(0, 3, n)
    found = stratified_logrank(time, event, groups, strata)
    order = rng.permutation(n)
    names = np.array(["d", "a", "c", "b"])[groups]
    again = stratified_logrank(7 * time[order], event[order], names[order], -strata[order])
    assert again == pytest.approx(found)
    plain = stratified_logrank(time, event, groups, np.zeros(n))
    assert plain[:2] == pytest.approx(survdiff(time, event.astype(int), groups))


def test_one_stratum_is_the_plain_test_and_called_so():
    adata = follow()
    adata.obs["study"] = "one"
    table = run(adata, strata=["study"])
    assert table.loc["logrank_stratified", "estimate"] == pytest.approx(
        table.loc["logrank", "estimate"]
    )
    assert "Within the only stratum of study" in table.loc["logrank_stratified", "sentence"]


def test_strata_of_one_group_each_leave_nothing_to_compare():
    adata = follow()
    half = adata.obs["dtp_logit"] >= adata.obs["dtp_logit"].median()
    adata.obs["side"] = np.where(half, "up", "down")
    row = run(adata, strata=["side"]).loc["logrank_stratified"]
    assert np.isnan(row["estimate"])
    assert np.isnan(row["p"])
    assert row["sentence"].startswith("Not computed: within strata of side")


def test_without_a_split_there_is_a_row_that_says_so():
    table = run(follow(), strata=["site"], cut=99.0)
    assert np.isnan(table.loc["logrank_stratified", "p"])
    assert table.loc["logrank_stratified", "sentence"].startswith("No groups: The cut leaves")
