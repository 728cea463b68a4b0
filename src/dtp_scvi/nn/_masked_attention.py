"""Multi-head attention that never looks at padding, by the fused kernel or spelled out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaskedAttention(nn.Module):
    """Attention of query tokens over context tokens, some of which are padding.

    Parameters
    ----------
    d_model
        Width of a token; a multiple of ``n_heads``.
    n_heads
        Number of heads.
    project
        Apply a linear layer to what the heads return.
    dropout
        Dropout on the attention weights while training.
    """

    def __init__(
        self, d_model: int, n_heads: int, *, project: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.n_heads, self.dropout = n_heads, dropout
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model) if project else nn.Identity()

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    def _merge(self, mixed: Tensor, mask: Tensor | None) -> Tensor:
        out = self.out(mixed.transpose(1, 2).flatten(2))
        return out if mask is None else out * mask.any(dim=1)[:, None, None]

    def forward(
        self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Return what the queries gather, (n_rows, n_queries, d_model).

        Parameters
        ----------
        x
            Query tokens, (n_rows, n_queries, d_model).
        context
            Tokens that are looked at, (n_rows, n_keys, d_model); ``x`` without it.
        mask
            True for context tokens that are real, bool, (n_rows, n_keys). A row without any
            gathers zeros.
        """
        context = x if context is None else context
        mixed = F.scaled_dot_product_attention(
            self._heads(self.query(x)),
            self._heads(self.key(context)),
            self._heads(self.value(context)),
            attn_mask=None if mask is None else _open(mask),
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self._merge(mixed, mask)

    def explicit(
        self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return what :meth:`forward` does without dropout, and the weights it was mixed with.

        Weights are (n_rows, n_heads, n_queries, n_keys); they sum to 1 over the keys, are 0 on
        padding, and 0 throughout in rows that have nothing to look at.

        Parameters
        ----------
        x, context, mask
            As in :meth:`forward`.
        """
        context = x if context is None else context
        query, key = self._heads(self.query(x)), self._heads(self.key(context))
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~_open(mask), float("-inf"))
        weight = torch.softmax(scores, dim=-1)
        if mask is not None:
            weight = weight * mask[:, None, None]
        return self._merge(weight @ self._heads(self.value(context)), mask), weight


def _open(mask: Tensor) -> Tensor:
    """Return (n_rows, 1, 1, n_keys), all true where a row has no real key: softmax needs one."""
    return (mask | ~mask.any(dim=1, keepdim=True))[:, None, None]
