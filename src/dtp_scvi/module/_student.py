"""The student's network: a small perceptron on a linear skip over a gene panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scvi.module.base import BaseModuleClass, LossOutput
from torch import Tensor, nn
from torch.nn import functional as F

from dtp_scvi.module._logits import class_scores
from dtp_scvi.nn import SparseBagSum, log_normalize

if TYPE_CHECKING:
    from dtp_scvi.module._batch import SparseBatch, TrainingBatch


# Numbers of 32 bits in the widest registers of current processors.
_VECTOR = 16


class StudentModule(BaseModuleClass):
    r"""Linear skip plus a perceptron whose output starts at zero.

    .. math:: z(x) = b + w^\top u + f(Du), \qquad u_g = o_g (x_g - \mu_g) / \sigma_g

    A missing gene (:math:`o_g = 0`) stands at its training mean. The perceptron sees the panel
    through a few directions :math:`D` only, which start at the teacher's program coordinates:
    free to read single genes, it would learn the noise of the training cells.
    """

    mean: Tensor
    sd: Tensor
    importance: Tensor
    space_weight: Tensor
    space_bias: Tensor

    def __init__(
        self,
        n_genes: int,
        n_classes: int,
        *,
        n_directions: int = 32,
        n_hidden: tuple[int, ...] = (64, 32),
        n_space: int = 0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.n_genes = n_genes
        self.n_outputs = 1 if n_classes == 2 else n_classes
        self.register_buffer("mean", torch.zeros(n_genes))
        self.register_buffer("sd", torch.ones(n_genes))
        self.register_buffer("importance", torch.zeros(n_genes))
        # What the teacher's program coordinates are, as far as the panel tells.
        self.register_buffer("space_weight", torch.zeros(n_space, n_genes))
        self.register_buffer("space_bias", torch.zeros(n_space))
        self.linear = nn.Linear(n_genes, self.n_outputs)
        self.directions = nn.Linear(n_genes, n_directions)
        nn.init.zeros_(self.directions.weight)
        nn.init.zeros_(self.directions.bias)
        layers: list[nn.Module] = []
        for n_in, n_out in zip((n_directions, *n_hidden), n_hidden, strict=False):
            layers += [nn.Linear(n_in, n_out), nn.GELU(), nn.Dropout(dropout)]
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(n_hidden[-1], self.n_outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @torch.no_grad()
    def set_basis(
        self, mean: np.ndarray, sd: np.ndarray, weight: np.ndarray, bias: np.ndarray
    ) -> None:
        """Start the linear skip at ``weight`` (n_genes, n_outputs) on standardised genes."""
        self.mean.copy_(torch.from_numpy(mean))
        self.sd.copy_(torch.from_numpy(sd))
        self.linear.weight.copy_(torch.from_numpy(weight.T))
        self.linear.bias.copy_(torch.from_numpy(bias))

    @torch.no_grad()
    def start_directions(self, weight: np.ndarray, bias: np.ndarray) -> None:
        """Start the directions at ``weight`` (n_genes, n) on standardised genes; more are cut."""
        n = min(weight.shape[1], self.directions.out_features)
        self.directions.weight[:n] = torch.from_numpy(np.ascontiguousarray(weight[:, :n].T))
        self.directions.bias[:n] = torch.from_numpy(np.ascontiguousarray(bias[:n]))

    @torch.no_grad()
    def set_space(self, weight: np.ndarray, bias: np.ndarray) -> None:
        """Set the coordinates that queries are compared in, on standardised genes."""
        self.space_weight.copy_(torch.from_numpy(weight.T))
        self.space_bias.copy_(torch.from_numpy(bias))

    def _project(
        self, tensors: SparseBatch, observed: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the linear outputs, the directions and the space, straight from the nonzeros.

        Centring and scaling are linear, so they go into the weights: a row costs its nonzeros.
        """
        lengths = tensors["offsets"].diff().long()
        values = log_normalize(tensors["values"], lengths, tensors["total"], tensors["kind"])
        parts: list[Tensor] = [self.linear.weight, self.directions.weight]
        biases: list[Tensor] = [self.linear.bias, self.directions.bias]
        if not self.training:
            parts, biases = [*parts, self.space_weight], [*biases, self.space_bias]
        weight = torch.cat(parts) / self.sd
        n_columns = len(weight)
        # The kernel of the bag sums is many times faster on contiguous rows of whole vectors.
        weight = F.pad(weight, (0, 0, 0, -n_columns % _VECTOR)).T.contiguous()
        bias = torch.cat(biases)
        centre = self.mean if observed is None else self.mean * observed
        sums = SparseBagSum.apply(weight, values, tensors["columns"], tensors["offsets"])
        out = (sums - centre @ weight)[:, :n_columns] + bias
        ends = self.n_outputs, self.n_outputs + self.directions.out_features
        return out[:, : ends[0]], out[:, ends[0] : ends[1]], out[:, ends[1] :]

    def _get_inference_input(self, tensors: SparseBatch) -> dict[str, SparseBatch]:
        return {"tensors": tensors}

    def _get_generative_input(
        self, tensors: SparseBatch, inference_outputs: object
    ) -> dict[str, Any]:
        return {}

    def generative(self) -> dict[str, Tensor]:
        """Return nothing: a classifier generates no data."""
        return {}

    def inference(self, tensors: SparseBatch, observed: Tensor | None = None) -> dict[str, Tensor]:
        """Return the raw linear and residual outputs, each (n_rows, n_outputs), and the space.

        The space, (n_rows, n_space), is empty in training mode.
        """
        linear, directions, space = self._project(tensors, observed)
        residual = self.head(self.hidden(directions))
        return {"linear": linear, "residual": residual, "space": space}

    def raw_logits(self, tensors: SparseBatch, observed: Tensor | None = None) -> Tensor:
        """Return the raw outputs, (n_rows, n_outputs)."""
        out = self.inference(tensors, observed)
        return out["linear"] + out["residual"]

    def loss(
        self,
        tensors: TrainingBatch,
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, Tensor] | None = None,
        *,
        alpha: float = 1.0,
        temperature: float = 2.0,
    ) -> LossOutput:
        r"""Return :math:`(1-\alpha) CE + \alpha T^2 KL(teacher_T \| student_T)`.

        Rows with label -1 (made by mixing cells) have no label and count in the second term only.
        """
        raw = inference_outputs["linear"] + inference_outputs["residual"]
        student, labels = class_scores(raw), tensors["labels"]
        teacher = class_scores(tensors["offset"]) / temperature
        soft = F.kl_div(
            torch.log_softmax(student / temperature, dim=1),
            torch.log_softmax(teacher, dim=1),
            log_target=True,
            reduction="batchmean",
        )
        hard = F.cross_entropy(student, labels, ignore_index=-1, reduction="sum")
        hard = hard / (labels >= 0).sum().clamp_min(1)
        loss = (1 - alpha) * hard + alpha * temperature**2 * soft
        return LossOutput(loss=loss, n_obs_minibatch=len(raw))
