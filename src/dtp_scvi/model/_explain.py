"""What a Transformer attends to and where genes move its tokens, as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from dtp_scvi.module import sparse_batch

if TYPE_CHECKING:
    from dtp_scvi.model._query import Query
    from dtp_scvi.module import ProgramModule


@torch.inference_mode()
def program_attention(module: ProgramModule, query: Query, member: int) -> np.ndarray:
    """Return CLS attention to each program, averaged over blocks and heads: (n_cells, n_programs)."""
    net, parts = module.members[member], []
    for block in query.blocks():
        batch = sparse_batch(block.matrix, block.total, query.kind)
        coordinates = module.coordinates(batch, member, query.observed)
        weights = net.encoder.attention(net.tokens.embed(coordinates))
        parts.append(weights.mean(dim=(1, 2)).numpy())
    return np.concatenate(parts)


@torch.no_grad()
def gene_embedding(module: ProgramModule, member: int) -> np.ndarray:
    """Return where a unit of each gene moves its program's token: (n_genes, d_model)."""
    tokens = module.members[member].tokens
    lift = torch.cat([tokens.lift, torch.zeros_like(tokens.lift[:1])])
    moved = torch.einsum("gr,grd->gd", tokens.weight, lift[tokens.programs])
    out = torch.zeros(len(module.importance), moved.shape[1])
    return out.index_add_(0, module.order, moved).numpy()
