"""The network of a continuous response, of one or several targets, some of them missing."""

from __future__ import annotations

from typing import Any, Final, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from dtp_scvi.module._program import ProgramModule

Loss = Literal["huber", "rank"]
LOSSES: Final = ("huber", "rank")


class ResponseModule(ProgramModule):
    """One output a target, on the target's standardised scale; NaN marks what was not measured."""

    def __init__(
        self, n_genes: int, n_columns: int, n_targets: int, *, loss: Loss, **architecture: Any
    ) -> None:
        super().__init__(n_genes, n_columns, n_targets, keep_folds=False, **architecture)
        self._by_target = _huber if loss == "huber" else _pairwise

    def row_losses(self, raw: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return each row's loss summed over its measured targets, and their number."""
        seen = torch.isfinite(labels)
        losses = torch.where(seen, self._by_target(raw, labels, seen), 0.0)
        return losses.sum(dim=1), seen.sum(dim=1).to(raw.dtype)


def _huber(raw: Tensor, labels: Tensor, seen: Tensor) -> Tensor:
    return F.huber_loss(raw, torch.where(seen, labels, raw.detach()), reduction="none")


def _pairwise(raw: Tensor, labels: Tensor, seen: Tensor) -> Tensor:
    """Mean logistic loss of a row's order against every other row, by target.

    Burges et al., Learning to rank using gradient descent, ICML 2005.
    """
    known = torch.where(seen, labels, 0.0)
    order = torch.sign(known[:, None] - known[None]) * (seen[:, None] & seen[None])
    losses = F.softplus(-order * (raw[:, None] - raw[None])) * order.abs()
    return losses.sum(dim=1) / order.abs().sum(dim=1).clamp_min(1)
