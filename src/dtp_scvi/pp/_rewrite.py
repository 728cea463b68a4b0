"""Read a matrix that will be replaced, and put the new one in its place with a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from dtp_scvi._validate import problem
from dtp_scvi.data import check_object, get_matrix

if TYPE_CHECKING:
    from anndata import AnnData


def writable(adata: AnnData, *, copy: bool) -> AnnData:
    """Return ``adata`` or a copy of it; a view or a backed file can't be written into."""
    check_object(adata, view=copy)
    if adata.isbacked:
        msg = problem("values in memory", "a backed file", "Run adata = adata.to_memory() first.")
        raise ValueError(msg)
    return adata.copy() if copy else adata


def read_dense_or_sparse(adata: AnnData, layer: str | None) -> Any:
    """Return the matrix as float64, dense or CSR; a new array, never the stored one."""
    matrix = get_matrix(adata, layer)
    if sp.issparse(matrix):
        return sp.csr_matrix(matrix, dtype=np.float64, copy=True)
    return np.array(matrix, np.float64)


def read_dense(adata: AnnData, layer: str | None) -> np.ndarray:
    """Return the matrix as a dense float64 array of its own."""
    matrix = read_dense_or_sparse(adata, layer)
    return matrix.toarray() if sp.issparse(matrix) else matrix


def finish(
    adata: AnnData,
    values: Any,
    layer_added: str | None,
    key: str,
    record: dict[str, Any],
    *,
    copy: bool,
) -> AnnData | None:
    """Write values and record; return the object where a copy was asked for."""
    if layer_added is None:
        adata.X = values
    else:
        adata.layers[layer_added] = values
    record["params"]["layer_added"] = "X" if layer_added is None else layer_added
    adata.uns[key] = record
    return adata if copy else None
