"""Take the expression matrix out of an AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dtp_scvi._validate import near_matches, problem

if TYPE_CHECKING:
    from anndata import AnnData


def get_matrix(adata: AnnData, layer: str | None = None) -> Any:
    """
    Return ``adata.X`` or the named layer as it is stored; ``adata.raw`` is never looked at.

    Parameters
    ----------
    adata
        Any AnnData, in memory or backed.
    layer
        Key of ``adata.layers``; ``None`` takes ``adata.X``.

    Returns
    -------
    The matrix without a copy: numpy, scipy sparse, HDF5, zarr or dask, ``(n_obs, n_vars)``.

    Raises
    ------
    KeyError
        When there is no such layer.
    ValueError
        When ``adata.X`` is ``None``.

    Examples
    --------
    >>> import anndata as ad, numpy as np
    >>> from dtp_scvi.data import get_matrix
    >>> adata = ad.AnnData(np.ones((2, 3), np.float32), layers={"counts": np.zeros((2, 3))})
    >>> float(get_matrix(adata, "counts").sum())
    0.0
    """
    if layer is not None:
        if layer not in adata.layers:
            msg = problem(
                "`layer` to name a key of adata.layers",
                repr(layer),
                near_matches(layer, adata.layers) if len(adata.layers) else "There are no layers.",
            )
            raise KeyError(msg)
        return adata.layers[layer]
    if adata.X is None:
        msg = problem(
            "expression values in adata.X",
            "None",
            f'Pass layer="..."; available: {", ".join(adata.layers) or "none"}.',
        )
        raise ValueError(msg)
    return adata.X
