"""Watched rows of a network that samples: the noise of few samples does not count against it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dtp_scvi.train import PerturbationPlan

N_ROWS, N_GENES = 4, 4000


class Sampling(nn.Module):
    """Changes that are wrong by 1, plus noise of deviation 2 in each sample."""

    n_genes = N_GENES

    def predict_delta(self, batch, *, draw, n_samples=1):
        samples = torch.stack([1 + 2 * draw() for _ in range(n_samples)])
        return samples.mean(dim=0), samples.std(dim=0, correction=min(1, n_samples - 1))


@pytest.mark.parametrize(("n_samples", "expected"), [(1, 1 + 4), (2, 1), (4, 1)])
def test_error_is_that_of_the_mean_of_many_samples(n_samples, expected):
    sampling = {"n_samples": n_samples} if n_samples > 1 else {}
    plan = PerturbationPlan.__new__(PerturbationPlan)
    nn.Module.__init__(plan)
    plan.network, plan._sampling, plan._outputs = Sampling(), sampling, []
    nothing = torch.zeros(N_ROWS, N_GENES)
    plan.validation_step({"noise": torch.arange(N_ROWS), "control": nothing, "x": nothing}, 0)
    error, count = plan._outputs[0]
    assert count == N_ROWS * N_GENES
    assert np.isclose(float(error), expected, atol=0.15)
