"""Contributions sum to the log-odds of the mapped rows, and planted genes weigh most."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

pytest.importorskip("captum")


@pytest.mark.parametrize("method", [None, "adain", "mmd"])
def test_contributions_sum_to_the_log_odds_of_mapped_rows(method, model, cells, sim):
    options = {"n_steps": 20} if method == "mmd" else {}
    model.adapt(cells, method, scale=sim.SCALE, **options)
    found = model.attribute(cells, scale=sim.SCALE, max_cells=None)
    logits = model.predict(cells, scale=sim.SCALE)["logit"]
    with torch.no_grad():
        z = model.module.latent(model.module.mean[None])
        if method == "mmd":
            z = model.module.adaptation.latent(z)
        raw = model.module.members(z).mean(dim=1)[0]
    base = float(raw[0] - raw[1])
    assert found.table["mean"].sum() == pytest.approx(logits.mean() - base, abs=0.02)
    assert found.record["completeness"]["overall"] < 0.01
    assert found.record["params"].get("adaptation", "") == (method or "")
    planted = [name in sim.GENES[: sim.PLANTED] for name in found.table.index]
    if method:
        assert roc_auc_score(planted, found.table["mean_abs"]) > 0.7


@pytest.mark.parametrize("baseline", ["zero", "query_mean", "train_mean"])
def test_baselines(baseline, model, cells, sim):
    model.adapt(cells, "adain", scale=sim.SCALE)
    found = model.attribute(cells, scale=sim.SCALE, baseline=baseline, max_cells=20)
    assert found.record["completeness"]["overall"] < 0.01


@pytest.mark.filterwarnings("ignore:Completeness error above")
def test_random_rows_as_a_baseline(model, cells, sim):
    model.adapt(cells, "adain", scale=sim.SCALE)
    found = model.attribute(
        cells, scale=sim.SCALE, method="gradient_shap", baseline="query", max_cells=20, n_steps=300
    )
    assert found.record["params"]["n_baselines"] > 1
    assert np.isfinite(found.table["mean_abs"]).all()


@pytest.mark.filterwarnings("ignore:5 of 60 model genes")
def test_genes_that_the_rows_lack_have_none(model, cells, sim):
    fewer = cells[:, 5:].copy()
    model.adapt(fewer, "adain", scale=sim.SCALE)
    found = model.attribute(fewer, scale=sim.SCALE, max_cells=20)
    assert found.table.loc[sim.GENES[:5], "mean_abs"].isna().all()
    assert found.record["completeness"]["overall"] < 0.01
