"""Losses of a response network leave out what was not measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dtp_scvi.module import LOSSES, ResponseModule

N, T = 12, 3


def module(loss):
    return ResponseModule(
        10,
        10,
        T,
        loss=loss,
        n_programs=2,
        n_members=1,
        d_model=8,
        n_heads=2,
        n_blocks=1,
        d_hidden=8,
    )


def outputs(seed=0):
    rng = np.random.default_rng(seed)
    raw = torch.from_numpy(rng.normal(size=(N, T)).astype(np.float32)).requires_grad_()
    labels = torch.from_numpy(rng.normal(size=(N, T)).astype(np.float32) * 3)
    labels[torch.from_numpy(rng.random((N, T)) < 0.4)] = np.nan
    return raw, labels


def test_huber_is_that_of_the_measured_values():
    raw, labels = outputs()
    losses, weights = module("huber").row_losses(raw, labels)
    gap = (raw.detach() - labels).abs().numpy()
    by_hand = np.where(gap <= 1, gap**2 / 2, gap - 0.5)
    assert losses.detach().numpy() == pytest.approx(np.nansum(by_hand, axis=1), rel=1e-6)
    assert weights.tolist() == np.isfinite(gap).sum(axis=1).tolist()


def test_rank_loss_is_the_mean_over_ordered_pairs():
    raw, labels = outputs()
    losses, _ = module("rank").row_losses(raw, labels)
    z, y = raw.detach().numpy().astype(float), labels.numpy()
    expected = np.zeros(N)
    for t in range(T):
        seen = np.flatnonzero(np.isfinite(y[:, t]))
        for i in seen:
            others = [j for j in seen if y[j, t] != y[i, t]]
            signs = [np.sign(y[i, t] - y[j, t]) * (z[i, t] - z[j, t]) for j in others]
            expected[i] += np.mean(np.log1p(np.exp(-np.array(signs))))
    assert losses.detach().numpy() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_missing_has_no_gradient_and_a_row_without_anything_no_weight(loss):
    raw, labels = outputs()
    labels[4] = np.nan
    losses, weights = module(loss).row_losses(raw, labels)
    losses.sum().backward()
    missing = torch.isnan(labels)
    assert torch.all(raw.grad[missing] == 0)
    assert torch.all(raw.grad[~missing] != 0)
    assert weights[4] == 0 == losses[4].item()
    assert torch.isfinite(losses).all()
