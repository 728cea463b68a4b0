"""Attributions against dense integrated gradients; the panel against its rules."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from dtp_scvi.module import TransformerModule, sparse_batch
from dtp_scvi.train import choose_panel, gene_attributions, panel_table
from dtp_scvi.train._panel import row_attributions

N_GENES, TOTAL = 12, 500.0


@pytest.fixture(params=[2, 3], ids=["two classes", "three classes"])
def module(request):
    """A small network with random weights; gene 3 is in two programs, gene 11 in none."""
    torch.manual_seed(0)
    order = np.array([0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    programs = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3])
    module = TransformerModule(
        N_GENES, 13, request.param, n_programs=3, n_members=2, n_components=2, d_model=8, n_heads=2
    )
    rng = np.random.default_rng(0)
    mean = rng.uniform(1, 4, N_GENES).astype(np.float32)
    projection = rng.normal(0, 0.3, (13, 2)).astype(np.float32)
    projection[12] = 0
    module.set_basis(order, programs, mean[order], projection)
    first = np.ones((13, 1), np.float32)
    first[4] = 0
    weight = rng.normal(size=(13, module.n_outputs)).astype(np.float32) * first
    module.linear_weight.copy_(torch.from_numpy(weight))
    for member in module.members:
        torch.nn.init.normal_(member.head.weight, std=0.7)
    module.member_scale.copy_(torch.tensor([1.0, 0.5]))
    return module.eval()


@pytest.fixture
def rows():
    rng = np.random.default_rng(1)
    return sp.csr_matrix(rng.poisson(8.0, (6, N_GENES)).astype(np.float32))


def gene_mean(module):
    mean = torch.zeros(N_GENES)
    mean[module.order] = module.mean
    return mean


def dense_output(module, x, output):
    """Compute a raw output from log-normalised expression, with dense algebra only."""
    centred = (x - gene_mean(module))[:, module.order]
    raw = module.linear_bias + centred @ module.linear_weight
    for scale, net in zip(module.member_scale, module.members, strict=True):
        coordinates = torch.stack(
            [
                centred[:, net.tokens.programs == k] @ net.tokens.weight[net.tokens.programs == k]
                for k in range(module.n_programs)
            ],
            dim=1,
        )
        raw = raw + scale * net.from_coordinates(coordinates) / len(module.members)
    return raw[:, output]


def dense_gradients(module, rows, output, n_steps=400):
    x = torch.from_numpy(np.log1p(1e4 / TOTAL * rows.toarray())).float()
    mean = gene_mean(module)
    steps = ((torch.arange(n_steps) + 0.5) / n_steps)[:, None, None]
    # Rows do not see each other, so all steps of all rows go through the network at once.
    points = (mean + steps * (x - mean)).reshape(-1, N_GENES).requires_grad_()
    gradient = torch.autograd.grad(dense_output(module, points, output).sum(), points)[0]
    return ((x - mean) * gradient.reshape(n_steps, *x.shape).mean(dim=0)).numpy(), x


def test_attributions_are_integrated_gradients(module, rows):
    output = module.n_outputs - 1
    total = np.full(6, TOTAL)
    expected, _x = dense_gradients(module, rows, output)
    found = row_attributions(module, sparse_batch(rows, total, "linear"), output).numpy()
    np.testing.assert_allclose(found, expected, atol=0.005 * np.abs(expected).max())
    assert np.abs(expected).max() > 0.1
    mean = gene_attributions(module, rows, total, "linear", output, batch_size=4)
    np.testing.assert_allclose(mean, np.abs(found).mean(axis=0), rtol=1e-4)


def test_attributions_are_complete(module, rows):
    total = np.full(6, TOTAL)
    batch = sparse_batch(rows, total, "linear")
    with torch.no_grad():
        raw = module.raw_logits(batch)
        mean = gene_mean(module)
        for output in range(module.n_outputs):
            base = dense_output(module, mean[None], output)
            difference = (raw[:, output] - base).numpy()
            found = row_attributions_sum(module, batch, output)
            np.testing.assert_allclose(found, difference, atol=0.01 * np.abs(difference).max())


def strong(seed, scale):
    """A deeper network whose residual is larger than its linear part."""
    torch.manual_seed(seed)
    order, programs = np.arange(N_GENES), np.repeat(np.arange(3), 4)
    module = TransformerModule(
        N_GENES, N_GENES, 2, n_programs=3, n_members=2, n_components=2, d_model=16, n_heads=2
    )
    rng = np.random.default_rng(seed)
    mean = rng.uniform(1, 4, N_GENES).astype(np.float32)
    module.set_basis(order, programs, mean, rng.normal(0, 1, (N_GENES, 2)).astype(np.float32))
    for member in module.members:
        torch.nn.init.normal_(member.head.weight, std=1.0)
        torch.nn.init.normal_(member.tokens.weight, std=2.0)
    module.member_scale.fill_(scale)
    return module.eval()


@pytest.mark.parametrize("seed", range(3))
def test_a_strong_residual_is_divided_up_to_one_per_cent(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    rows = sp.csr_matrix(rng.poisson(8.0, (60, N_GENES)).astype(np.float32))
    module, total = strong(seed, 4.0), np.full(60, TOTAL)
    batch = sparse_batch(rows, total, "linear")
    with torch.no_grad():
        base = dense_output(module, gene_mean(module)[None], 0)
        difference = (module.raw_logits(batch)[:, 0] - base).numpy()
    assert np.median(np.abs(difference)) > 1
    found = row_attributions(module, batch, 0).sum(dim=1).numpy()
    share = np.abs(found - difference) / np.maximum(np.abs(difference), 0.25)
    assert share.max() < 0.0101
    # One rule of eight nodes over the whole path, and no more, does not do.
    monkeypatch.setattr("dtp_scvi.train._path_integral._MOST_HALVINGS", 0)
    coarse = row_attributions(module, batch, 0).sum(dim=1).numpy()
    assert (np.abs(coarse - difference) / np.maximum(np.abs(difference), 0.25)).max() > 0.015


def test_rows_do_not_share_a_path(module, rows):
    total = np.full(6, TOTAL)
    whole = row_attributions(module, sparse_batch(rows, total, "linear"), 0).numpy()
    alone = row_attributions(module, sparse_batch(rows[4:5], total[4:5], "linear"), 0).numpy()
    np.testing.assert_allclose(alone[0], whole[4], atol=1e-5)


def row_attributions_sum(module, batch, output):
    with torch.enable_grad():
        return row_attributions(module, batch, output).sum(dim=1).numpy()


def test_the_dense_oracle_is_the_network(module, rows):
    x = torch.from_numpy(np.log1p(1e4 / TOTAL * rows.toarray())).float()
    with torch.no_grad():
        raw = module.raw_logits(sparse_batch(rows, np.full(6, TOTAL), "linear"))
        for output in range(module.n_outputs):
            torch.testing.assert_close(
                dense_output(module, x, output), raw[:, output], rtol=1e-4, atol=1e-4
            )


def test_without_residual_an_attribution_is_weight_times_deviation(module, rows):
    module.member_scale.zero_()
    found = row_attributions(module, sparse_batch(rows, np.full(6, TOTAL), "linear"), 0).numpy()
    x = np.log1p(1e4 / TOTAL * rows.toarray())
    weight = np.zeros(N_GENES)
    np.add.at(weight, module.order.numpy(), module.linear_weight[:, 0].numpy())
    np.testing.assert_allclose(found, (x - gene_mean(module).numpy()) * weight, atol=1e-4)


GENES = [f"G{i}" for i in range(8)] + ["RPL13", "MT-ND1"]


def panel(by_donor, n_genes=3, *, detected=None, **kwargs):
    by_donor = np.asarray(by_donor, dtype=float)
    detected = np.ones(by_donor.shape, bool) if detected is None else detected
    given = {"exclude": ("ribosomal", "mitochondrial"), "seed": 0, **kwargs}
    return choose_panel(by_donor, detected, GENES, n_genes, **given)


def test_genes_on_top_in_every_donor_win():
    same = np.tile([9, 8, 7, 1, 1, 1, 1, 1, 99, 99.0], (6, 1))
    found = panel(same)
    assert found.genes.tolist() == [0, 1, 2]
    assert found.frequency[:3].tolist() == [1.0, 1.0, 1.0]
    assert found.jaccard == 1.0
    assert found.n_excluded == 2
    table = panel_table(found, GENES)
    assert table["gene"].tolist() == ["G0", "G1", "G2"]
    assert table["importance"].tolist() == [9.0, 8.0, 7.0]


def test_a_gene_of_one_donor_yields_to_genes_of_all():
    by_donor = np.tile([5, 5, 5, 0.1, 1, 1, 1, 1, 0, 0], (8, 1)).astype(float)
    by_donor[0, 3] = 40.0  # A mean of 5.1 puts it first, but only where this donor is drawn.
    assert panel(by_donor).genes.tolist() == [0, 1, 2]
    assert 0.2 < panel(by_donor).frequency[3] < 0.8


def test_a_gene_seen_in_few_donors_is_no_candidate():
    same = np.tile([9, 8, 7, 6, 1, 1, 1, 1, 1, 1.0], (10, 1))
    detected = np.ones(same.shape, bool)
    detected[:3, 0] = False
    assert panel(same, detected=detected).genes.tolist() == [1, 2, 3]
    detected[:1, 0] = True
    assert panel(same, detected=detected).genes.tolist() == [0, 1, 2]


def test_one_donor_has_no_stability():
    found = panel([[9, 8, 7, 6, 1, 1, 1, 1, 1, 1]])
    assert found.genes.tolist() == [0, 1, 2]
    assert np.isnan(found.jaccard)


def test_jaccard_of_disjoint_tops_is_zero():
    by_donor = np.array([[9, 9, 9, 1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 9, 9, 9, 1, 1, 0, 0.0]])
    assert panel(by_donor).jaccard == 0


def test_a_panel_that_cannot_be_filled():
    with pytest.raises(ValueError, match=r"at least n_genes=9 .*found 8 .*ribosomal, mitochondri"):
        panel(np.ones((3, 10)), 9)
    assert len(panel(np.ones((3, 10)), 10, exclude=()).genes) == 10
