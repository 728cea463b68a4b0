"""Rows as a dense array, from any storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi.data._blocks import iter_blocks
from dtp_scvi.data._get_matrix import get_matrix

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


def rows_as_array(adata: AnnData, layer: str | None, rows: NDArray[Any]) -> NDArray[np.float32]:
    """
    Read rows of an AnnData as a dense array, in the order that is asked for.

    Parameters
    ----------
    adata
        Annotated data, in memory or backed.
    layer
        Layer; ``None`` for ``adata.X``.
    rows
        Positions.

    Returns
    -------
    float32, rows x genes.

    Examples
    --------
    >>> import anndata as ad, numpy as np
    >>> from dtp_scvi.data import rows_as_array
    >>> rows_as_array(ad.AnnData(np.eye(3, dtype="f4")), None, np.array([2, 0])).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    matrix = get_matrix(adata, layer)
    parts = [block.matrix.toarray() for block in iter_blocks(matrix, indices=rows)]
    found = np.concatenate(parts) if parts else np.empty((0, adata.n_vars), np.float32)
    return found.astype(np.float32, copy=False)
