"""Attributions of AMU sum to its log-odds, and find the genes that were planted."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

import dtp_scvi as dtp
from dtp_scvi.model import AMU
from dtp_scvi.model._attribute_net import Outcome, classifier_net
from dtp_scvi.model._attribute_rows import panel_rows

ROWS = np.arange(8)
G, PLANTED = 40, 5


def samples(n, seed):
    """Shares of a panel; the first genes go up in responders."""
    rng = np.random.default_rng(seed)
    responds = rng.random(n) < 0.4
    logs = np.random.default_rng(9).normal(3, 1, G) + rng.normal(0, 0.6, (n, G))
    logs[:, :PLANTED] += 1.2 * responds[:, None]
    obs = pd.DataFrame({"response": np.where(responds, "CR/PR", "SD/PD")})
    share = (np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)).astype(np.float32)
    var = pd.DataFrame(index=[f"GENE{i}" for i in range(G)])
    return ad.AnnData(share, obs.set_axis([f"s{i}" for i in range(n)]), var)


def set_up(adata):
    AMU.setup_anndata(adata, "response", positive="CR/PR", scale="normalized")
    return adata


def logits(model, adata):
    return model.predict_logits(adata, scale="normalized")["CR/PR"].to_numpy()


@pytest.fixture(scope="module")
def model():
    model = AMU(set_up(samples(160, 0)), n_blocks=1, n_heads=2, d_model=8, d_hidden=16)
    model.train(20, lr=5e-3, verbose=False)
    return model


@pytest.fixture(scope="module")
def cnn():
    model = AMU(set_up(samples(80, 0)), network="cnn")
    model.train(3, verbose=False)
    return model


@pytest.fixture
def query():
    return samples(30, 1)


def dense(model, adata):
    query = model.prepare(adata, scale="normalized")
    rows = panel_rows(model.module, query, ROWS, None, None)
    seen = None if query.observed is None else query.observed.double()
    outcome = Outcome.of_class(model.classes_.index("CR/PR"), 2, single=False)
    return classifier_net(model.module, outcome, seen), rows


@pytest.mark.parametrize("kind", ["model", "cnn"])
@pytest.mark.parametrize("lacking", [0, 6])
def test_dense_function_is_what_the_model_predicts(kind, lacking, request, query):
    model = request.getfixturevalue(kind)
    less = query[:, lacking:].copy()
    net, rows = dense(model, less)
    found = net(torch.from_numpy(rows.dense(slice(None))).double()).numpy()
    assert found == pytest.approx(logits(model, less)[ROWS], abs=1e-4)


@pytest.mark.parametrize("kind", ["model", "cnn"])
def test_contributions_sum_to_the_log_odds(kind, request, query):
    model = request.getfixturevalue(kind)
    found = model.attribute(query, scale="normalized", indices=ROWS)
    assert found.record["completeness"]["overall"] < 0.01
    assert found.record["completeness"]["n_above"] == 0
    assert found.record["shares"]["variance"] == {"linear": 0.0, "residual": 1.0}
    net, _ = dense(model, query)
    at_mean = float(net(net.mean[None]))
    expected = logits(model, query)[ROWS].mean() - at_mean
    assert found.table["mean"].sum() == pytest.approx(expected, abs=0.02)


def test_planted_genes_come_first_and_raise_the_log_odds(model, query):
    table = model.attribute(query, scale="normalized").table.loc[model.genes_]
    assert roc_auc_score(np.arange(G) < PLANTED, table["mean_abs"]) > 0.8
    assert (table["direction"].iloc[:PLANTED] > 0).mean() >= 0.8
    assert np.corrcoef(table["mean_abs"], model.importance_)[0, 1] > 0.9


def test_depth_of_a_sample_has_no_contribution(model, query):
    deep = query.copy()
    deep.X = deep.X * 500
    tables = [
        model.attribute(q, scale="normalized", indices=ROWS).table.sort_index()
        for q in (query, deep)
    ]
    assert tables[0]["mean"].to_numpy() == pytest.approx(tables[1]["mean"].to_numpy(), abs=1e-3)


def test_genes_that_the_rows_lack_have_none(model, query):
    with pytest.warns(UserWarning, match="4 of 40 model genes are not in the rows"):
        found = model.attribute(query[:, 4:].copy(), scale="normalized", indices=ROWS)
    assert found.table.loc[model.genes_[:4], "mean"].isna().all()
    assert found.table.loc[model.genes_[4:], "mean"].notna().all()


def test_the_written_result_is_that_of_the_model(model, query):
    options = {"scale": "normalized", "indices": ROWS}
    table = dtp.tl.attribute(query, model, **options)
    pd.testing.assert_frame_equal(table, model.attribute(query, **options).table)
    assert query.varm["dtp_attribution"].shape[0] == G
    dtp.pl.attribution(query)
    with pytest.raises(ValueError, match="DeepLIFT"):
        model.attribute(query, scale="normalized", method="deep_lift")
