"""A target is mapped onto the stored moments, and no row of it decides by its place or batch."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

import dtp_scvi as dtp
from dtp_scvi.model import DrugSensitivity, load_model
from dtp_scvi.module import sparse_batch

METHODS = ("adain", "coral", "mmd")
QUICK = {"adain": {}, "coral": {}, "mmd": {"n_steps": 20}}


def adapted(model, cells, sim, method="adain", **kwargs):
    model.adapt(cells, method, scale=sim.SCALE, **QUICK[method], **kwargs)
    return model


def zscores(cells):
    values = np.log1p(cells.X)
    made = cells.copy()
    made.X = ((values - values.mean(axis=0)) / values.std(axis=0)).astype(np.float32)
    return made


def auroc(model, cells, sim, **kwargs):
    return roc_auc_score(sim.resistant(cells), model.predict(cells, **kwargs)["logit"])


def mapped_inputs(model, query):
    block = next(iter(query.blocks()))
    batch = sparse_batch(block.matrix, block.total, query.kind)
    with torch.no_grad():
        return model.module.inputs(batch, query.observed, 0).double().numpy()


def test_moments_become_those_of_the_training_rows(model, cells, sim):
    found = mapped_inputs(model, adapted(model, cells, sim).prepare(cells, scale=sim.SCALE))
    assert found.mean(axis=0) == pytest.approx(model.module.mean.numpy(), abs=1e-5)
    assert found.std(axis=0) == pytest.approx(model.module.sd.numpy(), abs=1e-5)


def test_a_shift_of_every_gene_is_recovered(model, cells, sim):
    def accuracy():
        called = model.predict(cells, scale=sim.SCALE)["call"] == "resistant"
        return np.mean(called.to_numpy() == sim.resistant(cells))

    before = accuracy()
    for method in METHODS:
        assert auroc(adapted(model, cells, sim, method), cells, sim, scale=sim.SCALE) > 0.85
        assert accuracy() > max(0.75, before + 0.05)


def test_scores_without_a_way_back_are_let_through_by_their_moments(model, cells, sim):
    z = zscores(cells)
    with pytest.raises(ValueError, match="expression for this DrugSensitivity"):
        model.predict(z, scale="as_is")
    model.adapt(z, scale="as_is")
    assert auroc(model, z, sim) > 0.85
    with pytest.raises(ValueError, match="kind that the model was adapted to"):
        model.predict(cells, scale=sim.SCALE)


def test_the_record_says_what_was_done(model, cells, sim):
    adapted(model, cells, sim, "mmd")
    record = model.adaptation_
    assert record["transductive"] is True
    assert (record["method"], record["n_rows"], record["n_missing"]) == ("mmd", 120, 0)
    assert record["mmd_after"] < record["mmd_before"]
    table = model.predict(cells, scale=sim.SCALE)
    assert table.attrs["adaptation"] == record
    dtp.tl.score(cells, model, scale=sim.SCALE)
    assert cells.uns["dtp"]["adaptation"]["method"] == "mmd"
    assert cells.obs["dtp_logit"].to_numpy() == pytest.approx(table["logit"].to_numpy())
    assert "dtp_std" in cells.obs


def test_training_rows_and_the_head_are_left_alone(model, cells, sim):
    before = model.predict_logits()
    weights = [value.clone() for value in model.module.heads.state_dict().values()]
    for method in METHODS:
        adapted(model, cells, sim, method)
        assert model.predict_logits().equals(before)
        assert model.predict_logits(model.adata).equals(before)
    assert all(map(torch.equal, weights, model.module.heads.state_dict().values()))
    model.adapt(cells, None)
    assert model.adaptation_ == {}
    plain = model.predict(cells, scale=sim.SCALE)
    assert plain.attrs["adaptation"] == {}


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False), st.integers(1, 50), st.sampled_from(METHODS))
def test_order_storage_and_batches_do_not_matter(model, sim, random, batch_size, method):
    cells = sim.lines(60, 1, shifted=True)
    expected = adapted(model, cells, sim, method).predict(cells, scale=sim.SCALE)["logit"]
    again = model.predict(cells, scale=sim.SCALE)["logit"]
    assert again.equals(expected)
    rows, genes = random.sample(range(60), 25), random.sample(range(sim.G), sim.G)
    other = ad.AnnData(sp.csr_matrix(cells.X), cells.obs, cells.var)[rows][:, genes].copy()
    found = model.predict(other, scale=sim.SCALE, batch_size=batch_size)["logit"]
    assert found.to_numpy() == pytest.approx(expected[found.index].to_numpy(), abs=1e-3)


def test_each_sample_gets_its_own_moments(model, cells, sim):
    first, second = cells[:60].copy(), cells[60:].copy()
    second.X = (second.X**1.5).astype(np.float32)
    both = ad.concat([first, second])
    both.obs["sample"] = ["a"] * 60 + ["b"] * 60
    adapted(model, both, sim, sample_key="sample")
    order = np.random.default_rng(0).permutation(120)
    found = model.predict(both[order].copy(), scale=sim.SCALE)["logit"]
    for part in (first, second):
        alone = adapted(model, part, sim).predict(part, scale=sim.SCALE)["logit"]
        assert found[alone.index].to_numpy() == pytest.approx(alone.to_numpy(), abs=1e-3)
    adapted(model, both, sim, sample_key="sample")
    subset = model.predict(both, scale=sim.SCALE, indices=np.array([100, 3]))["logit"]
    assert subset.to_numpy() == pytest.approx(found[subset.index].to_numpy(), abs=1e-3)
    both.obs["sample"] = ["a"] * 60 + ["c"] * 60
    with pytest.raises(ValueError, match=r"that the model was adapted to; found c\."):
        model.predict(both, scale=sim.SCALE)


@pytest.mark.parametrize("method", METHODS)
def test_it_survives_its_file(method, model, cells, sim, tmp_path):
    expected = adapted(model, cells, sim, method).predict(cells, scale=sim.SCALE)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert isinstance(loaded, DrugSensitivity)
    found = loaded.predict(cells, scale=sim.SCALE)
    assert found.equals(expected)
    assert loaded.adaptation_ == model.adaptation_
    assert loaded.id_ == model.id_
    assert "DrugSensitivity" in loaded.card_.to_markdown()
    loaded.adapt(cells, "adain", scale=sim.SCALE)
    for needy in ("coral", "mmd"):
        with pytest.raises(ValueError, match=f"training rows for method='{needy}'"):
            loaded.adapt(cells, needy, scale=sim.SCALE)


def test_missing_genes_have_no_say(model, cells, sim):
    fewer = cells[:, 5:].copy()
    for method in METHODS:
        logit = adapted(model, fewer, sim, method).predict(fewer, scale=sim.SCALE)["logit"]
        assert np.isfinite(logit).all()
        assert model.adaptation_["n_missing"] == 5


def test_unfit_targets(model, cells, sim):
    few = cells[:9].copy()
    for method in METHODS:
        with pytest.raises(ValueError, match="at least 10 rows to take moments of; found 9"):
            adapted(model, few, sim, method)
    cells.obs["sample"] = ["a"] * 112 + ["b"] * 8
    with pytest.raises(ValueError, match="found 8"):
        adapted(model, cells, sim, sample_key="sample")
    with pytest.raises(ValueError, match="method=\"adain\" with a `sample_key`; found 'coral'"):
        adapted(model, cells, sim, "coral", sample_key="sample")
    with pytest.raises(ValueError, match="`method` to be one of 'adain', 'mmd', 'coral'"):
        model.adapt(cells, "adaine")
    cells.var_names = [f"OTHER{i}" for i in range(sim.G)]
    with pytest.raises(ValueError, match="0 of 60 model genes found"):
        adapted(model, cells, sim)
    assert model.adaptation_ == {}
