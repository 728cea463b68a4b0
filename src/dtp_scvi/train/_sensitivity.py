"""Batches and plan of a head on a frozen encoder, and the fit of an adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from dtp_scvi.nn import BANDWIDTHS, mmd2
from dtp_scvi.train._plan import KeepBestPlan
from dtp_scvi.train._shuffled import ShuffledBatches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from dtp_scvi.module import DrugSensitivityModule

_CHECKED_ROWS = 1024


@dataclass(frozen=True)
class _Features:
    """Dense features with their classes."""

    x: Tensor
    labels: Tensor

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        return {"x": self.x[rows], "labels": self.labels[rows]}


class FeatureBatches(ShuffledBatches):
    """Shuffled training rows and all validation rows at once, features with their classes."""

    data: _Features
    fewest: ClassVar[int] = 2

    def __init__(
        self,
        train: tuple[Tensor, Tensor],
        validation: tuple[Tensor, Tensor],
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        x, labels = (torch.cat(parts) for parts in zip(train, validation, strict=True))
        order, n_train = np.arange(len(labels)), len(train[1])
        rows = order[:n_train], order[n_train:]
        super().__init__(_Features(x, labels), *rows, batch_size=batch_size, seed=seed)
        self.at_once = max(1, self.n_val)


class SensitivityPlan(KeepBestPlan):
    """Train a head by one cycle, or with the oscillating rate that scATD was published with.

    With ``"cosine"`` the rate falls to a hundredth over a quarter of the epochs, rises again, and
    so on, which is what the released code does.

    Parameters
    ----------
    module
        Network.
    member
        Which of its heads is trained.
    class_weight
        Weight of each class.
    schedule
        ``"one_cycle"`` or ``"cosine"``.
    max_epochs
        Epochs.
    keep_last
        Keep the weights of the last epoch.
    n_unfrozen
        Last epochs in which the encoder is trained as well.
        Batches hold inputs then, and latent variables otherwise.
    **kwargs
        Arguments of :class:`KeepBestPlan`.
    """

    def __init__(
        self,
        module: DrugSensitivityModule,
        member: int,
        class_weight: Tensor,
        *,
        schedule: str,
        max_epochs: int,
        keep_last: bool,
        n_unfrozen: int,
        **kwargs: Any,
    ) -> None:
        head: Any = module.heads[member]
        super().__init__(module, trained=module if n_unfrozen else head, **kwargs)
        self._head = [head]
        self.class_weight = class_weight
        self.schedule, self.max_epochs, self.keep_last = schedule, max_epochs, keep_last
        self.n_unfrozen = n_unfrozen

    def configure_optimizers(self) -> Any:
        """AdamW with one cycle a fit, or with a cosine a quarter of it."""
        if self.schedule == "one_cycle":
            return super().configure_optimizers()
        optimizer = torch.optim.AdamW(
            self._trained[0].parameters(), self.lr, weight_decay=self.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, max(1, self.max_epochs // 4), eta_min=self.lr / 100
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule}}

    def on_train_epoch_start(self) -> None:
        """Free the encoder for the last epochs."""
        if self.n_unfrozen and self.current_epoch == self.max_epochs - self.n_unfrozen:
            self.network.freeze(frozen=False)

    def _raw(self, batch: dict[str, Tensor]) -> Tensor:
        x = self.network.latent(batch["x"]) if self.n_unfrozen else batch["x"]
        return self._head[0](x)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the weighted cross-entropy."""
        raw = self._raw(batch)
        loss = F.cross_entropy(raw, batch["labels"], weight=self.class_weight.to(raw))
        self._train_loss.append(loss.detach())
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Take the loss of the held-out rows, both classes with the same weight."""
        raw, labels = self._raw(batch), batch["labels"]
        weight = (1 / torch.bincount(labels, minlength=2).clamp_min(1)).to(raw.dtype)
        self._outputs.append(F.cross_entropy(raw, labels, weight=weight).item())

    def on_validation_epoch_end(self) -> None:
        """Hand the loss on."""
        self.finish_epoch(self._outputs.pop())

    def on_fit_end(self) -> None:
        """Go back to the best weights, or stay with the last; freeze again."""
        if not self.keep_last:
            super().on_fit_end()
        self.network.freeze(frozen=True)


@dataclass(frozen=True)
class FittedAdapter:
    """A change of latent variables, and how far the two sets were apart before and after it."""

    weight: Tensor
    shift: Tensor
    before: float
    after: float


def fit_adapter(
    source: Tensor,
    target: Tensor,
    *,
    n_steps: int,
    batch_size: int,
    lr: float,
    penalty: float,
    bandwidths: Sequence[float] = BANDWIDTHS,
    unbiased: bool = False,
    seed: int = 0,
) -> FittedAdapter:
    """Fit ``z + z @ weight + shift`` on the target so that it lies where the source does.

    Parameters
    ----------
    source, target
        Latent variables, (n_rows, n_latent).
    n_steps, batch_size, lr
        Of Adam; a batch is drawn from each set without replacement.
    penalty
        Weight of the mean square of the change, in units of the source's deviations: of all maps
        that bring the sets together, the one near to no change is wanted.
    bandwidths, unbiased
        Of :func:`dtp_scvi.nn.mmd2`.
    seed
        Seed of the batches.
    """
    rng = np.random.default_rng(seed)
    unit = source.std(dim=0, correction=0).clamp_min(1e-6)
    a, b = source / unit, target / unit
    weight = torch.zeros(a.shape[1], a.shape[1], requires_grad=True)
    shift = torch.zeros(a.shape[1], requires_grad=True)
    optimizer = torch.optim.Adam([weight, shift], lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)

    def drawn(rows: Tensor) -> Tensor:
        return rows[rng.choice(len(rows), min(batch_size, len(rows)), replace=False)]

    for _ in range(n_steps):
        rows = drawn(b)
        change = rows @ weight + shift
        distance = mmd2(drawn(a), rows + change, bandwidths=bandwidths, unbiased=unbiased)
        loss = distance + penalty * change.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        some = [rows[rng.permutation(len(rows))[:_CHECKED_ROWS]] for rows in (a, b)]
        moved = some[1] + some[1] @ weight + shift
        before, after = (
            mmd2(some[0], rows, bandwidths=bandwidths).item() for rows in (some[1], moved)
        )
        return FittedAdapter(
            (weight / unit[:, None] * unit[None, :]).detach(),
            (shift * unit).detach(),
            before,
            after,
        )
