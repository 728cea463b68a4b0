"""PertDiT's network and diffusion: published sizes, masks, one null condition, noise of its own."""

from __future__ import annotations

import pytest
import torch

from dtp_scvi.module import BACKBONES, OBJECTIVES, DrugSizes, PertDiTModule
from dtp_scvi.nn import RowNoise

N, G = 6, 20
SIZES = DrugSizes(4, 5, 7, 9, 3)
TINY = {"d_model": 8, "n_heads": 2, "d_hidden": 8, "n_steps": 10}
PAPER = {"d_model": 256, "n_heads": 4, "n_layers": 2, "d_hidden": 256}
EACH_BACKBONE = pytest.mark.parametrize("backbone", BACKBONES)
EACH_OBJECTIVE = pytest.mark.parametrize("objective", OBJECTIVES)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rows(tensors, chosen):
    return {name: value[chosen] for name, value in tensors.items()}


@pytest.fixture
def tiny(built):
    def make(sizes=SIZES, **changes):
        return built(lambda: PertDiTModule(G, sizes, **TINY | changes))

    return make


def noise(n=N, first=0):
    return RowNoise(range(first, first + n), G, torch.device("cpu"))


def linear(n_in, n_out):
    return n_in * n_out + n_out


@pytest.mark.parametrize(
    ("backbone", "published"), [("cross", 2.16), ("cat", 2.16), ("catonly", 1.64), ("ada", 2.42)]
)
def test_the_published_sizes_part_by_part(backbone, published):
    d, n_genes, text = 256, 978, 1024
    step = linear(2 * d, d) + linear(d, d)
    values = 2 * linear(1, d) if backbone == "cross" else linear(2, d)
    rest = step + values + linear(text, d) + n_genes * d + linear(d, 1)
    attention, hidden, norm = 4 * linear(d, d), linear(d, 2 * d) + linear(d, d), 2 * d
    layer = {
        "cross": 2 * attention + hidden + 5 * norm,
        "cat": 2 * attention + hidden + 4 * norm,
        "catonly": attention + hidden + 3 * norm,
        "ada": attention + hidden + linear(d, 6 * d),
    }[backbone]
    # What this package adds: a learned null condition and a line in the dose.
    expected = rest + 2 * layer + d + linear(1, d)
    module = PertDiTModule(n_genes, DrugSizes(2, 12, text), backbone=backbone, **PAPER)
    assert sum(p.numel() for p in module.parameters()) == expected
    assert round(expected / 1e6, 2) == published


@EACH_BACKBONE
@EACH_OBJECTIVE
def test_loss_and_prediction_of_every_kind(backbone, objective, batch, stirred, tiny):
    module = tiny(backbone=backbone, objective=objective)
    assert torch.isfinite(module.batch_loss(batch(), torch.Generator().manual_seed(0)).loss)
    given = {name: value for name, value in batch().items() if name != "x"}
    mean, spread = module.predict_delta(given, draw=noise(), n_samples=3, n_steps=3)
    assert mean.shape == spread.shape == (N, G)
    stirred(module)
    _, spread = module.predict_delta(given, draw=noise(), n_samples=3, n_steps=3)
    assert (spread.max() > 0) == (objective != "direct")


@EACH_BACKBONE
def test_which_parameters_a_step_moves(backbone, without_gradient, tiny):
    for objective in OBJECTIVES:
        module = tiny(backbone=backbone, objective=objective, condition_dropout=0.5)
        assert without_gradient(module) == set()
    # A condition that is never withheld needs no null.
    assert without_gradient(tiny(backbone=backbone, condition_dropout=0.0)) == {"condition.none"}


@EACH_BACKBONE
def test_what_pads_a_drug_changes_nothing(backbone, batch, stirred, tiny):
    module = stirred(tiny(backbone=backbone))
    before = module.predict_delta(batch(), draw=noise())[0]
    module.drugs.tokens[1, 2:] = 1e3
    assert torch.equal(module.predict_delta(batch(), draw=noise())[0], before)
    module.drugs.tokens[1, 2:] = random(3, 7)
    assert torch.equal(module.predict_delta(batch(), draw=noise())[0], before)
    alone = module.predict_delta(rows(batch(), [1]), draw=noise(1, first=1))[0]
    torch.testing.assert_close(alone, before[[1]], atol=1e-5, rtol=1e-5)
    module.drugs.tokens[1, :2] += 1
    assert not torch.allclose(module.predict_delta(batch(), draw=noise())[0][1], before[1])


@EACH_BACKBONE
def test_without_its_condition_a_row_shows_nothing_of_the_treatment(
    backbone, batch, stirred, tiny
):
    module = stirred(tiny(backbone=backbone))
    x, level = random(N, G, seed=5), torch.full((N,), 4)
    dropped = torch.tensor([True, False, True, False, True, False])
    other = batch(drug=torch.tensor([1, 0, 3, 2, 0, 1]), dose=torch.full((N,), 2.0))
    one = module.denoise(x, level, batch(), dropped)
    two = module.denoise(x, level, other, dropped)
    same = torch.isclose(one, two, atol=1e-6).all(dim=1)
    assert torch.equal(same, dropped)


