"""The training plan of the autoencoders, and what they hold out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from dtp_scvi._validate import check_range, problem
from dtp_scvi.train._plan import KeepBestPlan

if TYPE_CHECKING:
    from dtp_scvi.module import DenseBatch, ResVAEModule, Schedule

_LEAST_LR = 0.01


class VAEPlan(KeepBestPlan):
    """AdamW at a constant rate or annealed once; best or last weights are kept.

    A cosine whose period is shorter than the training, as published, brings the rate back to its
    peak; here it ends at a hundredth of it.
    """

    def __init__(
        self, module: ResVAEModule, *, schedule: Schedule, keep_last: bool, **kwargs: Any
    ) -> None:
        super().__init__(module, **kwargs)
        self.schedule, self.keep_last = schedule, keep_last

    def configure_optimizers(self) -> Any:
        """AdamW, eps 1e-8."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(), self.lr, weight_decay=self.weight_decay, fused=True
        )
        if self.schedule == "constant":
            return optimizer
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, self.n_steps, eta_min=_LEAST_LR * self.lr
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def training_step(self, batch: DenseBatch, batch_idx: int) -> Tensor:
        """Return the weighted loss of a draw from the posterior."""
        loss = self.network(batch)[2].loss
        self._train_loss.append(loss.detach())
        return loss

    def validation_step(self, batch: DenseBatch, batch_idx: int) -> None:
        """Collect the terms of the loss on the held-out rows."""
        out = self.network(batch)[2]
        terms = {name: value.item() for name, value in out.extra_metrics.items()}
        self._outputs.append(({"loss": out.loss.item(), **terms}, len(batch["X"])))

    def on_validation_epoch_end(self) -> None:
        """Average over rows."""
        weights = np.array([n for _, n in self._outputs])
        mean = {
            name: float(np.average([terms[name] for terms, _ in self._outputs], weights=weights))
            for name in self._outputs[0][0]
        }
        self._outputs.clear()
        self.finish_epoch(mean.pop("loss"))
        if not self.trainer.sanity_checking:
            self.table[-1] |= mean

    def on_fit_end(self) -> None:
        """Go back to the best weights, or stay with the last."""
        if not self.keep_last:
            super().on_fit_end()


def deal_rows(
    n_rows: int, donors: np.ndarray | None, n_folds: int, seed: int | None
) -> np.ndarray:
    """Return the fold of each row, donors whole and folds of about the same size.

    Parameters
    ----------
    n_rows
        Number of rows.
    donors
        Donor of each row; rows are dealt one by one without them.
    n_folds
        Number of folds, 2 or more.
    seed
        Seed of the deal.

    Raises
    ------
    ValueError
        When there are fewer donors, or rows, than folds.
    """
    rng = np.random.default_rng(seed)
    units = np.arange(n_rows) if donors is None else np.unique(donors, return_inverse=True)[1]
    sizes = np.bincount(units)
    if not 2 <= n_folds <= len(sizes):
        what = "rows" if donors is None else "donors"
        msg = problem(
            f"2 to {len(sizes):,} folds of {len(sizes):,} {what}",
            f"{n_folds}",
            "Change `n_folds`.",
        )
        raise ValueError(msg)
    fold = np.empty(len(sizes), np.int64)
    held = np.zeros(n_folds, np.int64)
    order = rng.permutation(len(sizes))
    # The largest first, so that the folds come out alike; the shuffle decides between equals.
    for unit in order[np.argsort(-sizes[order], kind="stable")]:
        fold[unit] = np.argmin(held)
        held[fold[unit]] += sizes[unit]
    return fold[units]


def hold_out(
    n_rows: int, donors: np.ndarray | None, share: float, seed: int | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return rows to fit, rows to watch, and what is kept apart (``"donor"`` or ``"row"``).

    Parameters
    ----------
    n_rows
        Number of rows.
    donors
        Donor of each row; with fewer than two, rows are held out.
    share
        Share of the rows to hold out, above 0 and at most a half.
    seed
        Seed of the choice.
    """
    check_range(share, "validation_size", 0.0, 0.5)
    if n_rows < 4 or share * n_rows < 1:
        found = (
            f"{n_rows:,} rows, of which {share:.0%} are less than one"
            if n_rows >= 4
            else f"{n_rows:,}"
        )
        msg = problem(
            "at least four rows and one to hold out",
            found,
            "Raise `validation_size`, or add rows.",
        )
        raise ValueError(msg)
    by_donor = donors is not None and len(set(donors)) > 1
    groups = donors if by_donor else None
    n_units = n_rows if groups is None else len(set(groups))
    fold = deal_rows(n_rows, groups, min(round(1 / share), n_units), seed)
    # Where one donor fills a fold, another one is nearer to what was asked for.
    chosen = int(np.argmin(np.abs(np.bincount(fold) - share * n_rows)))
    held_out = fold == chosen
    return np.flatnonzero(~held_out), np.flatnonzero(held_out), "donor" if by_donor else "row"
