"""Token sums against a dense product, and the mask against its definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from dtp_scvi.nn import ClsEncoder, ProgramTokens, SparseBagSum, bag_offsets, log_normalize

N_ROWS, SIZES = 7, (3, 0, 5, 4)
N_COLUMNS = sum(SIZES)
BOUNDARIES = np.concatenate([[0], np.cumsum(SIZES)])


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    dense = rng.poisson(0.8, (N_ROWS, N_COLUMNS)).astype(np.float32)
    dense[2] = 0
    return sp.csr_matrix(dense)


def tensors(rows):
    offsets = bag_offsets(rows.indptr, rows.indices, BOUNDARIES)
    return (
        torch.from_numpy(rows.data),
        torch.from_numpy(rows.indices.astype(np.int32)),
        torch.from_numpy(offsets.astype(np.int32)),
    )


def dense_sums(rows, weight):
    x = torch.from_numpy(rows.toarray())
    parts = [x[:, a:b] @ weight[a:b] for a, b in itertools.pairwise(BOUNDARIES)]
    return torch.stack(parts, dim=1).flatten(0, 1)


def test_bag_sums_equal_a_dense_product(rows):
    weight = torch.randn(N_COLUMNS, 2)
    torch.testing.assert_close(
        SparseBagSum.apply(weight, *tensors(rows)), dense_sums(rows, weight)
    )


def test_bag_gradient_equals_autograd_of_the_dense_product(rows):
    weight = torch.randn(N_COLUMNS, 2, requires_grad=True)
    probe = torch.randn(N_ROWS * len(SIZES), 2)
    (dense_sums(rows, weight) * probe).sum().backward()
    expected, weight.grad = weight.grad.clone(), None
    (SparseBagSum.apply(weight, *tensors(rows)) * probe).sum().backward()
    torch.testing.assert_close(weight.grad, expected)


def programs():
    return torch.from_numpy(np.repeat(np.arange(len(SIZES)), SIZES))


def test_coordinates_follow_their_formula(rows):
    weight, mean = torch.randn(N_COLUMNS, 2), torch.rand(N_COLUMNS)
    tokens = ProgramTokens(programs(), weight, mean, len(SIZES), d_model=8)
    observed = (torch.arange(N_COLUMNS) % 3 > 0).float()
    masked = rows.multiply(observed.numpy()).tocsr()
    sums = SparseBagSum.apply(weight, *tensors(masked)).view(N_ROWS, len(SIZES), 2)
    found = tokens.coordinates(sums, observed)
    x = torch.from_numpy(rows.toarray())
    for k in range(len(SIZES)):
        here = (programs() == k).numpy()
        if not here.any():
            continue
        o, w = observed[here], weight[here]
        top = ((x[:, here] - mean[here]) * o) @ w
        share = (o[:, None] * w**2).sum(0) / (w**2).sum(0)
        torch.testing.assert_close(found[:, k], top / share.clamp_min(0.05), rtol=1e-4, atol=1e-5)


def test_all_observed_equals_no_mask(rows):
    tokens = ProgramTokens(
        programs(), torch.randn(N_COLUMNS, 1), torch.rand(N_COLUMNS), len(SIZES), d_model=4
    )
    sums = torch.randn(N_ROWS, len(SIZES), 1)
    # The program without genes has no share to divide by; its coordinate is zero in both.
    sums[:, 1] = 0
    torch.testing.assert_close(tokens(sums), tokens(sums, torch.ones(N_COLUMNS)))


@pytest.mark.parametrize("kind", ["linear", "log1p", "log2p1"])
def test_log_normalize_against_numpy(rows, kind):
    dense = rows.toarray().astype(np.float64)
    total = dense.sum(axis=1) + 5
    stored = {"linear": dense, "log1p": np.log1p(dense), "log2p1": np.log2(dense + 1)}[kind]
    matrix = sp.csr_matrix(stored.astype(np.float32))
    values = log_normalize(
        torch.from_numpy(matrix.data),
        torch.from_numpy(np.diff(matrix.indptr).astype(np.int64)),
        torch.from_numpy(total),
        kind,
    )
    expected = np.log1p(1e4 * dense / total[:, None])[matrix.nonzero()]
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-5)


def test_reading_only_the_first_token_changes_no_result():
    torch.manual_seed(0)
    encoder = ClsEncoder(16, 4, 2, 32, 0.0).eval()
    tokens = torch.randn(5, 6, 16)
    fast = encoder(tokens)
    encoder.blocks[-1].query_first = False
    torch.testing.assert_close(encoder(tokens), fast)


def test_attention_is_the_one_that_the_encoder_uses():
    torch.manual_seed(0)
    encoder = ClsEncoder(16, 4, 2, 32, 0.0).eval()
    weights = encoder.attention(torch.randn(5, 6, 16))
    assert weights.shape == (5, 2, 4, 6)
    assert (weights >= 0).all()
    assert (weights.sum(-1) <= 1 + 1e-6).all()
    # One block, values = keys of the identity: attention reproduces the block's mixing.
    block = encoder.blocks[0]
    x = encoder._with_cls(torch.randn(3, 6, 16))
    _, _, value = block._project(x)
    mixed = (block.attention(x)[:, :, None] @ value).transpose(1, 2).flatten(2)
    full = x[:, :1] + block.out(mixed)
    full = full + block.hidden(block.norm_hidden(full))
    torch.testing.assert_close(full[:, 0], block(x)[:, 0])
