"""Networks on a closed gene panel: attention over genes (AMU), and the small CNN beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import torch
from scvi.module.base import BaseModuleClass, LossOutput
from torch import Tensor, nn
from torch.nn import functional as F

from dtp_scvi._constants import TARGET_SUM
from dtp_scvi.module._logits import class_scores
from dtp_scvi.nn import linear_values, log_normalize

if TYPE_CHECKING:
    from dtp_scvi.module._batch import SparseBatch, TrainingBatch

Network = Literal["attention", "cnn"]
NETWORKS: Final = ("attention", "cnn")
_CNN_CHANNELS, _CNN_KERNEL = 10, 2
_LEAST_SD = 1e-6


class GeneAttention(nn.Module):
    """Tokens of gene embedding times value, Transformer blocks, and one weight a gene.

    Yin et al., AMU, as specified by its released code; ``value_bias`` adds to each token an
    embedding that does not vanish where the value is zero.
    """

    def __init__(
        self,
        n_genes: int,
        n_outputs: int,
        *,
        d_model: int,
        n_heads: int,
        n_blocks: int,
        d_hidden: int,
        n_channels: int,
        dropout: float,
        attention_dropout: float,
        head_dropout: float,
        norm_first: bool,
        value_bias: bool,
    ) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(n_genes, d_model))
        self.identity = nn.Parameter(torch.empty(n_genes, d_model)) if value_bias else None
        self.blocks = nn.ModuleList()
        for _ in range(n_blocks):
            block = nn.TransformerEncoderLayer(
                d_model,
                n_heads,
                d_hidden,
                dropout,
                activation="relu",
                batch_first=True,
                norm_first=norm_first,
            )
            block.self_attn.dropout = attention_dropout
            self.blocks.append(block)
        self.channels = nn.Conv1d(d_model, n_channels, 1, bias=False)
        # Dropout stands before the normalisation, as published.
        self.between = nn.Sequential(
            nn.Dropout(head_dropout), nn.BatchNorm1d(n_channels), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Dropout(head_dropout), nn.Linear(n_genes, n_outputs))
        self._start()

    def _start(self) -> None:
        nn.init.xavier_uniform_(self.embedding)
        if self.identity is not None:
            nn.init.xavier_uniform_(self.identity)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.Conv1d):
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, values: Tensor) -> Tensor:
        """Map standardised values (n_rows, n_genes) to raw outputs (n_rows, n_outputs)."""
        tokens = values[:, :, None] * self.embedding
        if self.identity is not None:
            tokens = tokens + self.identity
        for block in self.blocks:
            tokens = block(tokens)
        channels = self.between(self.channels(tokens.transpose(1, 2)))
        # The maximum over channels, gene by gene.
        return self.head(channels.amax(dim=1))


class PanelCNN(nn.Module):
    """The convolutional network that AMU was published beside."""

    def __init__(self, n_genes: int, n_outputs: int) -> None:
        super().__init__()
        wide, narrow, kernel = _CNN_CHANNELS, _CNN_CHANNELS // 2, _CNN_KERNEL
        first = nn.BatchNorm1d(wide)
        # One normalisation stands in two places, as published.
        self.body = nn.Sequential(
            nn.Conv1d(1, wide, 1),
            nn.ReLU(),
            first,
            nn.Conv1d(wide, wide, kernel, kernel),
            first,
            nn.ReLU(),
            nn.Conv1d(wide, narrow, kernel, kernel),
            nn.BatchNorm1d(narrow),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.head = nn.Linear(narrow * (n_genes // kernel // kernel), n_outputs)

    def forward(self, values: Tensor) -> Tensor:
        """Map standardised values (n_rows, n_genes) to raw outputs (n_rows, n_outputs)."""
        return self.head(self.body(values[:, None]))


class AMUModule(BaseModuleClass):
    """Closes the panel to a whole, takes log1p per million, standardises, and classifies.

    A gene that is missing stands at its training mean, and the panel's sum is raised by the mean
    share of what is missing. Totals over other genes play no part.
    """

    mean: Tensor
    sd: Tensor
    share: Tensor
    importance: Tensor
    class_weight: Tensor
    space_weight: Tensor

    def __init__(
        self,
        n_genes: int,
        n_classes: int,
        *,
        network: Network = "attention",
        scale_factor: float = 1e6,
        n_space: int = 0,
        **architecture: Any,
    ) -> None:
        super().__init__()
        self.scale_factor = scale_factor
        self.net: GeneAttention | PanelCNN = (
            GeneAttention(n_genes, n_classes, **architecture)
            if network == "attention"
            else PanelCNN(n_genes, n_classes)
        )
        self.register_buffer("mean", torch.zeros(n_genes))
        self.register_buffer("sd", torch.ones(n_genes))
        self.register_buffer("share", torch.full((n_genes,), 1 / n_genes, dtype=torch.float64))
        self.register_buffer("importance", torch.zeros(n_genes))
        self.register_buffer("class_weight", torch.ones(n_classes))
        self.register_buffer("space_weight", torch.zeros(n_genes, n_space))

    @property
    def n_space(self) -> int:
        """Number of coordinates that queries are compared in."""
        return self.space_weight.shape[1]

    def closed(self, tensors: SparseBatch, observed: Tensor | None = None) -> Tensor:
        """Return log1p of the panel closed to ``scale_factor``, (n_rows, n_genes)."""
        lengths = tensors["offsets"].diff().long()
        n_rows, n_genes = len(lengths), len(self.mean)
        row = torch.repeat_interleave(torch.arange(n_rows, device=lengths.device), lengths)
        linear = linear_values(tensors["values"], tensors["kind"])
        total = linear.new_zeros(n_rows, dtype=torch.float64).index_add_(0, row, linear.double())
        if observed is not None:
            total = total / (self.share @ observed.double())
        values = log_normalize(linear, lengths, total * (TARGET_SUM / self.scale_factor), "linear")
        dense = values.new_zeros(n_rows, n_genes)
        return dense.index_put((row, tensors["columns"].long()), values, accumulate=True)

    @property
    def per_sd(self) -> Tensor:
        """What a unit of each gene is in standard deviations; 0 for genes without spread."""
        return torch.where(self.sd > _LEAST_SD, 1 / self.sd.clamp_min(_LEAST_SD), 0.0)

    def standardised(self, tensors: SparseBatch, observed: Tensor | None = None) -> Tensor:
        """Return the inputs of the network, (n_rows, n_genes)."""
        z = (self.closed(tensors, observed) - self.mean) * self.per_sd
        return z if observed is None else z * observed

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
        """Return the raw outputs, all of them as residual, and the space."""
        z = self.standardised(tensors, observed)
        raw = self.net(z)
        return {"linear": torch.zeros_like(raw), "residual": raw, "space": z @ self.space_weight}

    def raw_logits(self, tensors: SparseBatch, observed: Tensor | None = None) -> Tensor:
        """Return the raw outputs, (n_rows, n_classes)."""
        return self.net(self.standardised(tensors, observed))

    def loss(
        self,
        tensors: TrainingBatch,
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, Tensor] | None = None,
    ) -> LossOutput:
        """Return the weighted cross-entropy of the raw outputs against the labels."""
        raw = inference_outputs["residual"]
        loss = F.cross_entropy(class_scores(raw), tensors["labels"], weight=self.class_weight)
        return LossOutput(loss=loss, n_obs_minibatch=len(raw))
