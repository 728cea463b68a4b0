"""Train the residuals of a response model on top of its linear part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from scipy.stats import spearmanr

from dtp_scvi._constants import TARGET_SUM
from dtp_scvi.data import coexpression_programs
from dtp_scvi.model._network_run import NetworkHolder
from dtp_scvi.model._residuals import Schedule, fit_residuals
from dtp_scvi.model._response_input import CLOSED
from dtp_scvi.model._response_linear import (
    Targets,
    fit_linear_response,
    response_folds,
    scaled_for_order,
)
from dtp_scvi.model._response_reference import InputReference, checked_arrays
from dtp_scvi.module import ResponseModule, sorted_columns, sparse_batch
from dtp_scvi.nn import seeded
from dtp_scvi.train import Rows, gene_attributions, principal_axes, token_basis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dtp_scvi.model._response_data import TrainingRows
    from dtp_scvi.model._response_linear import Folds, LinearResponse
    from dtp_scvi.train import Axes, TokenBasis

N_AXES = 100


def as_rows(log: sp.csr_matrix) -> sp.csr_matrix:
    """Write log1p inputs as linear values of rows whose total is one."""
    linear = log.copy()
    linear.data = np.expm1(log.data) / np.float32(TARGET_SUM)
    return linear


def new_module(
    architecture: Mapping[str, Any], n_genes: int, n_columns: int, n_targets: int, seed: int
) -> ResponseModule:
    """Build a network; the global random state of torch stays as it was."""
    with seeded(seed):
        return ResponseModule(n_genes, n_columns, n_targets, **architecture)


@dataclass(frozen=True)
class NetworkFit:
    """A trained network with the scales of its inputs and outputs."""

    module: ResponseModule
    reference: InputReference
    mean: NDArray[np.float64]
    """Of each target, in the units of a prediction, (n_targets,)."""
    sd: NDArray[np.float64]
    history: pd.DataFrame
    settings: dict[str, Any]

    def to_state(self) -> dict[str, torch.Tensor]:
        """Tensors by name, as they are saved."""
        arrays = {**self.reference.to_arrays(), "target_mean": self.mean, "target_sd": self.sd}
        weights = {f"module.{name}": value for name, value in self.module.state_dict().items()}
        return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()} | weights

    @classmethod
    def from_state(
        cls,
        state: Mapping[str, torch.Tensor],
        architecture: Mapping[str, Any],
        genes_and_targets: tuple[int, int],
        meta: Mapping[str, Any],
    ) -> Self:
        """Check saved tensors and take them."""
        n_genes, n_targets = genes_and_targets
        inside = "module."
        arrays = {k: v.numpy() for k, v in state.items() if not k.startswith(inside)}
        weights = {k.removeprefix(inside): v for k, v in state.items() if k.startswith(inside)}
        own = checked_arrays(arrays, dict.fromkeys(("target_mean", "target_sd"), (n_targets,)))
        module = new_module(architecture, n_genes, len(weights["order"]), n_targets, seed=0)
        module.load_state_dict(weights)
        return cls(
            module.eval(),
            InputReference.from_arrays(arrays, (CLOSED,), n_genes),
            own["target_mean"],
            own["target_sd"],
            pd.DataFrame(meta["history"]),
            meta["settings"],
        )


@torch.inference_mode()
def network_outputs(module: ResponseModule, log: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outputs for rows of log1p inputs, (n_rows, n_targets)."""
    rows = as_rows(sp.csr_matrix(log.astype(np.float32)))
    batch = sparse_batch(rows, np.ones(rows.shape[0]), "linear")
    return module.raw_logits(batch).double().numpy()


