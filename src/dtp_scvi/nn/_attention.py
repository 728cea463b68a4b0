"""Pre-norm Transformer blocks on ``scaled_dot_product_attention``."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Up to here plain products are faster on a CPU than the fused kernel, which tiles long sequences.
_SHORT = 64


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return softmax(query · keyᵀ / √d) · value; all are (n_cells, n_heads, n_tokens, d)."""
    if query.device.type != "cpu" or key.shape[2] > _SHORT:
        return F.scaled_dot_product_attention(query, key, value)
    weight = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    return torch.softmax(weight, dim=-1) @ value


class TransformerBlock(nn.Module):
    """One pre-norm block; with ``query_first`` only the first token is updated.

    The last block of a classifier feeds nothing but its CLS token, so the other tokens need keys
    and values only: that drops most of its cost and changes no result. Dropout acts on the hidden
    layer alone; on the attention weights it costs a third of a training step and gained nothing.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_hidden: int,
        dropout: float = 0.0,
        *,
        query_first: bool = False,
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query_first = query_first
        self.norm_attention = nn.LayerNorm(d_model)
        self.query = nn.Linear(d_model, d_model)
        self.key_value = nn.Linear(d_model, 2 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.norm_hidden = nn.LayerNorm(d_model)
        self.hidden = nn.Sequential(
            nn.Linear(d_model, d_hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(d_hidden, d_model),
        )

    def _heads(self, x: Tensor, n: int) -> Tensor:
        """Split (n_cells, n_tokens, n · d_model) to n x (n_cells, n_heads, n_tokens, d_head)."""
        return x.unflatten(-1, (n, self.n_heads, -1)).permute(2, 0, 3, 1, 4)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.norm_attention(x)
        key, value = self._heads(self.key_value(h), 2).contiguous()
        (query,) = self._heads(self.query(h[:, :1] if self.query_first else h), 1)
        return query, key, value

    def forward(self, x: Tensor) -> Tensor:
        """Map (n_cells, n_tokens, d_model) to the same shape, or to its first token."""
        query, key, value = self._project(x)
        mixed = attend(query, key, value)
        x = x[:, :1] if self.query_first else x
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.hidden(self.norm_hidden(x))

    def attention(self, x: Tensor) -> Tensor:
        """Return the attention of the first token: (n_cells, n_heads, n_tokens), rows sum to 1."""
        query, key, _ = self._project(x)
        weight = query[:, :, :1] @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        return torch.softmax(weight, dim=-1)[:, :, 0]


class ClsEncoder(nn.Module):
    """A stack of blocks read out at a learned CLS token."""

    def __init__(
        self, d_model: int, n_heads: int, n_blocks: int, d_hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.cls = nn.Parameter(0.02 * torch.randn(1, 1, d_model))
        self.blocks = nn.ModuleList(
            TransformerBlock(
                d_model, n_heads, d_hidden, dropout, query_first=index == n_blocks - 1
            )
            for index in range(n_blocks)
        )
        self.norm = nn.LayerNorm(d_model)

    def _with_cls(self, tokens: Tensor) -> Tensor:
        return torch.cat([self.cls.expand(len(tokens), -1, -1), tokens], dim=1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (n_cells, n_tokens, d_model) to (n_cells, d_model)."""
        x = self._with_cls(tokens)
        for block in self.blocks:
            x = block(x)
        return self.norm(x[:, 0])

    def attention(self, tokens: Tensor) -> Tensor:
        """Return CLS attention over the tokens by block: (n_cells, n_blocks, n_heads, n_tokens).

        The share that CLS gives to itself is left out, so rows sum to at most 1.
        """
        x, weights = self._with_cls(tokens), []
        for block in self.blocks:
            weights.append(cast("TransformerBlock", block).attention(x)[..., 1:])
            x = block(x)
        return torch.stack(weights, dim=1)
