"""The teacher's network: it puts rows into classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dtp_scvi.module._logits import class_scores
from dtp_scvi.module._program import ProgramModule


class TransformerModule(ProgramModule):
    """Raw log-odds of classes, one output where there are two."""

    class_weight: Tensor

    def __init__(self, n_genes: int, n_columns: int, n_classes: int, **architecture: Any) -> None:
        super().__init__(n_genes, n_columns, 1 if n_classes == 2 else n_classes, **architecture)
        self.register_buffer("class_weight", torch.ones(n_classes))

    def row_losses(self, raw: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted cross-entropy of each row and its weight, (n_rows,) both."""
        weights = self.class_weight[labels]
        return weights * F.cross_entropy(class_scores(raw), labels, reduction="none"), weights
