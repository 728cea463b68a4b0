"""XPert's network: published size, masks, losses by hand, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dtp_scvi.module import DrugSizes, XPertModule, XPertWeights

N, G, N_ATOMS = 6, 20, 5
SIZES = DrugSizes(4, N_ATOMS, 7, 9, 3)
TINY = {"d_model": 8, "n_heads": 2, "d_head": 8, "n_bins": 16, "n_cells": 2}
PAPER = {
    "n_cells": 240,
    "d_model": 256,
    "n_heads": 8,
    "treated": ("cross", "self", "self", "cross"),
    "untreated": 4,
    "n_bins": 128,
    "positions": "slot",
    "shared_projection": True,
    "start_at_mean": False,
}


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rows(tensors, chosen):
    return {name: value[chosen] for name, value in tensors.items()}


@pytest.fixture
def tiny(built):
    def make(**changes):
        return built(lambda: XPertModule(G, SIZES, **TINY | changes))

    return make


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


def linear(n_in, n_out):
    return n_in * n_out + n_out


def test_the_published_size_part_by_part():
    d, n_genes, n_atoms = 256, 978, 120
    norm, attention = 2 * d, 3 * linear(d, d)
    hidden = linear(d, 2 * d) + linear(2 * d, d)
    self_layer = attention + hidden + 2 * norm
    cross_layer = self_layer + 2 * attention + hidden + 2 * norm
    branches = (2 * cross_layer + 2 * self_layer) + 4 * self_layer
    heads, cells = 3 * (linear(d, 64) + linear(64, 1)), linear(d, 240)
    genes = 128 * d + n_genes * d + norm + d
    drug = linear(512, d) + norm
    # The published count holds the linear layer that the network's gene vectors pass once.
    prior = linear(128, d)
    single = branches + heads + cells + genes + drug + (2 + n_atoms) * d
    assert round((single + prior) / 1e6, 2) == 5.60
    assert round(single / 1e6, 2) == 5.57
    # What this package adds: a vector for drugs outside the graph; lines in dose and time.
    sizes = DrugSizes(3, n_atoms, 512, 512, d)
    one_dose = XPertModule(
        n_genes, sizes, gene_features=128, dose_edges=None, time_edges=None, **PAPER
    )
    assert n_parameters(one_dose) == single + prior + d
    both = XPertModule(n_genes, sizes, gene_features=128, **PAPER)
    amounts = (10 + 3) * d + 2 * d + 2 * linear(1, d)
    assert n_parameters(both) == single + prior + d + amounts
    assert round(n_parameters(both) / 1e6, 2) == 5.60


def test_the_laptop_default_is_small():
    assert n_parameters(XPertModule(978, DrugSizes(3, 30, 30, 1024), n_cells=10)) < 400_000


@pytest.mark.parametrize("value", ["bins", "continuous"])
def test_shapes(value, batch, tiny):
    module = tiny(value=value)
    tokens = module.inference(batch())
    assert {name: t.shape for name, t in tokens.items()} == {
        "treated": (N, G + 1, 8),
        "untreated": (N, G + 1, 8),
    }
    out = module.generative(batch(), tokens)
    assert {name: t.shape for name, t in out.items()} == dict.fromkeys(
        ("post", "control", "delta"), (N, G)
    )
    delta, spread = module.predict_delta(batch())
    assert torch.equal(delta, out["delta"])
    assert spread.abs().max() == 0
    assert module.cls(batch())["treated"].shape == (N, 8)


def test_what_pads_a_drug_changes_nothing(batch, stirred, tiny):
    module = stirred(tiny())
    before = module.predict_delta(batch())[0]
    module.drugs.tokens[1, 2:] = 1e3
    assert torch.equal(module.predict_delta(batch())[0], before)
    module.drugs.tokens[1, 2:] = module.drugs.tokens[1, 2:].flip(0) + random(3, 7)
    assert torch.equal(module.predict_delta(batch())[0], before)
    # A table that is as wide as its longest drug, and no wider.
    alone = rows(batch(), [1, 4])
    torch.testing.assert_close(module.predict_delta(alone)[0], before[[1, 4]])
    module.drugs.tokens[1, :2] += 1
    assert not torch.allclose(module.predict_delta(batch())[0][1], before[1])


def test_a_drug_outside_the_graph_gets_the_learned_vector(batch, stirred, tiny):
    module = stirred(tiny())
    before = module.predict_delta(batch())[0]
    module.drugs.graph[3] = 50.0
    assert torch.equal(module.predict_delta(batch())[0], before)
    module.drugs.graph[0] += 1.0
    assert not torch.allclose(module.predict_delta(batch())[0][0], before[0])


def test_treatment_reaches_the_change_and_not_the_untreated_branch(batch, stirred, tiny):
    module = stirred(tiny())
    other = batch(drug=torch.tensor([1, 0, 3, 2, 0, 1]))
    one, two = module.inference(batch()), module.inference(other)
    assert torch.equal(one["untreated"], two["untreated"])
    assert not torch.allclose(one["treated"], two["treated"])
    for name, amount in (("dose", 7.0), ("time", 12.0)):
        changed = batch(**{name: torch.full((N,), amount)})
        assert not torch.allclose(
            module.predict_delta(changed)[0], module.predict_delta(batch())[0]
        )


def test_atoms_without_slots_have_no_order(batch, stirred, tiny):
    module = stirred(tiny())
    before = module.predict_delta(batch())[0]
    slotted = stirred(tiny(positions="slot"))
    slot_before = slotted.predict_delta(batch())[0]
    order = torch.tensor([4, 2, 0, 1, 3])
    for network in (module, slotted):
        network.drugs.tokens[0] = network.drugs.tokens[0][order]
    assert torch.allclose(module.predict_delta(batch())[0], before, atol=1e-5)
    assert not torch.allclose(slotted.predict_delta(batch())[0][0], slot_before[0], atol=1e-3)


def test_the_loss_is_the_weighted_sum_of_means(batch, stirred, tiny):
    weights = XPertWeights(post=0.3, cell=0.5, delta=0.7, correlation=0.9, control=1.1)
    module, given = stirred(tiny(weights=weights)), batch()
    module.set_statistics(*(2 + random(G, seed=s).abs() for s in range(4)))
    tokens = module.inference(given)
    out = module.generative(given, tokens)
    delta = (given["x"] - given["control"]).numpy()
    guess = out["delta"].detach().numpy()
    scores = [module.cell_head(t[:, 0]).log_softmax(1) for t in tokens.values()]
    known = [0, 1, 3, 4, 5]
    cross = sum(-s[known, given["cell"][known]].mean() for s in scores)
    x_sd, delta_sd = module.x_sd, module.delta_sd
    expected = (
        0.3 * (((out["post"] - given["x"]) / x_sd) ** 2).mean()
        + 0.5 * cross
        + 0.7 * (((out["delta"] - torch.from_numpy(delta)) / delta_sd) ** 2).mean()
        + 0.9 * (1 - np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(guess, delta, strict=True)]))
        + 1.1 * (((out["control"] - given["control"]) / x_sd) ** 2).mean()
    )
    loss = module.loss(given, tokens, out)
    assert loss.loss.item() == pytest.approx(expected.item(), rel=1e-4)
    assert set(loss.extra_metrics) == {"post", "cell", "delta", "correlation", "control"}


def test_rows_without_a_cell_line_are_out_of_the_cross_entropy(batch, stirred, tiny):
    module = stirred(tiny())
    terms = module.batch_loss(batch(cell=torch.full((N,), -1))).extra_metrics
    assert terms["cell"] == 0
    assert torch.isfinite(module.batch_loss(batch(cell=torch.full((N,), -1))).loss)


def test_it_starts_at_the_mean_change(batch, tiny):
    module = tiny()
    mean = random(G, seed=3)
    module.set_statistics(torch.zeros(G), torch.ones(G), mean, torch.ones(G))
    assert torch.allclose(module.predict_delta(batch())[0], mean.expand(N, G), atol=1e-6)


def test_which_parameters_a_step_moves(without_gradient, tiny):
    assert without_gradient(tiny(gene_features=0)) == set()
    # Without its weight the control head is not trained; without cell lines the CLS still is,
    # as genes look at it.
    no_control = tiny(weights=XPertWeights(control=0.0))
    assert without_gradient(no_control) == {
        f"heads.control.{layer}.{part}" for layer in (0, 3) for part in ("weight", "bias")
    }
    assert without_gradient(tiny(n_cells=0)) == set()
    assert without_gradient(tiny(value="continuous")) == set()


def test_prior_vectors_of_genes_take_part(batch, stirred, without_gradient, tiny):
    module = stirred(tiny(gene_features=3))
    # They are zero until they are given.
    assert without_gradient(module) == {"genes.prior.weight"}
    before = module.predict_delta(batch())[0]
    module.genes.gene_vectors.copy_(random(G, 3))
    assert not torch.allclose(module.predict_delta(batch())[0], before)


def test_attention_adds_up_and_leaves_padding_out(batch, stirred, tiny):
    module = stirred(tiny())
    maps = module.attention_maps(batch())
    names = module.drug_tokens.names()
    assert names[:4] == ["dose", "time", "graph", "molecule"]
    assert len(names) == 4 + N_ATOMS
    assert maps["drug"].shape == (N, 2, len(names))
    assert torch.allclose(maps["drug"].sum(dim=-1), torch.ones(N, 2))
    assert maps["drug"][[1, 4], :, 4 + 2 :].abs().max() == 0
    assert maps["gene"].shape == (N, 2, G)
    assert (maps["gene"].sum(dim=-1) < 1).all()
    short = module.attention_maps(rows(batch(), [1, 4]))
    torch.testing.assert_close(short["drug"], maps["drug"][[1, 4]])


def test_the_same_numbers_while_attention_is_read(batch, stirred, tiny):
    module = stirred(tiny())
    spelled = module.inference(batch(), {"drug": [], "gene": []})
    for name, tokens in module.inference(batch()).items():
        torch.testing.assert_close(spelled[name], tokens, atol=1e-5, rtol=1e-5)


def test_prediction_draws_nothing(batch, tiny):
    before = torch.get_rng_state()
    module = tiny()
    assert torch.equal(module.predict_delta(batch())[0], module.predict_delta(batch())[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_drug_table_of_nothing_but_dose(batch, built):
    module = built(lambda: XPertModule(G, DrugSizes(4), **TINY))
    assert module.predict_delta(batch())[0].shape == (N, G)
    bare = built(lambda: XPertModule(G, DrugSizes(4), dose_edges=None, time_edges=None, **TINY))
    assert torch.isfinite(bare.predict_delta(batch())[0]).all()
