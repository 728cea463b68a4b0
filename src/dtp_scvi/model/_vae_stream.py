"""Passing the rows of a query through an autoencoder, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from dtp_scvi._threads import torch_share
from dtp_scvi._validate import check_positive_int
from dtp_scvi.data import N_READERS
from dtp_scvi.model._query import InputOptions, Query, to_device
from dtp_scvi.module import dense_inputs, sparse_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from torch import Tensor

    from dtp_scvi.data import Block
    from dtp_scvi.module import ResVAEModule


class VAEInputOptions(InputOptions, total=False):
    """How the input of an autoencoder is found and read."""

    obsm_key: str | None


def stream_vae(
    module: ResVAEModule,
    query: Query,
    what: Callable[[ResVAEModule, Tensor, Tensor], tuple[Tensor, ...]],
    *,
    indices: np.ndarray | None = None,
    batch_size: int | None = None,
) -> Iterator[tuple[slice, tuple[np.ndarray, ...]]]:
    """Yield what a function makes of filled inputs, with the rows it was made from.

    ``what`` is given the network, inputs (n_rows, n_inputs) and the mask of those that were
    observed (n_inputs,). Rows come in order and in constant memory.
    """
    if batch_size is not None:
        check_positive_int(batch_size, "batch_size")
    module.eval()
    device = module.device
    observed = query.observed
    mask = torch.ones(module.n_inputs) if observed is None else observed
    mask = mask.to(device)

    def compute(block: Block) -> list[tuple[slice, tuple[np.ndarray, ...]]]:
        # Inference mode belongs to a thread, and blocks are passed on where they are read.
        with torch.inference_mode():
            n_rows, out = block.matrix.shape[0], []
            step = batch_size or n_rows
            for start in range(0, n_rows, step):
                part = slice(start, min(start + step, n_rows))
                rows = block.matrix if step >= n_rows else block.matrix[part]
                batch = to_device(sparse_batch(rows, block.total[part], query.kind), device)
                x = module.fill(dense_inputs(batch, module.n_inputs), mask)
                found = tuple(value.cpu().numpy() for value in what(module, x, mask))
                first = block.rows.start + start
                out.append((slice(first, first + x.shape[0]), found))
        return out

    for parts in query.blocks(indices=indices, then=compute, start=torch_share(N_READERS)):
        yield from parts
