"""Inputs, held-out outputs and importances of a network on a gene panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from dtp_scvi.module import one_against_rest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dtp_scvi.module import AMUModule
    from dtp_scvi.train import Rows

_STEP = 256
_MOST_AXES = 10
_ROWS_PER_AXIS = 10
_N_STEPS = 32


@torch.no_grad()
def set_inputs(
    new_module: Callable[[int, int], AMUModule],
    data: Rows,
    rows: np.ndarray,
    class_weight: np.ndarray,
    seed: int,
) -> AMUModule:
    """Make a network whose inputs are standardised by these rows.

    The space that queries are compared in is that of the leading principal axes of these inputs.
    """
    n_space = max(1, min(_MOST_AXES, len(rows) // _ROWS_PER_AXIS, data.matrix.shape[1] - 1))
    module = new_module(seed, n_space)
    closed = torch.cat([module.closed(data.batch(part)) for part in _parts(rows)]).double()
    linear = torch.expm1(closed)
    module.mean.copy_(closed.mean(dim=0))
    module.sd.copy_(closed.std(dim=0, correction=0))
    module.share.copy_((linear / linear.sum(dim=1, keepdim=True)).mean(dim=0))
    module.class_weight.copy_(torch.from_numpy(class_weight))
    z = torch.cat([module.standardised(data.batch(part)) for part in _parts(rows)])
    axes = torch.linalg.svd(z.double(), full_matrices=False).Vh[:n_space]
    # The sign of a singular vector is arbitrary.
    axes = axes * torch.where(axes.sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
    module.space_weight.copy_(axes.T)
    return module


@torch.inference_mode()
def held_out_logits(module: AMUModule, data: Rows, rows: np.ndarray) -> np.ndarray:
    """Log-odds of each class against the others, (n_rows, n_classes)."""
    raw = torch.cat([module.raw_logits(data.batch(part)) for part in _parts(rows)])
    return one_against_rest(raw.double()).numpy()


def mean_attributions(module: AMUModule, data: Rows, positive: int) -> np.ndarray:
    """Mean absolute integrated gradients of each gene on the log-odds, (n_genes,).

    The baseline is the training mean (Sundararajan et al., ICML 2017); midpoints of 32 steps.
    """
    sums = torch.zeros(len(module.mean), dtype=torch.float64)
    n_rows = data.matrix.shape[0]
    for part in _parts(np.arange(n_rows)):
        with torch.no_grad():
            z = module.standardised(data.batch(part))
        slope = torch.zeros_like(z)
        for share in (np.arange(_N_STEPS) + 0.5) / _N_STEPS:
            point = (z * float(share)).requires_grad_()
            odds = one_against_rest(module.net(point))[:, positive].sum()
            slope += torch.autograd.grad(odds, point)[0] / _N_STEPS
        sums += (z * slope).abs().sum(dim=0).double()
    return (sums / n_rows).float().numpy()


def _parts(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), _STEP):
        yield rows[start : start + _STEP]
