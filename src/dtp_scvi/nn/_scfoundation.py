"""The encoder of scFoundation: values in soft bins, a Transformer over expressed genes, four pools."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Pool = Literal["all", "max"]
# Total count of the cell (S) and the one that is aimed at (T), behind the genes.
N_DEPTH_TOKENS = 2
_SLOPE = 0.1


class SoftBins(nn.Module):
    """Embed a value as a mixture of learned bins; its weights are a function of the value.

    Names of parameters are those of published checkpoints.
    """

    def __init__(self, n_bins: int, dim: int, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha
        self.mlp = nn.Linear(1, n_bins)
        self.mlp2 = nn.Linear(n_bins, n_bins)
        self.emb = nn.Embedding(n_bins, dim)

    def forward(self, values: Tensor) -> Tensor:
        """Map values (n_cells, n_tokens) to (n_cells, n_tokens, dim)."""
        hidden = F.leaky_relu(self.mlp(values.unsqueeze(-1)), _SLOPE)
        weight = torch.softmax(self.alpha * hidden + self.mlp2(hidden), dim=-1)
        return weight @ self.emb.weight


class PostNormStack(nn.Module):
    """Post-norm Transformer layers with ReLU, and a norm behind the last."""

    def __init__(self, dim: int, n_layers: int, n_heads: int) -> None:
        super().__init__()
        self.transformer_encoder = nn.ModuleList(
            nn.TransformerEncoderLayer(dim, n_heads, 4 * dim, batch_first=True)
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Map (n_cells, n_tokens, dim) to the same shape; ``padding`` is true where to look away."""
        for layer in self.transformer_encoder:
            x = layer(x, src_key_padding_mask=padding)
        return self.norm(x)


class ScFoundationEncoder(nn.Module):
    """Cell embedding of scFoundation (Hao et al., Nature Methods 2024); its decoder is not needed.

    Only genes above zero are tokens, so a sequence is as long as a cell has genes. Position
    ``n_genes`` stands for T and ``n_genes + 1`` for S.
    """

    def __init__(
        self, n_genes: int, dim: int, n_layers: int, n_heads: int, n_bins: int, alpha: float
    ) -> None:
        super().__init__()
        self.n_genes = n_genes
        self.dim = dim
        self.token_emb = SoftBins(n_bins, dim, alpha)
        # One more than there are tokens: checkpoints keep a row for padding.
        self.pos_emb = nn.Embedding(n_genes + N_DEPTH_TOKENS + 1, dim)
        self.encoder = PostNormStack(dim, n_layers, n_heads)

    def forward(self, values: Tensor, positions: Tensor, padding: Tensor, pool: Pool) -> Tensor:
        """
        Embed cells whose first two tokens are S and T and whose others are genes, padded behind.

        ``values``, ``positions`` and ``padding`` have the shape (n_cells, n_tokens). Returns
        (n_cells, 4 · dim) for the pool ``"all"``: S, T, maximum and mean over genes; (n_cells, dim)
        for ``"max"``, the maximum over all tokens.
        """
        x = self.encoder(self.token_emb(values) + self.pos_emb(positions), padding)
        hidden = padding.unsqueeze(-1)
        if pool == "max":
            return cast("Tensor", x.masked_fill(hidden, -torch.inf).amax(dim=1))
        genes, hidden = x[:, N_DEPTH_TOKENS:], hidden[:, N_DEPTH_TOKENS:]
        largest = genes.masked_fill(hidden, -torch.inf).amax(dim=1)
        mean = genes.masked_fill(hidden, 0.0).sum(dim=1) / (~hidden).sum(dim=1)
        return torch.cat([x[:, 0], x[:, 1], largest, mean], dim=1)
