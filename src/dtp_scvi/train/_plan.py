"""Training plans: what is minimised, by which optimiser, and which weights are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dtp_scvi.module import AMUModule, ProgramModule, StudentModule, TrainingBatch

# A residual that helps only a little on held-out donors is added only in part.
_SCALES = (0.25, 0.5, 0.75, 1.0)
_STARTED_LR = 0.05
_LEAST_GAIN = 2.0
_TWO_STEPS = (0.6, 0.85)


class KeepBestPlan(pl.LightningModule):
    """AdamW with a one-cycle schedule; the weights of the best validation loss are kept.

    The state before training is a candidate too, so training can't make the validation loss
    worse. The best state lives in memory: nothing is written to disk.

    Parameters
    ----------
    network
        The whole network, a submodule of the plan: Lightning moves it to the device, and takes
        held-out losses in evaluation mode.
    trained
        The part whose parameters are fitted and kept; the whole by default.
    lr, weight_decay
        Of AdamW.
    n_steps
        Steps of the whole training.
    patience
        Epochs without improvement before training stops.
    """

    network: Any

    def __init__(
        self,
        network: nn.Module,
        *,
        trained: nn.Module | None = None,
        lr: float,
        weight_decay: float,
        n_steps: int,
        patience: int,
    ) -> None:
        super().__init__()
        self.network = network
        self._trained = [network if trained is None else trained]
        self.lr, self.weight_decay, self.n_steps = lr, weight_decay, n_steps
        self.patience = patience
        self.best_loss, self.best_epoch = float("inf"), -1
        # Patience counts from the lowest loss, be it good enough to keep or not.
        self.lowest, self.lowest_epoch = float("inf"), -1
        self.best_state: dict[str, Tensor] = {}
        self.table: list[dict[str, float]] = []
        self._outputs: list[Any] = []
        self._train_loss: list[Tensor] = []

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups of the optimiser; ``lr`` of each is its peak."""
        return [{"params": list(self._trained[0].parameters()), "lr": self.lr}]

    def configure_optimizers(self) -> Any:
        """AdamW, eps 1e-8, and a one-cycle learning rate per step."""
        groups = self.groups()
        # One kernel a step instead of several a tensor: a tenth of a step of these small networks.
        optimizer = torch.optim.AdamW(groups, weight_decay=self.weight_decay, eps=1e-8, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=[group["lr"] for group in groups], total_steps=self.n_steps
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def finish_epoch(self, loss: float, *, acceptable: bool = True) -> None:
        """Record an epoch, keep its weights if they are the best, stop when patience is over."""
        if self.trainer.sanity_checking:
            # Before the first step: what training has to beat.
            self.best_loss = loss
            self.keep()
            return
        trained = torch.stack(self._train_loss).mean().item() if self._train_loss else float("nan")
        self._train_loss.clear()
        self.table.append(
            {
                "epoch": self.current_epoch,
                "train_loss": trained,
                "validation_loss": loss,
            }
        )
        self.log("validation_loss", loss, prog_bar=False)
        if acceptable and loss < self.best_loss:
            self.best_loss, self.best_epoch = loss, self.current_epoch
            self.keep()
        if loss < self.lowest:
            self.lowest, self.lowest_epoch = loss, self.current_epoch
        elif self.current_epoch - self.lowest_epoch >= self.patience:
            self.trainer.should_stop = True

    def keep(self) -> None:
        """Copy the weights."""
        state = self._trained[0].state_dict()
        self.best_state = {name: value.detach().clone() for name, value in state.items()}

    def on_fit_end(self) -> None:
        """Go back to the best weights."""
        if self.best_state:
            self._trained[0].load_state_dict(self.best_state)


class ResidualPlan(KeepBestPlan):
    """Train one member's residual on top of out-of-fold linear logits."""

    def __init__(
        self, module: ProgramModule, member: int, *, token_lr: float, **kwargs: Any
    ) -> None:
        super().__init__(module, trained=module.members[member], **kwargs)
        self.member, self.token_lr = member, token_lr
        self.best_scale = 0.0

    def groups(self) -> list[dict[str, Any]]:
        """Token projections start at principal components and move at a fraction of the rate."""
        member = self.network.members[self.member]
        tokens = member.tokens.weight
        rest: Iterable[Tensor] = (p for p in member.parameters() if p is not tokens)
        return [
            {"params": [tokens], "lr": self.lr * self.token_lr},
            {"params": list(rest), "lr": self.lr},
        ]

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        """Loss of offset + residual, with genes hidden at random."""
        module = self.network
        residual = module.member_residual(batch, self.member)
        loss = module.loss(batch, {"residual": residual}).loss
        self._train_loss.append(loss.detach())
        return loss

    def validation_step(self, batch: TrainingBatch, batch_idx: int) -> None:
        """Collect the residuals of the held-out rows."""
        residual = self.network.member_residual(batch, self.member)
        self._outputs.append((residual, batch["offset"], batch["labels"]))

    def on_validation_epoch_end(self) -> None:
        """Pick how much of the residual to add, by the loss over the whole held-out fold.

        A residual counts only if it beats the linear part by more than two standard errors of
        the paired difference: the best of many epochs looks better than it is.
        """
        residual, offset, labels = (torch.cat(parts) for parts in zip(*self._outputs, strict=True))
        self._outputs.clear()
        row_losses = self.network.row_losses
        base, weight = row_losses(offset, labels)
        counted = weight > 0
        best = (float("inf"), 0.0, 0.0)
        for scale in _SCALES:
            gain = (base - row_losses(offset + scale * residual, labels)[0])[counted]
            error = gain.std().item() / len(gain) ** 0.5
            loss = (base.sum() - gain.sum()).item() / weight.sum().item()
            best = min(best, (loss, scale, gain.mean().item() - _LEAST_GAIN * error))
        loss, scale, margin = best
        if self.trainer.sanity_checking or margin > 0:
            if loss < self.best_loss and not self.trainer.sanity_checking:
                self.best_scale = scale
            self.finish_epoch(loss)
        else:
            self.finish_epoch(loss, acceptable=False)


class DistillPlan(KeepBestPlan):
    """Train a student on a teacher's logits and, where there are labels, on these."""

    def __init__(
        self, module: StudentModule, *, alpha: float, temperature: float, **kwargs: Any
    ) -> None:
        super().__init__(module, **kwargs)
        self.alpha, self.temperature = alpha, temperature

    def groups(self) -> list[dict[str, Any]]:
        """What starts at a regression on the teacher moves at a fraction of the rate."""
        module = self.network
        started = [*module.linear.parameters(), *module.directions.parameters()]
        fresh = [*module.hidden.parameters(), *module.head.parameters()]
        return [
            {"params": started, "lr": self.lr * _STARTED_LR},
            {"params": fresh, "lr": self.lr},
        ]

    def _loss(self, batch: TrainingBatch) -> Tensor:
        module = self.network
        out = module.inference(batch)
        return module.loss(batch, out, alpha=self.alpha, temperature=self.temperature).loss

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        """Return the distillation loss."""
        loss = self._loss(batch)
        self._train_loss.append(loss.detach())
        return loss

    def validation_step(self, batch: TrainingBatch, batch_idx: int) -> None:
        """Collect the loss of the held-out rows."""
        self._outputs.append((self._loss(batch), len(batch["labels"])))

    def on_validation_epoch_end(self) -> None:
        """Average over rows."""
        total = sum(loss.item() * n for loss, n in self._outputs)
        n_rows = sum(n for _, n in self._outputs)
        self._outputs.clear()
        self.finish_epoch(total / n_rows)


class PanelPlan(KeepBestPlan):
    """Train a network on a gene panel, by one cycle or by the two steps that AMU was published with.

    With ``"two_step"`` the optimiser is Adam with an L2 penalty in its gradient, and the rate
    falls to a tenth after 60 % and again after 85 % of the epochs: the published text names two
    steps and not where they lie.
    """

    def __init__(
        self, module: AMUModule, *, schedule: str, max_epochs: int, keep_last: bool, **kwargs: Any
    ) -> None:
        super().__init__(module, **kwargs)
        self.schedule, self.max_epochs, self.keep_last = schedule, max_epochs, keep_last

    def configure_optimizers(self) -> Any:
        """AdamW with one cycle, or Adam with two steps."""
        if self.schedule == "one_cycle":
            return super().configure_optimizers()
        optimizer = torch.optim.Adam(
            self.network.parameters(), self.lr, weight_decay=self.weight_decay
        )
        steps = [round(share * self.max_epochs) for share in _TWO_STEPS]
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, steps, gamma=0.1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule}}

    def _loss(self, batch: TrainingBatch) -> Tensor:
        module = self.network
        return module.loss(batch, module.inference(batch)).loss

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        """Return the cross-entropy."""
        loss = self._loss(batch)
        self._train_loss.append(loss.detach())
        return loss

    def validation_step(self, batch: TrainingBatch, batch_idx: int) -> None:
        """Collect the loss of the held-out rows."""
        weight = self.network.class_weight[batch["labels"]].sum().item()
        self._outputs.append((self._loss(batch).item(), weight))

    def on_validation_epoch_end(self) -> None:
        """Average over rows."""
        losses, weights = zip(*self._outputs, strict=True)
        self._outputs.clear()
        total = sum(loss * weight for loss, weight in zip(losses, weights, strict=True))
        self.finish_epoch(total / sum(weights))

    def on_fit_end(self) -> None:
        """Go back to the best weights, or stay with the last."""
        if not self.keep_last:
            super().on_fit_end()
