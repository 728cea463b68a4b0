"""Report the scale of an expression matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dtp_scvi import data

if TYPE_CHECKING:
    from anndata import AnnData


def check_scale(
    adata: AnnData, *, layer: str | None = None, seed: int | None = 0
) -> data.ScaleReport:
    """
    Tell whether a matrix holds counts, normalised values, logarithms or z-scores, and why.

    Parameters
    ----------
    adata
        Any AnnData, in memory or backed; nothing is changed.
    layer
        Key of ``adata.layers``; ``None`` looks at ``adata.X``. ``adata.raw`` is never looked at.
    seed
        Seed of the choice of rows that are looked at.

    Returns
    -------
    The verdict: ``scale``, ``confident``, ``evidence`` and ``sentence()``.

    Raises
    ------
    KeyError
        When there is no such layer.
    ValueError
        When the matrix is empty.

    Examples
    --------
    >>> import anndata as ad, numpy as np
    >>> import dtp_scvi as dtp
    >>> counts = np.random.default_rng(0).poisson(1.0, size=(50, 200)).astype("float32")
    >>> dtp.pp.check_scale(ad.AnnData(counts)).sentence()
    'Values look like counts (all values are whole numbers, up to 6).'
    """
    return data.detect_scale(data.get_matrix(adata, layer), seed=seed)