def test_training_and_guidance_withhold_the_same_way(batch, stirred, tiny):
    module = stirred(tiny(condition_dropout=1.0))
    seen = []
    module.condition.register_forward_hook(lambda _, given, out: seen.append((given[3], out)))
    module.batch_loss(batch(), torch.Generator().manual_seed(0))
    module.predict_delta(batch(), draw=noise(), n_steps=1, guidance=3.0)
    (dropped, (trained, mask)), (kept, _), (null, (sampled, other)) = seen
    assert dropped.all()
    assert null.all()
    assert not kept.any()
    assert torch.equal(mask, other)
    assert torch.equal(trained[mask], sampled[other])
    assert mask.sum() == N


def test_guidance_is_linear_in_the_prediction(batch, stirred, tiny):
    module = stirred(tiny())
    zero, one, three = (
        module.predict_delta(batch(), draw=noise(), n_steps=1, guidance=g)[0]
        for g in (0.0, 1.0, 3.0)
    )
    torch.testing.assert_close(three - zero, 3 * (one - zero), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("objective", ["ddpm", "edm"])
@pytest.mark.parametrize("target", ["post", "delta"])
def test_a_perfect_denoiser_gives_back_the_change(objective, target, monkeypatch, batch, tiny):
    module, given = tiny(objective=objective, target=target), batch()
    module.set_statistics(*(1 + random(G, seed=s).abs() for s in range(4)))
    clean = module._clean(given)
    monkeypatch.setattr(module, "denoise", lambda *_: clean)
    delta, spread = module.predict_delta(given, draw=noise(), n_samples=2, n_steps=6)
    torch.testing.assert_close(delta, given["x"] - given["control"], atol=1e-3, rtol=1e-3)
    assert spread.max() < 1e-3


@pytest.mark.parametrize("prediction", ["eps", "x0"])
def test_eps_and_x0_say_the_same(prediction, monkeypatch, batch, tiny):
    module, given = tiny(prediction=prediction), batch()
    clean = module._clean(given)

    def denoise(x, level, *_):
        return clean if prediction == "x0" else module.schedule.eps_of(x, clean, level)

    monkeypatch.setattr(module, "denoise", denoise)
    for sampler in ("ddim", "ddpm"):
        delta, _ = module.predict_delta(given, draw=noise(), sampler=sampler)
        torch.testing.assert_close(delta, given["x"] - given["control"], atol=1e-3, rtol=1e-3)


@EACH_OBJECTIVE
def test_it_starts_at_the_mean_change(objective, batch, tiny):
    module, mean = tiny(objective=objective, target="delta"), random(G, seed=3)
    module.set_statistics(torch.zeros(G), torch.ones(G), mean, torch.ones(G))
    delta, _ = module.predict_delta(batch(), draw=noise(), n_samples=4)
    assert (delta - mean).abs().mean() < (1 if objective == "edm" else 1e-5)


def test_an_edm_starts_at_the_spread_of_the_data(batch, tiny):
    # Without an answer of the network its skip is the best denoiser of independent genes.
    _, spread = tiny(objective="edm").predict_delta(
        batch(), draw=noise(), n_samples=20, n_steps=18
    )
    assert spread.square().mean().sqrt().item() == pytest.approx(1, abs=0.1)


def test_the_mean_and_spread_of_samples(batch, stirred, tiny):
    module = stirred(tiny())
    draws = noise()
    singles = torch.stack([module.predict_delta(batch(), draw=draws)[0] for _ in range(3)])
    mean, spread = module.predict_delta(batch(), draw=noise(), n_samples=3)
    torch.testing.assert_close(mean, singles.mean(dim=0))
    torch.testing.assert_close(spread, singles.std(dim=0))


def test_a_generator_fixes_the_loss_and_nothing_global_is_used(batch, stirred, tiny):
    module, before = stirred(tiny()), torch.get_rng_state()
    losses = [
        module.batch_loss(batch(), torch.Generator().manual_seed(s)).loss.item() for s in (0, 0, 1)
    ]
    module.predict_delta(batch(), draw=noise(), sampler="ddpm")
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(torch.get_rng_state(), before)


@EACH_BACKBONE
def test_attention_adds_up(backbone, batch, stirred, tiny):
    module = stirred(tiny(backbone=backbone))
    maps = module.attention_maps(batch(), noise())
    expected = {"cross": {"drug", "gene"}, "cat": {"drug", "gene"}, "catonly": {"drug"}}
    assert set(maps) == expected.get(backbone, {"gene"})
    for name, found in maps.items():
        width = G if name == "gene" else len(module.condition.names())
        assert found.shape == (N, 2, width)
        assert torch.allclose(found.sum(dim=-1), torch.ones(N, 2), atol=1e-5)


def test_the_published_fingerprint_is_scaled_by_dose(batch, stirred, tiny):
    module = stirred(tiny(DrugSizes(4, 0, 0, 9), scale_by_dose=True, use_dose=False))
    zero = batch(dose=torch.zeros(N))
    other = zero | {"drug": torch.tensor([1, 0, 3, 2, 0, 1])}
    one, two = (module.predict_delta(given, draw=noise())[0] for given in (zero, other))
    # As published, at dose 0 all drugs are one.
    assert torch.equal(one, two)
    assert not torch.allclose(one, module.predict_delta(batch(), draw=noise())[0])


def test_a_time_token_only_where_asked_for(batch, stirred, tiny):
    later = batch(time=torch.full((N,), 96.0))
    for use_time in (True, False):
        module = stirred(tiny(use_time=use_time))
        one, two = (module.predict_delta(given, draw=noise())[0] for given in (batch(), later))
        assert torch.equal(one, two) != use_time
