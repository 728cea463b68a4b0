"""The residual autoencoder: published sizes, closed forms of its loss, its input."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch.distributions import Normal, kl_divergence

from dtp_scvi.module import PRESETS, ResVAEModule, dense_inputs, gaussian_kl, sparse_batch
from dtp_scvi.nn import Swish

COUNTS = {"sf": 25_707_290, "gf": 15_910_568, "dist": 99_098_860}
SWISHES = {"sf": 0, "gf": 7, "dist": 1}
_TRAINING = ("lr", "weight_decay", "max_epochs", "schedule", "cosine_weight")


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def small():
    return ResVAEModule(12, encoder=(8, 6), n_latent=3, decoder=(6, 8))


def architecture(preset):
    return {name: value for name, value in asdict(preset).items() if name not in _TRAINING}


@pytest.mark.parametrize("name", PRESETS)
def test_parameter_counts(name):
    # Weights on no device: the largest has a hundred million.
    with torch.device("meta"):
        module = ResVAEModule(**architecture(PRESETS[name]))
    betas = {id(layer.beta) for layer in module.modules() if isinstance(layer, Swish)}
    assert len(betas) == SWISHES[name]
    assert sum(p.numel() for p in module.parameters()) - len(betas) == COUNTS[name]


@pytest.mark.parametrize(
    ("name", "normed"), [("none", set()), ("outer", {"s"}), ("all", {"s", "m"})]
)
def test_spectral_norm_of_layers(name, normed):
    module = ResVAEModule(12, encoder=(8, 6), n_latent=3, decoder=(6, 8), spectral_norm=name)
    for block in [*module.encoder, *module.decoder]:
        assert hasattr(block.shortcut, "parametrizations") == ("s" in normed)
        assert hasattr(block.main, "parametrizations") == ("m" in normed)
    for layer in (module.mu, module.logvar, module.output):
        assert hasattr(layer, "parametrizations") == (name != "none")


def test_loss_is_the_sum_of_its_closed_forms(small):
    x = torch.randn(5, 12)
    mu, logvar, back = torch.randn(5, 3), torch.randn(5, 3), torch.randn(5, 12)
    out = small.loss({"X": x}, {"mu": mu, "logvar": logvar}, {"reconstruction": back})
    normal = Normal(torch.zeros(5, 3), torch.ones(5, 3))
    kl = kl_divergence(Normal(mu, (logvar / 2).exp()), normal).mean()
    mse = ((x - back) ** 2).sum() / 60
    torch.testing.assert_close(out.loss, 500 * mse + kl)
    torch.testing.assert_close(out.extra_metrics["kl"], kl)
    torch.testing.assert_close(out.extra_metrics["mse"], mse)
    torch.testing.assert_close(gaussian_kl(torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(2))


def test_draws_have_the_moments_of_the_posterior(small):
    small.eval()
    x = torch.randn(1, 12)
    found = small.inference(x.expand(20_000, 12))
    z, sd = found["z"], (found["logvar"][0] / 2).exp()
    torch.testing.assert_close(z.mean(0), found["mu"][0], atol=0.05, rtol=0.05)
    torch.testing.assert_close(z.std(0), sd, atol=0.02, rtol=0.03)


def test_one_step_moves_every_parameter(small):
    inference, generative, out = small({"X": torch.randn(16, 12)})
    assert inference["z"].shape == (16, 3)
    assert generative["reconstruction"].shape == (16, 12)
    out.loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in small.parameters())


def test_what_is_missing_stands_at_its_mean(small):
    small.eval()
    small.mean.copy_(torch.arange(12.0))
    x, observed = torch.randn(4, 12), torch.ones(12)
    observed[[2, 7]] = 0
    filled = x.clone()
    filled[:, 2], filled[:, 7] = 2.0, 7.0
    torch.testing.assert_close(small.encode(x, observed)[0], small.encode(filled)[0])


@pytest.mark.parametrize("kind", ["linear", "as_is"])
def test_dense_rows(kind):
    rng = np.random.default_rng(0)
    x = rng.poisson(1.0, (6, 9)).astype(np.float32)
    x[2] = 0
    total = x.sum(axis=1) * 3.0
    batch = sparse_batch(sp.csr_matrix(x), total, kind)
    expected = x if kind == "as_is" else np.log1p(1e4 * x / np.maximum(total, 1)[:, None])
    np.testing.assert_allclose(dense_inputs(batch, 9), expected, rtol=1e-6)
    batch["values"].requires_grad_()
    found = dense_inputs(batch, 9)
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-6)
    assert found.requires_grad
