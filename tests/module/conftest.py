"""Tiny drug tables and batches for the tests of the perturbation networks."""

from __future__ import annotations

import pytest
import torch

N, G, N_DRUGS, N_ATOMS = 6, 20, 4, 5


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _fill(module):
    """Give every drug features; the second has two atoms, the last is not in the graph."""
    mask = torch.ones(N_DRUGS, N_ATOMS, dtype=torch.bool)
    mask[1, 2:] = False
    table = module.drugs
    parts = {name: random(*getattr(table, name).shape) for name in ("tokens", "vector", "graph")}
    if table.tokens.shape[1]:
        parts["mask"] = mask
    table.fill(**parts, in_graph=torch.tensor([True, True, True, False]))
    return module


@pytest.fixture
def batch():
    """Make a batch of six rows with 20 genes."""

    def made(seed=0, **changes):
        control = 8 + random(N, G, seed=seed)
        return {
            "x": control + random(N, G, seed=seed + 1),
            "control": control,
            "drug": torch.tensor([0, 1, 2, 3, 1, 0]),
            "dose": torch.tensor([0.1, 1.0, 10.0, 3.0, 0.5, 100.0]),
            "time": torch.tensor([3.0, 6.0, 24.0, 6.0, 6.0, 48.0]),
            "cell": torch.tensor([0, 1, -1, 0, 1, 0]),
        } | changes

    return made


@pytest.fixture
def built():
    """Build with a fixed seed, fill the drug table and leave the global state alone."""

    def build(make):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return _fill(make()).eval()

    return build


@pytest.fixture
def stirred():
    """Move every weight away from zero, so that nothing is closed."""

    def stir(module):
        generator = torch.Generator().manual_seed(9)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        return module

    return stir


@pytest.fixture
def without_gradient(batch, stirred):
    """Name the parameters that a training step does not move."""

    def names(module):
        loss = stirred(module).batch_loss(batch(), torch.Generator().manual_seed(0)).loss
        loss.backward()
        return {
            name
            for name, parameter in module.named_parameters()
            if parameter.grad is None or not parameter.grad.abs().max() > 0
        }

    return names
