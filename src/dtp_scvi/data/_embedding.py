"""Embeddings that other models made, in ``obsm``, and what is known of how they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from dtp_scvi._constants import EMBEDDINGS_KEY
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_key, problem, shorten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

# Bulk samples have no target resolution to choose, so theirs goes with that of any cell.
BULK: Final = "bulk"
_RESOLUTION: Final = "resolution"
_SCALARS: Final = (str, int, float, bool)
_TABLE: Final = 2  # dimensions


class Embedding(NamedTuple):
    """
    An embedding as a model takes it.

    Attributes
    ----------
    values
        float32, shape ``(n_obs, n_dims)``.
    names
        ``"<key>_0"``, ``"<key>_1"`` and so on.
    record
        What :func:`dtp_scvi.pp.record_embedding` or :func:`dtp_scvi.tl.embed` recorded:
        ``model``, ``n_dims``, ``options``, ``about``; empty where nothing was.
    """

    values: np.ndarray
    names: list[str]
    record: dict[str, Any]


def embedding_matrix(adata: AnnData, key: str, *, n_dims: int | None = None) -> Embedding:
    """
    Return an embedding of the rows, the names of its dimensions, and its record.

    Parameters
    ----------
    adata
        Any AnnData.
    key
        Key of ``adata.obsm``: an array, a sparse matrix or a table of numbers.
    n_dims
        The width that a trained model takes; any other is refused.

    Returns
    -------
    The values, not copied where they are float32 already; names; record.

    Raises
    ------
    KeyError
        When ``adata.obsm`` has no such key.
    ValueError
        For another width than ``n_dims`` or than was recorded, for values that are no numbers,
        NaN or infinite, and for an array that is not two-dimensional.

    Examples
    --------
    >>> import anndata as ad, numpy as np
    >>> from dtp_scvi.data import embedding_matrix
    >>> adata = ad.AnnData(np.ones((2, 3)), obsm={"X_sf": np.zeros((2, 2))})
    >>> embedding_matrix(adata, "X_sf").names
    ['X_sf_0', 'X_sf_1']
    """
    check_key(adata.obsm, key, "adata.obsm", "obsm_key")
    values = embedding_values(adata.obsm[key], adata.obs_names, key)
    record = embedding_record(adata, key)
    width = values.shape[1]
    known = record.get("n_dims", width)
    if width != known:
        msg = problem(
            f"the {known:,} dimensions that were recorded for adata.obsm[{key!r}]",
            f"{width:,}",
            "Run pp.record_embedding again for the array that is there now.",
        )
        raise ValueError(msg)
    if n_dims is not None and width != n_dims:
        msg = problem(
            f"an embedding of {n_dims:,} dimensions, as in training",
            f"{width:,} in adata.obsm[{key!r}]",
            "Extract it with the model and the pooling of the training data.",
        )
        raise ValueError(msg)
    return Embedding(values, [f"{key}_{i}" for i in range(width)], record)


def check_same_options(
    trained: Mapping[str, Any], query: Mapping[str, Any], *, key: str = "embedding"
) -> None:
    """
    Raise unless two embeddings were made by the same model with the same options.

    Parameters
    ----------
    trained, query
        Records of :func:`embedding_matrix`: the one a model was trained on and the one it is
        asked about. Without a record of the training embedding nothing can be compared.
    key
        What to call the embedding in messages.

    Raises
    ------
    ValueError
        When model or options differ (a ``resolution`` of bulk samples goes with any), or only the
        training embedding is recorded.

    Warns
    -----
    UserWarning
        For options that only one of the two has.

    Examples
    --------
    >>> from dtp_scvi.data import check_same_options
    >>> a5 = {"model": "scfoundation", "options": {"resolution": "a5"}}
    >>> check_same_options(a5, a5)
    """
    if not trained:
        return
    if not query:
        msg = problem(
            f"the extraction options of {key!r} to be recorded, as for the training data "
            f"({describe_record(trained)})",
            "no record",
            "Run dtp.pp.record_embedding(adata, key, model=..., options=...) on this object.",
        )
        raise ValueError(msg)
    ours = {"model": trained.get("model"), **trained.get("options", {})}
    theirs = {"model": query.get("model"), **query.get("options", {})}
    both = [name for name in ours if name in theirs]
    unlike = [name for name in both if plain(ours[name]) != plain(theirs[name])]
    if _RESOLUTION in unlike and BULK in (ours[_RESOLUTION], theirs[_RESOLUTION]):
        unlike.remove(_RESOLUTION)
    if unlike:
        msg = problem(
            f"{key!r} made as the training data were: "
            f"{', '.join(f'{name} {plain(ours[name])!r}' for name in unlike)}",
            ", ".join(f"{name} {plain(theirs[name])!r}" for name in unlike),
            "Embeddings of different options lie in different spaces: extract this one again.",
        )
        raise ValueError(msg)
    alone = [name for name in {**ours, **theirs} if name not in both]
    if alone:
        warn(
            f"Options of {key!r} that only one of training data and query has recorded, so that "
            f"they can't be compared: {shorten(alone)}."
        )


def embedding_record(adata: AnnData, key: str) -> dict[str, Any]:
    """
    Return what is recorded of how an embedding was made, as plain values.

    Parameters
    ----------
    adata
        Any AnnData.
    key
        Key of ``adata.obsm``.

    Returns
    -------
    ``model``, ``n_dims``, ``options``, ``about``; empty where nothing was recorded.

    Examples
    --------
    >>> import anndata as ad, numpy as np
    >>> from dtp_scvi.data import embedding_record
    >>> embedding_record(ad.AnnData(np.ones((2, 3))), "X_sf")
    {}
    """
    record = adata.uns.get(EMBEDDINGS_KEY, {}).get(key, {})
    return {
        name: {n: plain(v) for n, v in value.items()} if hasattr(value, "items") else plain(value)
        for name, value in record.items()
    }


def write_embedding_record(
    adata: AnnData,
    key: str,
    *,
    model: str,
    options: Mapping[str, Any],
    about: Mapping[str, Any],
) -> None:
    """Record model, options (which have to agree later) and other facts of an embedding."""
    wrong = [f"{n}={v!r}" for n, v in options.items() if not isinstance(plain(v), _SCALARS)]
    if wrong:
        msg = problem("options that are text, numbers or booleans", shorten(wrong), "Name them.")
        raise TypeError(msg)
    records = dict(adata.uns.get(EMBEDDINGS_KEY, {}))
    records[key] = {
        "model": str(model),
        "n_dims": int(adata.obsm[key].shape[1]),
        "options": {str(name): plain(value) for name, value in options.items()},
        "about": dict(about),
    }
    adata.uns[EMBEDDINGS_KEY] = records


def plain(value: Any) -> Any:
    """Return numpy's scalars, which come back from a file, as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def describe_record(record: Mapping[str, Any]) -> str:
    """Name model and options on one line."""
    options = (f"{name} {plain(value)!r}" for name, value in record.get("options", {}).items())
    return ", ".join([str(record.get("model")), *options])


def embedding_values(values: Any, names: pd.Index, key: str) -> np.ndarray:
    """Return a finite float32 array of two dimensions; ``names`` are those of its rows."""
    if sp.issparse(values):
        values = values.toarray()
    elif isinstance(values, pd.DataFrame):
        values = values.to_numpy()
    try:
        array = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        msg = problem(f"numbers in adata.obsm[{key!r}]", str(error), "Keep the numeric columns.")
        raise ValueError(msg) from error
    if array.ndim != _TABLE or array.shape[1] == 0:
        msg = problem(
            f"rows and dimensions in adata.obsm[{key!r}]",
            f"shape {array.shape}",
            "Store one row a cell and at least one column.",
        )
        raise ValueError(msg)
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        msg = problem(
            f"finite values in adata.obsm[{key!r}]",
            f"NaN or infinite ones in {int(bad.sum()):,} rows: {shorten(names[bad])}",
            "Leave these rows out, or extract their embedding again.",
        )
        raise ValueError(msg)
    return array
