"""Batches of treated rows, their moments, their noise, and the plan that watches the change."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from dtp_scvi.module import DrugSizes, PertDiTModule, XPertModule
from dtp_scvi.train import PerturbationPlan, TreatedBatches, TreatedRows, noise_seeds, run_plan

N, G = 40, 6


def rows(matrix=None, columns=None):
    rng = np.random.default_rng(0)
    control = rng.normal(8, 1, (N, G)).astype(np.float32)
    x = control + rng.normal(0, 1, (N, G)).astype(np.float32)
    return TreatedRows(
        matrix=x if matrix is None else matrix(x),
        control=control,
        columns=columns,
        drug=np.arange(N) % 3,
        dose=np.ones(N, np.float32),
        time=np.ones(N, np.float32),
        cell=np.zeros(N, np.int64),
        noise=noise_seeds(range(N), 0),
    )


def test_a_batch_is_the_rows_whatever_the_storage():
    data, chosen = rows(), np.array([3, 1, 7])
    batch = data.batch(chosen)
    assert batch["x"].dtype == batch["control"].dtype == torch.float32
    assert np.array_equal(batch["x"].numpy(), data.matrix[chosen])
    assert batch["drug"].tolist() == [0, 1, 1]
    sparse = rows(sp.csr_matrix).batch(chosen)
    assert torch.equal(sparse["x"], batch["x"])
    turned = rows(columns=np.arange(G)[::-1]).batch(chosen)
    assert torch.equal(turned["x"], batch["x"].flip(1))
    assert torch.equal(turned["control"], batch["control"].flip(1))


def test_moments_are_those_of_numpy():
    data, chosen = rows(), np.arange(5, 30)
    found = data.moments(chosen)
    x, control = data.matrix[chosen], data.control[chosen]
    both = np.concatenate([x, control]).astype(np.float64)
    np.testing.assert_allclose(found["x_mean"], both.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["x_sd"], both.std(axis=0), rtol=1e-4)
    np.testing.assert_allclose(found["delta_mean"], (x - control).mean(axis=0), rtol=1e-3)
    np.testing.assert_allclose(found["delta_sd"], (x - control).std(axis=0), rtol=1e-4)


def test_a_gene_without_spread_is_not_blown_up():
    data = rows()
    data.matrix[:, 2] = data.control[:, 2]
    found = data.moments(np.arange(N))["delta_sd"]
    assert found[2] == pytest.approx(0.01 * float(found.median()), rel=0.2)
    data.matrix[:] = data.control
    assert (data.moments(np.arange(N))["delta_sd"] == 1).all()


def test_noise_depends_on_name_and_seed():
    one, other = noise_seeds(["a", "b"], 0), noise_seeds(["b", "a"], 0)
    assert one.tolist() == other[::-1].tolist()
    assert one[0] != noise_seeds(["a"], 1)[0]


def test_an_epoch_holds_every_training_row_once():
    batches = TreatedBatches(rows(), np.arange(30), np.arange(30, N), batch_size=8, seed=0)
    seen = [batch["noise"] for batch in batches.train_dataloader()]
    assert len(seen) == batches.n_batches == 4
    assert sorted(torch.cat(seen).tolist()) == sorted(rows().noise[:30].tolist())
    watched = torch.cat([batch["noise"] for batch in batches.val_dataloader()])
    assert watched.tolist() == rows().noise[30:].tolist()


class Holder:
    def __init__(self, module):
        self.module, self.is_trained_, self.trainer, self.history_ = module, False, None, None

    def to_device(self, device):
        self.module.to(device)


def fitted(module, *, max_epochs=3, ema=0.5, **plan):
    data = rows()
    module.drugs.fill(vector=torch.eye(3))
    batches = TreatedBatches(data, np.arange(30), np.arange(30, N), batch_size=10, seed=0)
    plan = PerturbationPlan(
        module, ema=ema, lr=1e-2, weight_decay=0.0, n_steps=9, patience=9, **plan
    )
    run = {"seed": 0, "accelerator": "cpu", "devices": 1, "description": "", "verbose": False}
    return plan, run_plan(Holder(module), plan, batches, max_epochs=max_epochs, **run)


def made(cls, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return cls(G, DrugSizes(3, 0, 0, 3), d_model=8, n_heads=2, **options)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_what_is_kept_is_what_was_watched(ema):
    module = made(XPertModule, n_cells=1)
    plan, table = fitted(module, sampling={}, ema=ema)
    assert {"train_correlation", "train_delta", "validation_loss"} <= set(table)
    batch = rows().batch(np.arange(30, N))
    with torch.no_grad():
        delta, _ = module.predict_delta(batch)
    error = (delta - (batch["x"] - batch["control"])).square().mean().item()
    assert error == pytest.approx(plan.best_loss, rel=1e-4)
    assert plan.best_loss <= table["validation_loss"].min() + 1e-9


def test_the_noise_of_the_watched_rows_is_the_same_every_epoch():
    module = made(PertDiTModule, n_steps=5, start_at_zero=False)
    # At a rate of nothing the network stays as it is, and so must the error.
    _, table = fitted(module, sampling={"n_steps": 2}, ema=0.0)
    again = made(PertDiTModule, n_steps=5, start_at_zero=False)
    data = rows()
    again.drugs.fill(vector=torch.eye(3))
    batches = TreatedBatches(data, np.arange(30), np.arange(30, N), batch_size=10, seed=0)
    still = PerturbationPlan(
        again,
        ema=0.0,
        sampling={"n_steps": 2},
        lr=1e-12,
        weight_decay=0.0,
        n_steps=9,
        patience=9,
    )
    run = {"seed": 0, "accelerator": "cpu", "devices": 1, "description": "", "verbose": False}
    frozen = run_plan(Holder(again), still, batches, max_epochs=3, **run)
    assert frozen["validation_loss"].nunique() == 1 or np.ptp(frozen["validation_loss"]) < 1e-6
    assert np.ptp(table["validation_loss"]) > 1e-6
