"""Refuse what is not an AnnData that can be written into."""

from __future__ import annotations

from anndata import AnnData

from dtp_scvi._validate import problem


def check_object(adata: AnnData, *, view: bool = False) -> None:
    """
    Raise unless this is an AnnData with rows and genes, and no view.

    Parameters
    ----------
    adata
        What a user passed.
    view
        Accept a view: nothing will be written.

    Raises
    ------
    TypeError
        Not an AnnData.
    ValueError
        No rows, no genes, or a view where that is no use.

    Examples
    --------
    >>> import anndata as ad, numpy as np
    >>> from dtp_scvi.data import check_object
    >>> check_object(ad.AnnData(np.ones((2, 3))))
    """
    if not isinstance(adata, AnnData):
        msg = problem("an AnnData", type(adata).__name__, "Pass one modality of a MuData.")
        raise TypeError(msg)
    if adata.n_obs == 0 or adata.n_vars == 0:
        msg = problem(
            "at least one row and one gene",
            f"{adata.n_obs:,} rows and {adata.n_vars:,} genes",
            "Check the filter that made this object.",
        )
        raise ValueError(msg)
    if adata.is_view and not view:
        msg = problem("an AnnData of its own", "a view", "Run adata = adata.copy() first.")
        raise ValueError(msg)
