"""Run a plan through scvi-tools' runner, seeded, without side effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd
import torch
from scvi.train import TrainRunner

from dtp_scvi._scvi import quiet_training
from dtp_scvi.train._progress import CellProgress

if TYPE_CHECKING:
    from torch import nn

    from dtp_scvi.train._batches import SparseBatches
    from dtp_scvi.train._dense_batches import DenseBatches
    from dtp_scvi.train._plan import KeepBestPlan
    from dtp_scvi.train._treated_rows import TreatedBatches


class Trainable(Protocol):
    """What scvi-tools' runner needs of a model."""

    is_trained_: bool
    trainer: Any

    @property
    def module(self) -> nn.Module:
        """The network."""

    def to_device(self, device: Any) -> None:
        """Move the network."""


def run_plan(
    model: Trainable,
    plan: KeepBestPlan,
    batches: SparseBatches | DenseBatches | TreatedBatches,
    *,
    max_epochs: int,
    seed: int,
    accelerator: str,
    devices: Any,
    description: str,
    verbose: bool,
    gradient_clip: float | None = 1.0,
) -> pd.DataFrame:
    """Fit ``plan`` on ``batches`` and return its history, one row an epoch.

    Gradients are clipped to the norm ``gradient_clip``, or not at all.
    The global random state of torch is put back afterwards. A model that was trained or loaded
    before is in evaluation mode, and Lightning would keep it there, so the mode is set here.
    """
    # Until the last step of `train` the network is half fitted, whatever the runner says.
    model.is_trained_ = False
    model.module.train()
    cuda = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=cuda), quiet_training():
        torch.manual_seed(seed)
        TrainRunner(
            model,
            training_plan=plan,
            data_splitter=batches,
            max_epochs=max_epochs,
            accelerator=accelerator,
            devices=devices,
            enable_progress_bar=False,
            callbacks=[CellProgress(batches.n_train, max_epochs, description, verbose=verbose)],
            gradient_clip_val=gradient_clip,
            num_sanity_val_steps=-1,
            check_val_every_n_epoch=1,
            enable_checkpointing=False,
            # The plan keeps its own table; a line a step costs a tenth of the time.
            log_every_n_steps=1_000_000,
            # The default of scvi-tools lets cuDNN pick kernels by timing, which no seed fixes.
            benchmark=False,
        )()
    model.trainer, model.is_trained_ = None, False
    model.module.eval()
    return pd.DataFrame(plan.table)
