"""Heads have the published size; what is frozen does not move; maps are those of arrays."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from dtp_scvi.module import (
    Adaptation,
    DrugSensitivityModule,
    ResVAEModule,
    SensitivityHead,
    sparse_batch,
)

SHAPE = {"encoder": (12, 8), "n_latent": 6, "activation": "swish", "spectral_norm": "all"}


@pytest.fixture
def module():
    torch.manual_seed(0)
    return DrugSensitivityModule(20, n_members=2, **SHAPE)


def rows(n=32, kind="as_is", seed=0):
    x = np.random.default_rng(seed).normal(size=(n, 20)).astype(np.float32)
    return sparse_batch(sp.csr_matrix(x), x.sum(axis=1), kind), torch.from_numpy(x)


@pytest.mark.parametrize(("n_latent", "expected"), [(421, 89_463), (498, 125_250)])
def test_parameters_of_the_published_heads(n_latent, expected):
    assert sum(p.numel() for p in SensitivityHead(n_latent).parameters()) == expected


def frozen_state(module):
    parts = {"encoder": module.encoder, "mu": module.mu}
    return {
        f"{name}.{key}": value.clone()
        for name, part in parts.items()
        for key, value in part.state_dict().items()
    }


def step(module):
    """One step of training on everything that has a gradient."""
    _, x = rows()
    module.train()
    loss = module.members(module.latent(x))[:, :, 0].mean()
    loss.backward()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
                parameter.grad = None


def test_frozen_parts_are_bit_identical_after_steps_in_training_mode(module):
    before, head = frozen_state(module), module.heads[0][0].bias.clone()
    for _ in range(3):
        step(module)
    after = frozen_state(module)
    assert any("_u" in name for name in before)
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(head, module.heads[0][0].bias)


def test_freed_parts_move_until_they_are_frozen_again(module):
    module.freeze(frozen=False)
    before = frozen_state(module)
    step(module)
    after = frozen_state(module)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"encoder.0.norm.running_mean", "mu.parametrizations.weight.original"} <= moved
    module.freeze(frozen=True)
    step(module)
    assert all(torch.equal(after[name], value) for name, value in frozen_state(module).items())


def test_the_encoder_of_an_autoencoder_is_taken_over(module):
    source = ResVAEModule(20, decoder=(8,), **SHAPE).eval()
    module.copy_encoder(source)
    module.eval()
    _, x = rows()
    assert torch.equal(module.latent(x), source.encode(x)[0])


def test_missing_and_unknown_inputs_stand_at_the_training_mean(module):
    batch, x = rows()
    module.mean.copy_(torch.arange(20.0))
    module.known[3] = 0
    observed = torch.ones(20)
    observed[5] = 0
    found = module.inputs(batch, observed)
    assert (found[:, 3] == 3).all()
    assert (found[:, 5] == 5).all()
    rest = [i for i in range(20) if i not in (3, 5)]
    assert torch.equal(found[:, rest], x[:, rest])


def test_training_rows_are_recast_and_a_target_is_mapped_by_sample(module):
    batch, x = rows(4)
    module.recast_gain.fill_(2.0)
    module.recast_shift.fill_(1.0)
    assert torch.allclose(module.inputs(batch), 2 * x + 1)
    gain, shift = torch.rand(2, 20), torch.rand(2, 20)
    module.adaptation = Adaptation(gain, shift)
    assert torch.allclose(module.inputs(batch), 2 * x + 1)
    sample = torch.tensor([0, 1, 1, 0])
    assert torch.allclose(module.inputs(batch, sample=sample), x * gain[sample] + shift[sample])


def test_a_rotation_leaves_missing_inputs_out(module):
    batch, x = rows(4)
    center, rotation = torch.randn(20), torch.randn(20, 20)
    adaptation = Adaptation(torch.zeros(1, 20), torch.ones(1, 20), center, rotation)
    module.adaptation = adaptation
    observed = torch.ones(20)
    observed[2] = 0
    found = module.inputs(batch, observed, 0)
    expected = ((x - center) * observed) @ rotation + 1
    assert torch.allclose(found[:, 3:], expected[:, 3:], atol=1e-5)
    assert (found[:, 2] == module.mean[2]).all()


def test_an_adaptation_comes_back_from_a_state(module):
    made = Adaptation(
        torch.rand(1, 20), torch.rand(1, 20), None, None, torch.rand(6, 6), torch.rand(6)
    )
    module.adaptation = made
    other = DrugSensitivityModule(20, n_members=2, **SHAPE)
    other.adaptation = Adaptation.from_state(module.state_dict(), "adaptation.")
    other.load_state_dict(module.state_dict())
    batch, _ = rows()
    out = [m.eval().inference(batch, sample=0)["residual"] for m in (module, other)]
    assert torch.equal(*out)
    assert not torch.equal(out[0], module.inference(batch)["residual"])
    assert Adaptation.from_state({"mean": torch.zeros(2)}, "adaptation.") is None


def test_members_are_averaged_and_nothing_is_random(module):
    batch, _ = rows()
    module.eval()
    found = module.inference(batch)
    assert torch.allclose(found["members"].mean(dim=1), found["residual"])
    assert found["members"].shape == (32, 2, 2)
    assert torch.equal(found["residual"], module.inference(batch)["residual"])
    assert not found["linear"].any()
