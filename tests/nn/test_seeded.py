"""Random numbers of torch that leave no trace."""

from __future__ import annotations

import torch

from dtp_scvi.nn import seeded


def test_the_seed_decides_and_the_state_comes_back():
    before = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    with seeded(3):
        assert torch.equal(torch.rand(4), first)
    with seeded(4):
        assert not torch.equal(torch.rand(4), first)
