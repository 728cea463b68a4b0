"""Training of the residual networks over gene programs, of classes and of responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from dtp_scvi.model._network_run import how_to_run
from dtp_scvi.train import ResidualPlan, SparseBatches, run_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from dtp_scvi.train import Rows, Trainable


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the residuals are trained."""

    max_epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    token_lr: float
    patience: int
    accelerator: str
    devices: Any
    verbose: bool
    thin: float = 0.0
    """Share of the rows of a batch that are thinned."""


def fit_residuals(
    model: Trainable,
    data: Rows,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    schedule: Schedule,
    seed: int,
) -> pd.DataFrame:
    """Train each member, which holds out a fold, and return the losses of every epoch."""
    module: Any = model.module
    tables, n_members = [], len(module.members)
    for member in range(n_members):
        train, held_out = folds[member % len(folds)]
        batches = SparseBatches(
            data,
            train,
            held_out,
            batch_size=schedule.batch_size,
            thin=schedule.thin,
            seed=seed + member,
        )
        plan = ResidualPlan(
            module,
            member,
            token_lr=schedule.token_lr,
            lr=schedule.lr,
            weight_decay=schedule.weight_decay,
            n_steps=schedule.max_epochs * batches.n_batches,
            patience=schedule.patience,
        )
        table = run_plan(
            model,
            plan,
            batches,
            seed=seed + member,
            description=f"member {member + 1}/{n_members}",
            **how_to_run(schedule),
        )
        module.member_scale[member] = plan.best_scale
        tables.append(table.assign(member=member))
    module.to("cpu").eval()
    return pd.concat(tables, ignore_index=True)
