"""What a head is fitted on: the moments that rows get, made-up rows, importances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from dtp_scvi.model._drug_sensitivity_source import parts_of
from dtp_scvi.module import DrugSensitivityModule, ResVAEModule, one_against_rest
from dtp_scvi.stats import Moments, moment_map
from dtp_scvi.train import FeatureBatches, SensitivityPlan, run_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from dtp_scvi.model._drug_sensitivity_source import AlignedRows, Source

REFERENCES: Final = ("train", "pretraining", "paper")
_MOST_AXES: Final = 10
_N_STEPS: Final = 16
_IMPORTANCE_ROWS: Final = 256


@torch.no_grad()
def set_reference(
    module: DrugSensitivityModule,
    rows: AlignedRows,
    source: Source,
    reference: str,
) -> torch.Tensor:
    """Store the moments that targets get; return the inputs of all rows as the head sees them.

    Parameters
    ----------
    module
        Network whose buffers are set.
    rows
        Training rows.
    source
        Autoencoder whose encoder it has.
    reference
        ``"train"``: rows as they are, and targets get their moments. ``"pretraining"``: both get
        the moments of the pretraining rows. ``"paper"``: rows get those of the pretraining, targets
        those of the rows before that, as in the released code.
    """
    raw = rows.values(module)
    own = Moments.from_blocks([raw.numpy()])
    gain, shift = np.ones_like(own.mean), np.zeros_like(own.mean)
    if reference != "train" and source.moments is not None:
        gain, shift = moment_map(own, source.moments())
    module.known.copy_(torch.from_numpy(rows.known))
    mean = np.where(rows.known, gain * own.mean + shift, source.module.mean.double().cpu())
    sd = gain * own.sd
    wanted = (own.mean, own.sd) if reference == "paper" else (mean, sd)
    for name, value in {
        "recast_gain": gain,
        "recast_shift": shift,
        "mean": mean,
        "sd": sd,
        "query_mean": wanted[0],
        "query_sd": wanted[1],
    }.items():
        getattr(module, name).copy_(torch.from_numpy(value))
    return rows.values(module)


def posterior_sampler(module: ResVAEModule) -> Callable[[np.ndarray, int], np.ndarray]:
    """Return what decodes a draw from the posterior of each row, with its own generator."""

    @torch.no_grad()
    def sample(rows: np.ndarray, seed: int) -> np.ndarray:
        module.eval()
        generator = torch.Generator().manual_seed(seed)
        made = []
        for part in parts_of(len(rows)):
            mu, logvar = module.encode(torch.from_numpy(rows[part]))
            noise = torch.randn(mu.shape, generator=generator)
            made.append(module.decode(mu + (logvar / 2).exp() * noise).numpy())
        return np.concatenate(made)

    return sample


@torch.no_grad()
def latent_of(module: DrugSensitivityModule, x: torch.Tensor) -> torch.Tensor:
    """Return posterior means, (n_rows, n_latent)."""
    module.eval()
    return torch.cat([module.latent(x[part]) for part in parts_of(len(x))])


@torch.no_grad()
def set_space(module: DrugSensitivityModule, latent: torch.Tensor) -> None:
    """Compare queries in the leading principal axes of the training rows' posterior means."""
    centre = latent.mean(dim=0)
    axes = torch.linalg.svd((latent - centre).double(), full_matrices=False).Vh[: module.n_space]
    # The sign of a singular vector is arbitrary.
    axes = axes * torch.where(axes.sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
    module.space_mean.copy_(centre)
    module.space_weight.copy_(axes.T)


def n_axes(n_rows: int, n_latent: int) -> int:
    """Number of coordinates that so many rows can carry."""
    return max(1, min(_MOST_AXES, n_rows // 10, n_latent))


@torch.no_grad()
def member_odds(module: DrugSensitivityModule, member: int, latent: torch.Tensor) -> np.ndarray:
    """Log-odds of each class, (n_rows, 2), by one head, of posterior means."""
    module.eval()
    return one_against_rest(module.heads[member](latent).double()).numpy()


def mean_attributions(
    module: DrugSensitivityModule, x: torch.Tensor, positive: int, seed: int
) -> np.ndarray:
    """Mean absolute integrated gradients of each gene on the log-odds, (n_genes,).

    The baseline is the training mean (Sundararajan et al., ICML 2017); midpoints of 16 steps, of
    at most 256 rows.
    """
    module.eval()
    chosen = np.random.default_rng(seed).permutation(len(x))[:_IMPORTANCE_ROWS]
    away = x[chosen] - module.mean
    slope = torch.zeros_like(away)
    for share in (np.arange(_N_STEPS) + 0.5) / _N_STEPS:
        point = (module.mean + away * float(share)).requires_grad_()
        raw = module.members(module.latent(point)).mean(dim=1)
        odds = one_against_rest(raw)[:, positive].sum()
        slope += torch.autograd.grad(odds, point)[0] / _N_STEPS
    return (away * slope).abs().mean(dim=0).detach().numpy()


def fit_head(
    model: Any,
    member: int,
    class_weight: np.ndarray,
    fitted: tuple[torch.Tensor, torch.Tensor],
    held_out: tuple[torch.Tensor, torch.Tensor],
    *,
    schedule: str,
    n_unfrozen: int,
    keep_last: bool,
    patience: int,
    max_epochs: int,
    batch_size: int,
    lr: float,
    weight_decay: float,
    seed: int,
    **devices: Any,
) -> pd.DataFrame:
    """Train one head of ``model.module``; return the losses of every epoch.

    While the encoder stays as it is, the head is trained on posterior means that are computed once.
    """
    module: DrugSensitivityModule = model.module
    on_latent = not n_unfrozen
    parts = [
        (latent_of(module, x) if on_latent else x, labels) for x, labels in (fitted, held_out)
    ]
    batches: Any = FeatureBatches(*parts, batch_size=batch_size, seed=seed)
    plan = SensitivityPlan(
        module,
        member,
        torch.from_numpy(class_weight),
        schedule=schedule,
        max_epochs=max_epochs,
        keep_last=keep_last,
        n_unfrozen=n_unfrozen,
        lr=lr,
        weight_decay=weight_decay,
        n_steps=max_epochs * batches.n_batches,
        patience=max_epochs if keep_last else patience,
    )
    name = type(model).__name__
    table = run_plan(
        model, plan, batches, max_epochs=max_epochs, seed=seed, description=name, **devices
    )
    module.to("cpu").eval()
    return table
