"""Masked attention against its definition: padding is invisible, nothing is NaN."""

from __future__ import annotations

import pytest
import torch

from dtp_scvi.nn import MaskedAttention

PROJECT = pytest.mark.parametrize("project", [True, False])


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(*, project=True, dropout=0.0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MaskedAttention(8, 2, project=project, dropout=dropout)


def mask():
    return torch.tensor([[True, True, False, False], [True] * 4, [False] * 4])


@PROJECT
@pytest.mark.parametrize("masked", [True, False])
def test_both_paths_give_the_same_numbers(project, masked):
    layer, x, context = made(project=project), drawn(3, 5, 8), drawn(3, 4, 8, seed=1)
    given = mask() if masked else None
    out, weight = layer.explicit(x, context, given)
    torch.testing.assert_close(layer(x, context, given), out, atol=1e-5, rtol=1e-5)
    assert weight.shape == (3, 2, 5, 4)
    sums = weight.sum(dim=-1)
    assert torch.allclose(sums[:2], torch.ones(2, 2, 5))


def test_the_definition():
    layer, x, context = made(), drawn(1, 5, 8), drawn(1, 4, 8, seed=1)
    query, key, value = layer.query(x)[0], layer.key(context)[0], layer.value(context)[0]
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        scores = query[:, part] @ key[:, part].T / 4**0.5
        heads.append(torch.softmax(scores, dim=1) @ value[:, part])
    torch.testing.assert_close(layer(x, context)[0], layer.out(torch.cat(heads, dim=1)))


@PROJECT
def test_what_stands_in_padding_changes_nothing(project):
    layer, x, context = made(project=project), drawn(3, 5, 8), drawn(3, 4, 8, seed=1)
    other = context.clone()
    other[~mask()] = 1e4
    assert torch.equal(layer(x, context, mask()), layer(x, other, mask()))
    assert torch.equal(layer.explicit(x, context, mask())[0], layer.explicit(x, other, mask())[0])
    assert layer.explicit(x, context, mask())[1][0, ..., 2:].abs().max() == 0
    short = layer(x[:1], context[:1, :2])
    torch.testing.assert_close(layer(x, context, mask())[:1], short)


@PROJECT
def test_a_row_without_anything_to_look_at_gathers_zeros(project):
    layer, x, context = made(project=project), drawn(3, 5, 8), drawn(3, 4, 8, seed=1)
    x.requires_grad_()
    out = layer(x, context, mask())
    spelled, weight = layer.explicit(x, context, mask())
    assert out[2].abs().max() == 0
    assert spelled[2].abs().max() == 0
    assert weight[2].abs().max() == 0
    (out.sum() + spelled.sum()).backward()
    assert torch.isfinite(x.grad).all()


def test_dropout_acts_while_training_only():
    layer, x = made(dropout=0.5), drawn(2, 6, 8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


def test_only_the_projection_differs_in_size():
    sizes = [sum(p.numel() for p in made(project=p).parameters()) for p in (True, False)]
    assert sizes == [4 * (64 + 8), 3 * (64 + 8)]
