"""Sparse rows as the dense input of a network that takes all of its columns at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import scipy.sparse as sp
import torch
from torch import Tensor

from dtp_scvi.nn import log_normalize

if TYPE_CHECKING:
    from dtp_scvi.module._batch import SparseBatch


def dense_inputs(tensors: SparseBatch, n_columns: int) -> Tensor:
    """Return log1p(1e4 · x / total) of a batch, or its values as they are, dense.

    Parameters
    ----------
    tensors
        Rows with one bag each, every column at most once in a row. The total is taken over all
        genes of the input, not over the columns that are left.
    n_columns
        Number of columns.

    Returns
    -------
    float32, shape (n_rows, n_columns); 0 where nothing is stored.
    """
    offsets, columns = tensors["offsets"], tensors["columns"]
    lengths = offsets.diff().long()
    values = log_normalize(tensors["values"], lengths, tensors["total"], tensors["kind"])
    shape = (len(lengths), n_columns)
    if values.device.type == "cpu" and not values.requires_grad:
        rows = sp.csr_matrix((values.numpy(), columns.numpy(), offsets.numpy()), shape=shape)
        return torch.from_numpy(rows.toarray())
    row = torch.repeat_interleave(torch.arange(shape[0], device=values.device), lengths)
    return values.new_zeros(shape).index_put((row, columns.long()), values)