def fit_network(
    given: TrainingRows,
    architecture: Mapping[str, Any],
    schedule: Schedule,
    *,
    as_rank: bool,
    seed: int,
) -> NetworkFit:
    """Fit the linear part and the residuals."""
    folds = response_folds(len(given.y), given.donors, seed)
    y = Targets.of(given.y, as_rank=as_rank)
    reference, z = InputReference.of(given.values, (CLOSED,))
    linear = fit_linear_response(z[0], y.values, given.donors, folds)
    if architecture["loss"] == "rank":
        linear = scaled_for_order(linear, y.values)
    log = sp.csr_matrix((z[0] * reference.sd[0] + reference.mean[0]).astype(np.float32))
    rows = as_rows(log)
    module = _started(log, given, architecture, linear, reference.sd[0], seed)
    data = Rows(
        sorted_columns(rows, module.order.numpy()),
        np.ones(rows.shape[0]),
        y.values.astype(np.float32),
        linear.out_of_fold.astype(np.float32),
        "linear",
        module.boundaries.numpy(),
    )
    history = fit_residuals(NetworkHolder(module), data, folds, schedule, seed)
    by_target = [
        gene_attributions(module, rows, data.total, "linear", t) for t in range(len(y.mean))
    ]
    module.importance.copy_(torch.from_numpy(np.mean(by_target, axis=0)))
    settings = _settings(module, data, folds, linear, given)
    return NetworkFit(module, reference, y.mean, y.sd, history, settings)


def _started(
    log: sp.csr_matrix,
    given: TrainingRows,
    architecture: Mapping[str, Any],
    linear: LinearResponse,
    sd: NDArray[np.float64],
    seed: int,
) -> ResponseModule:
    """Return a network with its programs and linear part in place, the residuals at zero."""
    groups = None if given.donors is None else given.donors.tolist()
    axes = principal_axes(log, N_AXES, groups=groups, seed=seed)
    n_programs = architecture["n_programs"]
    programs = coexpression_programs(log, n_programs=n_programs, groups=groups, seed=seed)
    basis = token_basis(programs, axes, n_programs, architecture["n_components"])
    module = new_module(architecture, log.shape[1], len(basis.order), len(given.targets), seed)
    start(module, basis, axes, linear, sd)
    return module


def _settings(
    module: ResponseModule,
    data: Rows,
    folds: Folds,
    linear: LinearResponse,
    given: TrainingRows,
) -> dict[str, Any]:
    """Say what was chosen, and how the held-out rows were predicted."""
    held_out = held_out_outputs(module, data, folds)
    seen = np.where(np.isfinite(held_out), linear.out_of_fold, np.nan)
    alone = correlations(seen, given.y, given.targets)
    whole = correlations(held_out, given.y, given.targets)
    return {
        "penalty": dict(zip(given.targets, linear.penalty, strict=True)),
        "member_scale": [float(scale) for scale in module.member_scale],
        "left_out": "row" if given.donors is None else "donor",
        "n_folds": len(folds),
        "spearman_left_out": float(np.nanmean(list(whole.values()))),
        "spearman_left_out_by_target": whole,
        "spearman_left_out_linear": alone,
    }


def start(
    module: ResponseModule,
    basis: TokenBasis,
    axes: Axes,
    linear: LinearResponse,
    sd: NDArray[np.float64],
) -> None:
    """Put basis and linear part into a network of their size; ``sd`` is that of the inputs."""
    module.set_basis(basis.order, basis.programs, axes.mean[basis.order], basis.projection)
    weight = linear.weight / np.where(sd > 0, sd, np.inf)[:, None]
    module.linear_weight.copy_(torch.from_numpy(weight[basis.order] * basis.first[:, None]))
    module.linear_bias.copy_(torch.from_numpy(linear.bias))


@torch.no_grad()
def held_out_outputs(
    module: ResponseModule,
    data: Rows,
    folds: Folds,
) -> NDArray[np.float64]:
    """Outputs for rows that a member held out, NaN for the others, (n_rows, n_targets)."""
    out = np.full(data.offset.shape, np.nan)
    for member in range(min(len(module.members), len(folds))):
        rows = folds[member][1]
        residual = module.member_residual(data.batch(rows), member)
        scale = float(module.member_scale[member])
        out[rows] = data.offset[rows] + scale * residual.numpy()
    return out


def correlations(
    predicted: NDArray[np.float64], y: NDArray[np.float64], names: Sequence[str]
) -> dict[str, float]:
    """Spearman's correlation by target, over rows with both; NaN under three rows."""
    found = {}
    for name, a, b in zip(names, predicted.T, y.T, strict=True):
        both = np.isfinite(a) & np.isfinite(b)
        found[name] = float(spearmanr(a[both], b[both]).statistic) if both.sum() > 2 else np.nan
    return found
