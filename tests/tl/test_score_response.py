"""tl.score with a response model: what is written, what is refused, which alignment is warranted."""

from __future__ import annotations

import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp
from dtp_scvi.model import ResponseModel

N, G = 60, 40


def samples(n=N, seed=0, genes=None):
    rng = np.random.default_rng(seed)
    logs = np.random.default_rng(9).normal(4, 1, G) + rng.normal(0, 0.6, (n, G))
    counts = rng.poisson(np.exp(logs)).astype(np.float32)
    names = [f"GENE{i}" for i in range(G)] if genes is None else genes
    obs = pd.DataFrame({"auc": logs[:, 0] * 10}, index=[f"s{i}" for i in range(n)])
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=names))


@pytest.fixture(scope="module")
def model():
    fitted = ResponseModel("planted", inputs="blend").fit(samples(), "auc", units="AUC")
    found = {"value": 0.5, "low": 0.3, "high": 0.7}
    fitted.adopt({"cohort": "wave 3", "n": 40, "spearman": found})
    return fitted


def test_writes_score_rank_and_record_and_nothing_else(model, tmp_path):
    query = samples(30, 1)
    query.obs["dtp_call"] = query.obs["dtp_logit"] = "stale"
    before = query.copy()
    dtp.tl.score(query, model)
    assert set(query.obs) == {"auc", "dtp_score", "dtp_rank"}
    expected = model.predict(query).to_numpy()
    assert query.obs["dtp_score"].to_numpy() == pytest.approx(expected)
    assert query.obs["dtp_rank"].max() == 1
    assert (query.obs["dtp_rank"].rank() == query.obs["dtp_score"].rank()).all()
    assert np.array_equal(query.X, before.X)
    record = query.uns["dtp"]
    wanted = {
        "model": "ResponseModel",
        "name": "planted",
        "bundled": False,
        "units": "AUC",
        "direction": "higher_is_resistant",
        "worth": "Spearman 0.50 [0.30, 0.70] on wave 3 (n = 40)",
        "align": "none",
        "transductive": False,
        "coverage": 1.0,
        "scale": "counts",
    }
    assert {key: record[key] for key in wanted} == wanted
    assert record["external"]["n"] == 40
    assert record["transfer"]["warranted"] == "none"
    assert record["transfer"]["values_hold"]
    assert "ex-vivo" in record["research_use"]
    query.write_h5ad(tmp_path / "scored.h5ad")


def test_opens_a_directory_and_scores_a_modality(model, tmp_path):
    import mudata

    model.save(tmp_path / "m")
    both = mudata.MuData({"rna": samples(12, 1)})
    dtp.tl.score(both, tmp_path / "m", mod="rna", align="moments", key_added="auc1")
    scored = both["rna"]
    assert scored.uns["auc1"]["transductive"]
    expected = model.predict(samples(12, 1), align="moments").to_numpy()
    assert scored.obs["auc1_score"].to_numpy() == pytest.approx(expected)


def test_recommends_moments_where_neither_rows_nor_ranks_fit(model):
    query = samples(30, 1)
    query.X = query.X * np.random.default_rng(0).lognormal(0, 4, G).astype(np.float32)
    with pytest.warns(UserWarning, match=r"Transfer check: the mean of \d+%.*align=\"moments\""):
        dtp.tl.score(query, model, scale="corrected_counts")
    found = query.uns["dtp"]["transfer"]
    assert (found["warranted"], found["values_hold"]) == ("moments", False)
    assert found["evidence"]["shifted"] > 0.05
    few = query[:5].copy()
    dtp.tl.score(few, model, scale="corrected_counts", align="rank")
    assert few.uns["dtp"]["transfer"]["warranted"] == "rank"
    assert "too few to take moments of" in few.uns["dtp"]["transfer"]["reasons"][1]


def test_recommends_ranks_where_a_power_changed_the_values(model):
    query = samples(30, 1)
    query.X = query.X**4
    dtp.tl.score(query, model, scale="corrected_counts", align="rank")
    assert query.uns["dtp"]["transfer"]["warranted"] == "rank"


def test_skip_leaves_the_check_out(model):
    query = samples(30, 1)
    dtp.tl.score(query, model, transfer="skip")
    assert "transfer" not in query.uns["dtp"]


def test_rows_without_expression_are_missing_and_said(model):
    query = samples(30, 1)
    query.X[4] = 0
    with pytest.warns(UserWarning, match="1 of 30 rows have no value above zero"):
        dtp.tl.score(query, model)
    assert query.obs["dtp_score"].isna().sum() == query.obs["dtp_rank"].isna().sum() == 1
    assert query.obs["dtp_rank"].max() == 1


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"transfer": "rank_only"}, '"check" or "skip" for a model of a response'),
        ({"donor_key": "auc"}, "no `donor_key` with a model of a response"),
        ({"align": "quantile"}, "`align` to be one of"),
    ],
)
def test_arguments_that_belong_elsewhere(model, kwargs, message):
    query = samples(30, 1)
    with pytest.raises(ValueError, match=message):
        dtp.tl.score(query, model, **kwargs)
    assert "dtp" not in query.uns


def test_a_batch_of_one_can_not_be_moment_matched(model):
    one = samples(30, 1)[:1].copy()
    with pytest.raises(ValueError, match="at least 10 rows to take moments of; found 1"):
        dtp.tl.score(one, model, align="moments")
    dtp.tl.score(one, model)
    assert one.obs["dtp_rank"].tolist() == [1.0]


def test_other_tools_say_what_they_take(model):
    with pytest.raises(TypeError, match="a classifier; found ResponseModel"):
        dtp.tl.transfer_check(samples(30, 1), model)


def test_no_model_takes_the_bundled_one_and_says_so(caplog):
    tolerance = dtp.hub.load("aml-tolerance")
    query = samples(30, 1, genes=tolerance.genes_[:G].tolist())
    with (
        caplog.at_level(logging.INFO, "dtp_scvi"),
        pytest.warns(UserWarning, match="of 493 model genes"),
    ):
        dtp.tl.score(query, min_coverage=0.05, transfer="skip")
    record = query.uns["dtp"]
    assert record["bundled"]
    assert record["name"] == "aml-tolerance"
    assert record["worth"] == tolerance.worth_
    assert "No model was named: aml-tolerance is used, Spearman" in caplog.text


def test_align_is_refused_by_classifiers():
    cells = dtp.datasets.simulate_cells(200, 100, n_donors=4)
    dtp.model.DTPTransformer.setup_anndata(
        cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    teacher = dtp.model.DTPTransformer(cells, n_programs=4)
    teacher.train(max_epochs=1, verbose=False)
    with pytest.raises(ValueError, match="`align=\"none\"` with a classifier; found 'rank'"):
        dtp.tl.score(cells, teacher, align="rank")
