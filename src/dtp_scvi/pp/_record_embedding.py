"""Record how an embedding was made, and key a foreign one by the names of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._validate import check_key, problem, shorten
from dtp_scvi.data import check_object
from dtp_scvi.data._embedding import embedding_values, write_embedding_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from anndata import AnnData


def record_embedding(
    adata: AnnData,
    key: str,
    *,
    model: str,
    options: Mapping[str, str | float | bool] | None = None,
    values: pd.DataFrame | None = None,
) -> None:
    """
    Record by which model, and with which options, an embedding in ``obsm`` was made.

    A model trained on the embedding refuses one that was made otherwise: two options of the same
    foundation model put the same cell in different places, and no width or name tells them apart.

    Parameters
    ----------
    adata
        Cells or samples in rows.
    key
        Key of ``adata.obsm``.
    model
        Name of the model, e.g. ``"scfoundation"``.
    options
        What must be the same in a query: checkpoint, ``resolution`` (scFoundation's target: ``"a5"``,
        ``"t4"``, ``"f1"``), ``pool``. Text, numbers or booleans.
    values
        The embedding, where it comes from a file: a table with the names of the rows as index.
        It is put into the order of ``adata.obs_names`` and stored under ``key``. An array without
        names is refused: the order of rows is all that would link it to the cells.

    Returns
    -------
    Nothing. ``adata.uns["dtp_embeddings"][key]``: ``model``, ``n_dims``, ``options``, ``about``;
    with ``values``, ``adata.obsm[key]`` (float32) as well.

    Raises
    ------
    KeyError
        When ``adata.obsm`` has no such key.
    TypeError
        When ``values`` is no table, or an option no plain value.
    ValueError
        When a row has no embedding or several, or a value is not finite.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> adata = ad.AnnData(np.ones((2, 3)), obs=pd.DataFrame(index=["a", "b"]))
    >>> made = pd.DataFrame([[2.0], [1.0]], index=["b", "a"])
    >>> dtp.pp.record_embedding(
    ...     adata, "X_sf", model="scfoundation", options={"resolution": "a5"}, values=made
    ... )
    >>> adata.obsm["X_sf"].ravel().tolist()
    [1.0, 2.0]
    """
    check_object(adata)
    if values is None:
        check_key(adata.obsm, key, "adata.obsm", "key")
        embedding_values(adata.obsm[key], adata.obs_names, key)
    else:
        adata.obsm[key] = _in_order(values, adata.obs_names, key)
    write_embedding_record(
        adata, key, model=model, options=options or {}, about={"version": __version__}
    )


def _in_order(values: pd.DataFrame, names: pd.Index, key: str) -> np.ndarray:
    """Put the rows of a table into the order of the object, by name."""
    if not isinstance(values, pd.DataFrame):
        msg = problem(
            "`values` as a table whose index names the rows",
            type(values).__name__,
            "Pass pd.DataFrame(values, index=names), with the names in the order in which the "
            "rows were embedded.",
        )
        raise TypeError(msg)
    index = values.index.astype(str)
    missing, repeated = names.difference(index), index[index.duplicated()]
    if len(missing) or len(repeated) or not names.is_unique:
        msg = problem(
            f"one row of `values` for each of the {len(names):,} rows of adata",
            f"{len(missing):,} rows without one ({shorten(missing)}), "
            f"{len(repeated):,} names repeated ({shorten(repeated)})",
            "Name the rows of both as they were named when they were embedded.",
        )
        raise ValueError(msg)
    return embedding_values(values.set_axis(index).loc[names], names, key)
