"""DistVAE: the loss, the linear start, and a student that follows its teacher."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import dtp_scvi as dtp
from dtp_scvi.model import DistVAE, load_model
from dtp_scvi.module import DistVAEModule
from dtp_scvi.train import DenseRows, latent_start

SMALL = {"encoder": (32, 16), "decoder": (16, 32)}


@pytest.fixture(scope="module")
def made():
    adata = dtp.datasets.simulate_cells(300, 150, n_donors=6, seed=2)
    x = adata.layers["counts"].toarray()
    x = np.log1p(1e4 * x / x.sum(axis=1, keepdims=True))
    # A teacher that the expression determines: principal components.
    x = x - x.mean(axis=0)
    _, _, axes = np.linalg.svd(x, full_matrices=False)
    adata.obsm["X_latent"] = (x @ axes[:5].T).astype(np.float32)
    return adata


@pytest.fixture(scope="module")
def student(made):
    cells = made.copy()
    DistVAE.setup_anndata(cells, layer="counts", donor_key="donor")
    model = DistVAE(cells, latent_mse_weight=10.0, **SMALL)
    model.train(20, verbose=False, accelerator="cpu")
    return model


def cosine(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("sampled", [False, True])
def test_loss(sampled):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = DistVAEModule(
            12, encoder=(8,), n_latent=3, decoder=(8,), latent_mse_weight=2.0, sampled=sampled
        )
        batch = {"X": torch.randn(6, 12), "target": torch.randn(6, 3)}
        inner, outer, out = module(batch)
    ours = inner["z"] if sampled else inner["mu"]
    kl = -0.5 * (1 + inner["logvar"] - inner["mu"] ** 2 - inner["logvar"].exp()).mean()
    cos = 1 - (F.normalize(batch["target"]) * F.normalize(ours)).sum(1).mean()
    mse = ((outer["reconstruction"] - batch["X"]) ** 2).mean()
    latent = ((ours - batch["target"]) ** 2).mean()
    torch.testing.assert_close(out.loss, 500 * mse + kl + 158 * cos + 2 * latent)


@pytest.mark.parametrize("encoder", [(8, 6), (6, 6), (8,)])
def test_the_mean_begins_as_the_linear_map(encoder):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = DistVAEModule(12, encoder=encoder, n_latent=3, decoder=(8,))
        weight, bias, x = torch.randn(3, 12), torch.randn(3), torch.randn(20, 12)
    assert module.takes_start
    module.start_linear(weight, bias)
    for training in (True, False):
        mu, _ = module.train(training).encode(x)
        torch.testing.assert_close(mu, x @ weight.T + bias, atol=1e-4, rtol=1e-4)
    for narrow in ({"encoder": (2,)}, {"encoder": (8,), "spectral_norm": "outer"}):
        assert not DistVAEModule(12, n_latent=3, decoder=(8,), **narrow).takes_start


def test_the_start_recovers_a_linear_teacher():
    rng = np.random.default_rng(0)
    x = rng.normal(2, 1, size=(200, 30)).astype(np.float32)
    weight = rng.normal(size=(4, 30))
    data = DenseRows(x, (x @ weight.T + 1).astype(np.float32))
    found, bias = latent_start(data, np.arange(200), 0)
    np.testing.assert_allclose(found, weight, atol=1e-2)
    np.testing.assert_allclose(bias, 1, atol=0.1)


def test_it_follows_the_teacher_on_held_out_donors(student, made):
    assert student.evaluation_["latent_cosine"] > 0.95
    assert student.history_table_["latent_cosine"].iloc[-1] > 0.95
    assert student.protocol_["held_out"] == "donor"
    z = student.get_latent_representation(made, layer="counts")
    assert z.shape == (300, 5)
    assert cosine(z, made.obsm["X_latent"]).mean() > 0.95


def test_no_teacher_is_needed_to_encode(student, made, tmp_path):
    query = made.copy()
    del query.obsm["X_latent"]
    wanted = student.get_latent_representation(query, layer="counts")
    student.save(tmp_path / "a")
    found = load_model(tmp_path / "a")
    assert isinstance(found, DistVAE)
    np.testing.assert_array_equal(found.get_latent_representation(query, layer="counts"), wanted)
    found.save(tmp_path / "b")
    for file in ("model.json", "model.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    with pytest.raises(KeyError, match=r"`teacher_key`"):
        DistVAE.load(tmp_path / "a", query)
    wide = made.copy()
    wide.obsm["X_latent"] = np.ones((300, 7), np.float32)
    with pytest.raises(ValueError, match=r"5 columns in .*as in training; found 7"):
        DistVAE.load(tmp_path / "a", wide)


def test_the_published_mode_draws(made):
    cells = made.copy()
    DistVAE.setup_anndata(cells, layer="counts")
    model = DistVAE(cells, mode="paper", activation="shared_swish", **SMALL)
    assert model.module.sampled
    model.train(1, verbose=False, accelerator="cpu")
    first = model.get_latent_representation()
    np.testing.assert_array_equal(first, model.get_latent_representation())


def test_unfit_teachers(made):
    cells = made.copy()
    with pytest.raises(KeyError, match=r"`teacher_key` .*'X_later'.*Did you mean X_latent"):
        DistVAE.setup_anndata(cells, "X_later", layer="counts")
    cells.obsm["X_latent"] = made.obsm["X_latent"].copy()
    cells.obsm["X_latent"][3] = 0
    with pytest.raises(ValueError, match=r"1 rows of zeros"):
        DistVAE.setup_anndata(cells, layer="counts")
    cells.obsm["X_latent"][3] = np.inf
    with pytest.raises(ValueError, match=r"5 infinite"):
        DistVAE.setup_anndata(cells, layer="counts")
    cells.obsm["X_latent"] = made.obsm["X_latent"]
    DistVAE.setup_anndata(cells, layer="counts")
    with pytest.raises(ValueError, match=r"19,264 inputs for the preset 'dist'; found 150"):
        DistVAE(cells, preset="dist")
