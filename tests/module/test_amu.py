"""The published networks, parameter by parameter, and what permuting genes does to them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from dtp_scvi.model import AMU
from dtp_scvi.module import AMUModule, sparse_batch

G = 160


def architecture(**changes):
    paper = {name: value for name, value in AMU.PAPER.items() if name != "schedule"}
    return paper | changes


def n_parameters(module, *, norms):
    batch_norm = {
        id(p)
        for layer in module.modules()
        if isinstance(layer, torch.nn.BatchNorm1d)
        for p in layer.parameters()
    }
    return sum(p.numel() for p in module.parameters() if norms or id(p) not in batch_norm)


def test_parameter_counts_are_the_published_ones():
    paper = AMUModule(G, 2, **architecture())
    assert n_parameters(paper, norms=True) == 83_472
    assert n_parameters(paper, norms=False) == 83_462
    assert n_parameters(AMUModule(G, 2, network="cnn"), norms=False) == 737


def test_permuting_genes_with_embedding_and_head_changes_nothing():
    torch.manual_seed(0)
    one = AMUModule(G, 2, **architecture(value_bias=True, n_blocks=2)).eval()
    other = AMUModule(G, 2, **architecture(value_bias=True, n_blocks=2)).eval()
    order = torch.randperm(G)
    state = one.state_dict()
    for name in ("net.embedding", "net.identity"):
        state[name] = state[name][order]
    state["net.head.1.weight"] = state["net.head.1.weight"][:, order]
    other.load_state_dict(state)
    x = torch.randn(5, G)
    assert torch.allclose(one.net(x), other.net(x[:, order]), atol=1e-5)
    assert not torch.allclose(one.net(x), one.net(x[:, order]), atol=1e-3)


def test_shapes_along_the_way():
    net = AMUModule(G, 2, **architecture(n_blocks=1)).net
    seen = {}
    net.channels.register_forward_hook(lambda _, given, out: seen.update(channels=out.shape))
    net.head.register_forward_hook(lambda _, given, out: seen.update(head=given[0].shape))
    assert net(torch.randn(3, G)).shape == (3, 2)
    assert seen == {"channels": (3, 5, G), "head": (3, G)}


@pytest.mark.parametrize("kind", ["linear", "log1p", "log2p1"])
def test_inputs_are_closed_over_the_panel_and_log1p_per_million(kind):
    rng = np.random.default_rng(0)
    linear = rng.poisson(3, (6, 20)).astype(float)
    forward = {"linear": lambda x: x, "log1p": np.log1p, "log2p1": lambda x: np.log2(x + 1)}
    module = AMUModule(20, 2, network="cnn")
    # Totals over other genes play no part.
    batch = sparse_batch(sp.csr_matrix(forward[kind](linear)), np.full(6, 1e9), kind)
    expected = np.log1p(1e6 * linear / linear.sum(axis=1, keepdims=True))
    assert module.closed(batch).numpy() == pytest.approx(expected, rel=1e-4)


def test_a_missing_gene_stands_at_its_mean_and_its_share_is_put_back():
    rng = np.random.default_rng(1)
    linear = np.full((4, 10), 1.0) * rng.uniform(1, 5, (4, 1))
    module = AMUModule(10, 2, network="cnn")
    module.mean.fill_(3.0)
    module.sd.fill_(2.0)
    observed = torch.ones(10)
    observed[3] = 0
    cut = linear.copy()
    cut[:, 3] = 0
    whole = module.standardised(sparse_batch(sp.csr_matrix(linear), np.ones(4), "linear"))
    found = module.standardised(sparse_batch(sp.csr_matrix(cut), np.ones(4), "linear"), observed)
    assert torch.all(found[:, 3] == 0)
    others = [g for g in range(10) if g != 3]
    assert torch.allclose(found[:, others], whole[:, others], atol=1e-5)
