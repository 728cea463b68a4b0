"""What the networks that predict the effect of a drug share."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, TypedDict

import torch
from scvi.module.base import BaseModuleClass
from torch import Tensor

from dtp_scvi.module._drugs import DrugBuffers, DrugSizes

if TYPE_CHECKING:
    from scvi.module.base import LossOutput


class PerturbationBatch(TypedDict):
    """Treated rows with their controls and treatments."""

    x: Tensor
    """Profile after treatment, logarithmic, float32, (n_rows, n_genes)."""
    control: Tensor
    """Profile of the paired control, float32, (n_rows, n_genes)."""
    drug: Tensor
    """Position of the drug in the table, int64, (n_rows,)."""
    dose: Tensor
    """Dose in µM, float32, (n_rows,)."""
    time: Tensor
    """Duration in hours, float32, (n_rows,)."""
    cell: Tensor
    """Position of the cell line, int64, -1 where it is unknown, (n_rows,)."""
    noise: Tensor
    """Seed of the row's own noise, int64, (n_rows,)."""


class PerturbationModule(BaseModuleClass):
    """Predicts the change of a profile from the control, the drug, its dose and the time.

    Parameters
    ----------
    n_genes
        Number of genes.
    drugs
        Shape of the drug table.
    """

    x_mean: Tensor
    x_sd: Tensor
    delta_mean: Tensor
    delta_sd: Tensor
    drugs: DrugBuffers

    def __init__(self, n_genes: int, drugs: DrugSizes) -> None:
        super().__init__()
        self.n_genes = n_genes
        self.drugs = DrugBuffers(drugs)
        for name in ("x", "delta"):
            self.register_buffer(f"{name}_mean", torch.zeros(n_genes))
            self.register_buffer(f"{name}_sd", torch.ones(n_genes))

    @torch.no_grad()
    def set_statistics(
        self, x_mean: Tensor, x_sd: Tensor, delta_mean: Tensor, delta_sd: Tensor
    ) -> None:
        """Store moments of the training rows by gene, each (n_genes,); deviations above 0.

        Parameters
        ----------
        x_mean, x_sd
            Of profiles, treated or not.
        delta_mean, delta_sd
            Of the change from control.
        """
        self.x_mean.copy_(x_mean)
        self.x_sd.copy_(x_sd)
        self.delta_mean.copy_(delta_mean)
        self.delta_sd.copy_(delta_sd)

    def _get_inference_input(self, tensors: PerturbationBatch) -> dict[str, Any]:
        return {"tensors": tensors}

    def _get_generative_input(
        self, tensors: PerturbationBatch, inference_outputs: dict[str, Tensor]
    ) -> dict[str, Any]:
        return {"tensors": tensors, "inference_outputs": inference_outputs}

    @abstractmethod
    def batch_loss(
        self, tensors: PerturbationBatch, generator: torch.Generator | None = None
    ) -> LossOutput:
        """Return the training loss of a batch and its parts.

        Parameters
        ----------
        tensors
            The batch.
        generator
            Source of the noise, on the device of the batch; torch's own without it.
        """

    @abstractmethod
    def predict_delta(self, tensors: PerturbationBatch, **sampling: Any) -> tuple[Tensor, Tensor]:
        """Return the predicted change and its spread over samples, both (n_rows, n_genes).

        Parameters
        ----------
        tensors
            The batch; ``x`` is not read and may be left out.
        **sampling
            How to sample, where the network does.
        """
