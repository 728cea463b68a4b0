"""Numbers as vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dtp_scvi.nn import (
    AdaptiveNorm,
    AmountToken,
    ContinuousValues,
    GatedMLP,
    StepEmbedding,
    ValueBins,
)

DOSES = (0.21, 0.41, 0.71, 1.01, 1.51, 3.1, 4.1, 7.1, 12.1)


def test_a_bin_is_the_number_of_edges_at_or_below():
    bins = ValueBins(128, 4, 0.0, 15.002)
    assert bins.edges.shape == (127,)
    values = np.random.default_rng(0).uniform(-1, 17, 500).astype(np.float32)
    edges = bins.edges.numpy()
    found = bins.bins(torch.from_numpy(values)).numpy()
    assert np.array_equal(found, (edges[None] <= values[:, None]).sum(axis=1))
    assert (found.min(), found.max()) == (0, 127)
    assert bins.bins(bins.edges).tolist() == list(range(1, 128))
    # 0.119 of a log2 unit on the published range.
    assert float(bins.edges.diff().mean()) == pytest.approx(0.119, abs=5e-4)
    assert bins(torch.zeros(3, 7)).shape == (3, 7, 4)


def test_edges_travel_with_the_weights():
    one, other = ValueBins(16, 4, 0.0, 15.0), ValueBins(16, 4, 1.854, 15.993)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.edges, other.edges)


def test_continuous_values_tell_all_values_apart():
    layer = ContinuousValues(8)
    out = layer(torch.tensor([[0.0, 0.01], [1.0, 2.0]]))
    assert out.shape == (2, 2, 8)
    assert len(torch.unique(out.flatten(0, 1), dim=0)) == 4


def test_amounts_fall_into_left_closed_intervals_and_on_a_line():
    token = AmountToken(4, DOSES)
    with torch.no_grad():
        token.embedding.weight.copy_(torch.arange(10.0)[:, None].expand(10, 4))
        token.line.weight.zero_()
        token.line.bias.zero_()
    doses = torch.tensor([0.0, 0.2, 0.21, 0.5, 10.0, 12.1, 500.0])
    assert token(doses)[:, 0].tolist() == [0, 0, 1, 2, 8, 9, 9]
    line = AmountToken(4)
    grid = torch.tensor([0.0, 9.0, 99.0])
    assert torch.allclose(line(grid).diff(dim=0)[0], line.line.weight[:, 0], atol=1e-6)
    # An interval that no row fell into adds nothing.
    fresh = AmountToken(4, DOSES)
    assert torch.equal(fresh(doses), fresh.line(torch.log10(doses + 1)[:, None]))


@pytest.mark.parametrize("exponents", [(0.0, 4.0), (-4.0, 0.0)])
def test_steps_through_sines_and_cosines(exponents):
    layer = StepEmbedding(8, exponents)
    low, high = exponents
    expected = 10.0 ** (low + (high - low) * np.arange(8) / 7)
    assert layer.frequencies.numpy() == pytest.approx(expected, rel=1e-5)
    out = layer(torch.arange(50))
    assert out.shape == (50, 8)
    assert len(torch.unique(out, dim=0)) == 50


def test_gated_perceptron_by_hand():
    layer, x = GatedMLP(4, 6), torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    up = layer.up(x)
    gate = up[:, 6:]
    torch.testing.assert_close(layer(x), layer.down(up[:, :6] * gate * torch.sigmoid(gate)))


def test_a_closed_adaptive_norm_shifts_scales_and_gates_nothing():
    layer = AdaptiveNorm(4)
    layer.close()
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    shift, scale, gate, *_ = layer(torch.ones(2, 4))
    assert gate.abs().max() == 0
    torch.testing.assert_close(
        layer.normed(0, x, shift, scale), torch.nn.functional.layer_norm(x, (4,))
    )
    opened = AdaptiveNorm(4, start_closed=False)
    opened.close()
    assert all(part.abs().max() > 0 for part in opened(torch.ones(2, 4)))
