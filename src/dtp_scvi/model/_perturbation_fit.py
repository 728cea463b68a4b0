"""Fitting one perturbation network, watched on rows of the validation part."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dtp_scvi._validate import check_positive_int, check_range, problem
from dtp_scvi.model._network_run import NetworkHolder, how_to_run
from dtp_scvi.model._perturbation_data import watched_rows
from dtp_scvi.train import PerturbationPlan, TreatedBatches, TreatedRows, run_plan

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from dtp_scvi.module import PerturbationModule


@dataclass(frozen=True, kw_only=True)
class PerturbationFit:
    """How a perturbation network is fitted."""

    max_epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    patience: int
    ema: float
    n_watched: int
    seed: int
    accelerator: str = "auto"
    devices: Any = "auto"
    verbose: bool = False
    sampling: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("max_epochs", "batch_size", "patience", "n_watched"):
            check_positive_int(getattr(self, name), name)
        check_range(self.lr, "lr", 0, inclusive=False)
        check_range(self.weight_decay, "weight_decay", 0)
        check_range(self.ema, "ema", 0, 1)
        if self.ema == 1:
            msg = problem("`ema` below 1", "1", "The mean of weights would never move.")
            raise ValueError(msg)

    @property
    def protocol(self) -> dict[str, Any]:
        """What the card says of the fit."""
        names = ("max_epochs", "batch_size", "lr", "weight_decay", "patience", "ema", "n_watched")
        return {name: getattr(self, name) for name in names}


def fit_perturbation(
    module: PerturbationModule,
    data: TreatedRows,
    train: np.ndarray,
    valid: np.ndarray,
    options: PerturbationFit,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Fit a network in place; return its history and what it was worth on the watched rows.

    Parameters
    ----------
    module
        The network.
    data
        All rows.
    train, valid
        Positions of treated rows.
    options
        How to fit.
    """
    watched = watched_rows(valid, options.n_watched, data.drug, options.seed)
    batches = TreatedBatches(
        data, train, watched, batch_size=options.batch_size, seed=options.seed
    )
    plan = PerturbationPlan(
        module,
        ema=options.ema,
        sampling=options.sampling,
        lr=options.lr,
        weight_decay=options.weight_decay,
        n_steps=options.max_epochs * batches.n_batches,
        patience=options.patience,
    )
    table = run_plan(
        NetworkHolder(module),
        plan,
        batches,
        seed=options.seed,
        description="perturbation",
        **how_to_run(options),
    )
    module.to("cpu").eval()
    evaluation = {
        "n_rows": len(watched),
        "delta_mse": plan.best_loss,
        "epoch": plan.best_epoch,
        **_drug_free(data, train, watched),
    }
    return table, evaluation


def _drug_free(data: TreatedRows, train: np.ndarray, watched: np.ndarray) -> dict[str, float]:
    """Squared error of no change, and of the mean change of the training rows."""
    mean = data.moments(train)["delta_mean"]
    batch = data.batch(watched)
    delta = batch["x"] - batch["control"]
    return {
        "no_change_mse": float(delta.square().mean()),
        "mean_delta_mse": float((delta - mean).square().mean()),
    }
