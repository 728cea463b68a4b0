"""An adapter brings two sets together, and moves nothing where they are together already."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dtp_scvi.nn import mmd2
from dtp_scvi.train import FeatureBatches, fit_adapter

OPTIONS = {"n_steps": 150, "batch_size": 64, "lr": 1e-2, "penalty": 0.01}


def latent(n, seed, turn=0.0, move=0.0):
    rows = np.random.default_rng(seed).normal(size=(n, 3)) * [3.0, 1.0, 0.2]
    matrix = np.eye(3)
    matrix[:2, :2] += turn * np.array([[0, 1], [-1, 0]])
    return torch.tensor(rows @ matrix + move, dtype=torch.float32)


def test_two_sets_are_brought_together():
    source, target = latent(200, 0), latent(200, 1, turn=0.6, move=1.0)
    found = fit_adapter(source, target, **OPTIONS)
    moved = target + target @ found.weight + found.shift
    assert found.before == pytest.approx(
        mmd2(source / source.std(0, correction=0), target / source.std(0, correction=0)).item()
    )
    assert found.after < 0.2 * found.before
    assert mmd2(source, moved) < 0.5 * mmd2(source, target)


@pytest.mark.parametrize("unbiased", [False, True])
def test_equal_sets_are_left_nearly_alone(unbiased):
    source = latent(200, 0)
    found = fit_adapter(source, source.clone(), unbiased=unbiased, **OPTIONS | {"penalty": 1.0})
    change = source @ found.weight + found.shift
    assert (change.std(0) / source.std(0)).max() < 0.1
    assert found.before == pytest.approx(0, abs=1e-6)


def test_one_seed_gives_one_adapter_and_the_global_state_stays():
    before = torch.random.get_rng_state()
    pair = latent(50, 0), latent(50, 1, move=1.0)
    options = OPTIONS | {"n_steps": 5, "batch_size": 16}
    first, second, other = (fit_adapter(*pair, seed=seed, **options) for seed in (0, 0, 1))
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, other.weight)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("n", [2, 3, 65, 129])
def test_no_batch_has_a_single_row(n):
    x, labels = torch.arange(n)[:, None], torch.zeros(n, dtype=torch.int64)
    batches = FeatureBatches((x, labels), (x, labels), batch_size=64, seed=0)
    sizes = [len(batch["labels"]) for batch in batches.train_dataloader()]
    assert sum(sizes) == n
    assert min(sizes) > 1
    assert len(sizes) == batches.n_batches
