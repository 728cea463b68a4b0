"""Fitting one autoencoder to some rows, watched on others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import torch

from dtp_scvi._validate import check_one_of, check_positive_int, check_range
from dtp_scvi.model._network_run import NetworkHolder, how_to_run
from dtp_scvi.model._plain import plain
from dtp_scvi.module import SCHEDULES, DistVAEModule, Schedule
from dtp_scvi.train import DenseBatches, VAEPlan, latent_start, run_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from dtp_scvi.module import Preset, ResVAEModule
    from dtp_scvi.train import DenseRows

Keep = Literal["best", "last"]
KEEP: Final = ("best", "last")
_ROWS: Final = 1024


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How an autoencoder is fitted."""

    max_epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    schedule: Schedule
    keep: Keep
    patience: int
    seed: int
    start_at_mean: bool = False
    """Start near the mean of the inputs, which the published networks did not."""
    accelerator: str = "auto"
    devices: Any = "auto"
    verbose: bool = False

    def __post_init__(self) -> None:
        check_positive_int(self.max_epochs, "max_epochs")
        check_positive_int(self.batch_size, "batch_size")
        check_range(self.batch_size, "batch_size", 2)
        check_positive_int(self.patience, "patience")
        check_range(self.lr, "lr", 0, inclusive=False)
        check_range(self.weight_decay, "weight_decay", 0)
        check_one_of(self.schedule, SCHEDULES, "schedule")
        check_one_of(self.keep, KEEP, "keep")

    @classmethod
    def from_preset(cls, preset: Preset | None, given: dict[str, Any], n_rows: int) -> FitOptions:
        """Fill what was left out by what a preset was published with, else by defaults."""
        defaults: dict[str, Any] = {
            "max_epochs": _epochs(n_rows) if preset is None else preset.max_epochs,
            "lr": 1e-3 if preset is None else preset.lr,
            "weight_decay": 1e-4 if preset is None else preset.weight_decay,
            "schedule": "cosine" if preset is None else preset.schedule,
            "start_at_mean": preset is None,
        }
        return cls(**{**given, **{k: v for k, v in defaults.items() if given.get(k) is None}})


def _epochs(n_rows: int) -> int:
    """400 epochs up to 20,000 rows and as many steps for more, as scvi-tools does by default."""
    return max(1, round(400 * min(1.0, 20_000 / n_rows)))


def fit_vae(
    make: Callable[[int], ResVAEModule],
    data: DenseRows,
    fit_rows: np.ndarray,
    watched: np.ndarray,
    options: FitOptions,
) -> tuple[ResVAEModule, pd.DataFrame, int]:
    """Return a fitted network in evaluation mode, its history, and the epoch that was kept.

    Parameters
    ----------
    make
        Makes a network from a seed.
    data
        Normalised rows.
    fit_rows, watched
        Rows to fit, and rows whose loss picks the epoch.
    options
        How to fit.
    """
    module = make(options.seed)
    mean, variance = data.moments(fit_rows)
    module.mean.copy_(torch.from_numpy(mean))
    if options.start_at_mean and variance > 0:
        module.start_at(module.mean, variance**0.5)
        if isinstance(module, DistVAEModule) and module.takes_start:
            weight, bias = latent_start(data, fit_rows, options.seed)
            module.start_linear(torch.from_numpy(weight), torch.from_numpy(bias))
    batches = DenseBatches(
        data, fit_rows, watched, batch_size=options.batch_size, seed=options.seed
    )
    plan = VAEPlan(
        module,
        schedule=options.schedule,
        keep_last=options.keep == "last",
        lr=options.lr,
        weight_decay=options.weight_decay,
        n_steps=options.max_epochs * batches.n_batches,
        patience=options.max_epochs if options.keep == "last" else options.patience,
    )
    table = run_plan(
        NetworkHolder(module),
        plan,
        batches,
        seed=options.seed,
        description="autoencoder",
        gradient_clip=None,
        **how_to_run(options),
    )
    module.to("cpu").eval()
    kept = len(table) - 1 if options.keep == "last" else plan.best_epoch
    return module, table, kept


@torch.no_grad()
def held_out_terms(module: ResVAEModule, data: DenseRows, rows: np.ndarray) -> dict[str, float]:
    """Return the terms of the loss by the posterior mean, without noise, averaged over rows.

    ``variance_explained`` is one less the error over that of the training mean.
    """
    module.eval()
    total: dict[str, float] = {}
    for part in np.array_split(rows, -(-len(rows) // _ROWS)):
        batch = data.batch(part)
        mu, logvar = module.encode(batch["X"])
        found = {"mu": mu, "logvar": logvar, "z": mu}
        terms = module.terms(batch, found, module.generative(mu))
        terms["_spread"] = (batch["X"] - module.mean).square().mean()
        for name, value in terms.items():
            total[name] = total.get(name, 0.0) + value.item() * len(part) / len(rows)
    spread = total.pop("_spread")
    total["variance_explained"] = 1 - total["mse"] / spread if spread > 0 else float("nan")
    return plain(total)
