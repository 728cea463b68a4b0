"""Train a perturbation network, watched by the squared error of the change it predicts."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dtp_scvi.nn import RowNoise, WeightAverage
from dtp_scvi.train._plan import KeepBestPlan

if TYPE_CHECKING:
    from dtp_scvi.module import PerturbationBatch, PerturbationModule


class PerturbationPlan(KeepBestPlan):
    """Fit by the network's own loss; keep the weights with the best predicted change.

    A loss that is free of scale, or that counts noise levels no prediction passes through, does
    not tell how good predictions are, so epochs are picked by the mean squared error of the change
    in watched rows; of sampled changes, by that of the mean of many samples, estimated without bias
    from a few. Each row has noise of its own that is the same in every epoch.

    Parameters
    ----------
    module
        The network.
    ema
        Weight of the past in the running mean of weights, which is what is watched and kept; 0
        for the weights as they are.
    sampling
        How changes are predicted in watched rows.
    **kwargs
        Arguments of :class:`KeepBestPlan`.
    """

    def __init__(
        self, module: PerturbationModule, *, ema: float, sampling: dict[str, Any], **kwargs: Any
    ) -> None:
        super().__init__(module, **kwargs)
        self._average = WeightAverage(module, ema)
        self._sampling = sampling
        self._swapped = ExitStack()
        self._terms: dict[str, list[Tensor]] = {}

    def training_step(self, batch: PerturbationBatch, batch_idx: int) -> Tensor:
        """Return the network's loss."""
        out = self.network.batch_loss(batch)
        self._train_loss.append(out.loss.detach())
        for name, term in (out.extra_metrics or {}).items():
            self._terms.setdefault(name, []).append(term)
        return out.loss

    def on_train_batch_end(self, outputs: Any, batch: PerturbationBatch, batch_idx: int) -> None:
        """Take the new weights into the running mean."""
        self._average.update()

    def on_validation_epoch_start(self) -> None:
        """Put the running mean in place."""
        self._swapped.enter_context(self._average.applied())

    def validation_step(self, batch: PerturbationBatch, batch_idx: int) -> None:
        """Collect the squared error of the watched rows."""
        module = self.network
        # One copy to the CPU a batch: it is where noise is drawn.
        draw = RowNoise(batch["noise"].tolist(), module.n_genes, batch["control"].device)
        delta, spread = module.predict_delta(batch, draw=draw, **self._sampling)
        error = (delta - (batch["x"] - batch["control"])).square()
        n_samples = self._sampling.get("n_samples", 1)
        if n_samples > 1:
            # The mean of a few samples has their noise, which a mean of many has not: with it a
            # network that says nothing would be preferred to one that knows something.
            error = error - spread.square() / n_samples
        self._outputs.append((error.mean(), error.numel()))

    def on_validation_epoch_end(self) -> None:
        """Average over rows and genes, and go back to the weights as they are."""
        total = sum(float(error) * count for error, count in self._outputs)
        n = sum(count for _, count in self._outputs)
        self._outputs.clear()
        self.finish_epoch(total / n)
        if self.table and not self.trainer.sanity_checking:
            means = {name: torch.stack(part).mean().item() for name, part in self._terms.items()}
            self.table[-1].update({f"train_{name}": value for name, value in means.items()})
            self._terms.clear()
        self._swapped.close()

    def keep(self) -> None:
        """Copy the weights; tables of drugs and moments of genes do not change."""
        parameters = self.network.named_parameters()
        self.best_state = {name: value.detach().clone() for name, value in parameters}

    def on_fit_end(self) -> None:
        """Go back to the best weights."""
        if self.best_state:
            self.network.load_state_dict(self.best_state, strict=False)
