"""The residual block against its formula, its start, and the norm of its weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dtp_scvi.nn import ResidualBlock, Swish, linear_layer, log_normalize


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("n_out", [5, 8])
@pytest.mark.parametrize("training", [True, False])
def test_formula(n_out, training):
    block = ResidualBlock(8, n_out, activation=nn.LeakyReLU(0.01)).train(training)
    x = torch.randn(16, 8)
    hidden = x @ block.main.weight.T + block.main.bias
    mean, var = hidden.mean(0), hidden.var(0, unbiased=False)
    if not training:
        mean, var = torch.zeros(n_out), torch.ones(n_out)
    hidden = (hidden - mean) / (var + 1e-5).sqrt()
    hidden = torch.where(hidden > 0, hidden, 0.01 * hidden)
    way = x if n_out == 8 else x @ block.shortcut.weight.T + block.shortcut.bias
    torch.testing.assert_close(block(x), hidden + way, atol=1e-5, rtol=1e-5)


def test_swish():
    swish, x = Swish(), torch.linspace(-3, 3, 7)
    torch.testing.assert_close(swish(x), nn.functional.silu(x))
    swish.beta.data.fill_(2.0)
    torch.testing.assert_close(swish(x), x / (1 + torch.exp(-2 * x)))


def test_start():
    assert linear_layer(900, 600, spectral=False).weight.std().item() == pytest.approx(
        (2 / 900) ** 0.5, rel=0.02
    )
    output = linear_layer(900, 600, spectral=False, output=True)
    assert output.weight.std().item() == pytest.approx((2 / 1500) ** 0.5, rel=0.02)
    # What is drawn is the weight before its norm is divided out.
    spectral = linear_layer(900, 600, spectral=True)
    drawn = spectral.parametrizations.weight.original
    assert drawn.std().item() == pytest.approx((2 / 900) ** 0.5, rel=0.02)


@pytest.mark.parametrize("shape", [(40, 30), (30, 40)])
def test_largest_singular_value_is_one(shape):
    layer = linear_layer(*shape, spectral=True).train()
    for _ in range(30):
        layer(torch.randn(2, shape[0]))
    weight = layer.eval().weight
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=1e-3)
    drawn = layer.parametrizations.weight.original
    torch.testing.assert_close(
        weight, drawn / torch.linalg.matrix_norm(drawn, 2), atol=1e-3, rtol=1e-3
    )


def test_norms_are_where_they_were_asked_for():
    block = ResidualBlock(6, 4, activation=Swish(), spectral_shortcut=True)
    assert hasattr(block.shortcut, "parametrizations")
    assert not hasattr(block.main, "parametrizations")
    block = ResidualBlock(6, 6, activation=Swish(), spectral_main=True, spectral_shortcut=True)
    assert isinstance(block.shortcut, nn.Identity)
    assert hasattr(block.main, "parametrizations")


def test_values_as_they_are_are_not_normalised():
    values = torch.tensor([-1.0, 2.0, 0.5])
    lengths, total = torch.tensor([2, 1]), torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert log_normalize(values, lengths, total, "as_is") is values
