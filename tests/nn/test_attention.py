"""Attention against torch's own in double precision."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from dtp_scvi.nn import ClsEncoder, TransformerBlock
from dtp_scvi.nn._attention import _SHORT, attend

# On both sides of the length from which the fused kernel is used.
LENGTHS = pytest.mark.parametrize("n_tokens", [1, 5, _SHORT, _SHORT + 1, 2 * _SHORT])


def draw(*shape, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


def heads(n_tokens, *, n_queries=None, scale=1.0):
    """Query, key, value of 3 cells and 2 heads of width 4."""
    sizes = (n_queries or n_tokens, n_tokens, n_tokens)
    return [draw(3, 2, n, 4, seed=seed, scale=scale) for seed, n in enumerate(sizes)]


@LENGTHS
@pytest.mark.parametrize("n_queries", [None, 1])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_attend_is_scaled_dot_product_attention(n_tokens, n_queries, scale):
    query, key, value = heads(n_tokens, n_queries=n_queries, scale=scale)
    found = attend(query, key, value)
    assert found.dtype == torch.float64
    torch.testing.assert_close(
        found, scaled_dot_product_attention(query, key, value), rtol=1e-10, atol=1e-10
    )
    # The definition, as the kernel above is what long sequences are given.
    weight = torch.softmax(torch.einsum("chqd,chkd->chqk", query, key) / 4**0.5, dim=-1)
    torch.testing.assert_close(found, torch.einsum("chqk,chkd->chqd", weight, value))
    single = attend(*(x.float() for x in (query, key, value)))
    torch.testing.assert_close(single.double(), found, rtol=1e-3, atol=1e-3 * scale)


@LENGTHS
def test_weights_sum_to_one(n_tokens):
    query, key, _ = heads(n_tokens)
    torch.testing.assert_close(
        attend(query, key, torch.ones_like(key)), torch.ones_like(query), rtol=1e-12, atol=0
    )
    # With one axis a token as values, the weights themselves come out.
    weight = attend(query, key, torch.eye(n_tokens, dtype=torch.float64).expand(3, 2, -1, -1))
    assert (weight >= 0).all()
    torch.testing.assert_close(
        weight.sum(dim=-1), torch.ones(3, 2, n_tokens, dtype=torch.float64), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("n_tokens", [5, _SHORT + 1])
def test_gradients(n_tokens):
    given = [x.requires_grad_() for x in heads(n_tokens)]
    towards = draw(3, 2, n_tokens, 4, seed=9)
    found = torch.autograd.grad((attend(*given) * towards).sum(), given)
    oracle = torch.autograd.grad((scaled_dot_product_attention(*given) * towards).sum(), given)
    for a, b in zip(found, oracle, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)
    small = [x[:1, :1, :4].detach().requires_grad_() for x in given]
    assert torch.autograd.gradcheck(attend, small)


def block(*, query_first=False, d_model=8, n_heads=2):
    torch.manual_seed(0)
    return TransformerBlock(d_model, n_heads, 16, query_first=query_first).double().eval()


@pytest.fixture(autouse=True)
def _torch_seed():
    """Initial weights come from the global state; give it back."""
    before = torch.get_rng_state()
    yield
    torch.set_rng_state(before)


def multi_head(layer, x):
    """A pre-norm block by torch's own multi-head attention with the same weights."""
    d_model = x.shape[-1]
    own = torch.nn.MultiheadAttention(d_model, layer.n_heads, batch_first=True).double()
    with torch.no_grad():
        own.in_proj_weight.copy_(torch.cat([layer.query.weight, layer.key_value.weight]))
        own.in_proj_bias.copy_(torch.cat([layer.query.bias, layer.key_value.bias]))
        own.out_proj.weight.copy_(layer.out.weight)
        own.out_proj.bias.copy_(layer.out.bias)
    h = layer.norm_attention(x)
    mixed, weight = own(h, h, h, average_attn_weights=False)
    x = x + mixed
    return x + layer.hidden(layer.norm_hidden(x)), weight


@pytest.mark.parametrize("n_tokens", [1, 7, _SHORT + 3])
def test_a_block_is_multi_head_attention(n_tokens):
    layer, x = block(), draw(4, n_tokens, 8)
    expected, weight = multi_head(layer, x)
    torch.testing.assert_close(layer(x), expected, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(layer.attention(x), weight[:, :, 0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n_tokens", [1, 7, _SHORT + 3])
def test_the_first_token_alone_is_the_same(n_tokens):
    whole, first, x = block(), block(query_first=True), draw(4, n_tokens, 8)
    assert first(x).shape == (4, 1, 8)
    torch.testing.assert_close(first(x), whole(x)[:, :1], rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(first.attention(x), whole.attention(x), rtol=1e-9, atol=1e-12)


def test_attention_of_the_read_out_token():
    torch.manual_seed(0)
    encoder = ClsEncoder(8, 2, 3, 16, 0.0).double().eval()
    tokens = draw(4, 6, 8)
    found = encoder.attention(tokens)
    assert found.shape == (4, 3, 2, 6)
    x = torch.cat([encoder.cls.expand(4, -1, -1), tokens], dim=1)
    for number, layer in enumerate(encoder.blocks):
        after, weight = multi_head(layer, x)
        torch.testing.assert_close(found[:, number], weight[:, :, 0, 1:], rtol=1e-9, atol=1e-12)
        # What is missing to 1 is what the token gives to itself.
        torch.testing.assert_close(1 - found[:, number].sum(dim=-1), weight[:, :, 0, 0])
        x = after
    torch.testing.assert_close(encoder(tokens), encoder.norm(x[:, 0]), rtol=1e-9, atol=1e-10)


def test_tokens_are_a_set():
    torch.manual_seed(0)
    encoder = ClsEncoder(8, 2, 2, 16, 0.0).double().eval()
    tokens, order = draw(4, 6, 8), torch.tensor([5, 0, 3, 1, 4, 2])
    torch.testing.assert_close(encoder(tokens[:, order]), encoder(tokens), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(
        encoder.attention(tokens[:, order]), encoder.attention(tokens)[..., order]
    )


def test_every_weight_of_the_encoder_learns():
    torch.manual_seed(0)
    encoder = ClsEncoder(8, 2, 2, 16, 0.0).double()
    (encoder(draw(4, 6, 8)) * draw(4, 8, seed=1)).sum().backward()
    still = [
        name
        for name, weight in encoder.named_parameters()
        if weight.grad is None or not weight.grad.abs().max() > 1e-8
    ]
    assert still == []
