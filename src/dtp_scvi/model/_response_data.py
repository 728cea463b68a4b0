"""Read the rows that a response model is trained on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from dtp_scvi._constants import FEWEST_ROWS, SIMULATION_KEY
from dtp_scvi._labels import text_column
from dtp_scvi._validate import check_key, matrix_name, near_matches, problem, shorten
from dtp_scvi.data import gene_names, get_matrix, iter_blocks, linearise_block, resolve_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray


class TrainingRows(NamedTuple):
    """Rows with a response."""

    which: NDArray[np.intp]
    """Positions in the AnnData."""
    values: NDArray[np.float64]
    """Linear expression, (n_rows, n_genes)."""
    y: NDArray[np.float64]
    """Responses, NaN where missing, (n_rows, n_targets)."""
    donors: NDArray[np.int64] | None
    genes: NDArray[np.str_]
    targets: tuple[str, ...]
    summary: dict[str, Any]


def read_training(
    adata: AnnData,
    target_key: str | Sequence[str],
    *,
    targets: Sequence[str] | None = None,
    layer: str | None,
    gene_key: str | None,
    donor_key: str | None,
    scale: str,
) -> TrainingRows:
    """Check and read the rows that have a response.

    Parameters
    ----------
    adata
        Annotated samples.
    target_key
        Column of ``adata.obs``, or several, or the key of a table in ``adata.obsm``.
    targets
        Columns of that table; all by default.
    layer, gene_key, donor_key, scale
        As in ``fit``.
    """
    table, where = _responses(adata, target_key, targets)
    y = np.column_stack([_numbers(table[name], where) for name in table])
    _check_enough(y, list(table), where)
    rows = np.flatnonzero(~np.isnan(y).all(axis=1))
    y = y[rows]
    genes = np.asarray(gene_names(adata, gene_key), dtype=str)
    repeated = pd.Index(genes)[pd.Index(genes).duplicated()].unique()
    if len(repeated):
        msg = problem(
            "each gene once", f"{len(repeated):,} that repeat ({shorten(repeated)})", "Sum them."
        )
        raise ValueError(msg)
    name = matrix_name(layer)
    matrix = get_matrix(adata, layer)
    found = resolve_scale(matrix, scale, name=name)
    blocks = list(iter_blocks(matrix, scale=found, indices=rows, check=name))
    values = np.vstack([block.matrix.toarray() for block in blocks]).astype(np.float64)
    values = linearise_block(values, found)
    empty = values.sum(axis=1) == 0
    if empty.any():
        msg = problem("expression in every row", f"{empty.sum():,} rows of zeros", "Drop them.")
        raise ValueError(msg)
    donors = None if donor_key is None else text_column(adata.obs, donor_key, "donor_key")[rows]
    codes = None if donors is None else np.unique(donors, return_inverse=True)[1]
    keys = target_key if isinstance(target_key, str) else ", ".join(target_key)
    summary = {
        "n_rows": len(rows),
        "n_without_response": adata.n_obs - len(rows),
        "n_donors": None if donors is None else len(set(donors)),
        "scale": str(found),
        "layer": layer or "X",
        "target_key": keys,
        **_quantiles(y, list(table)),
        "simulated": SIMULATION_KEY in adata.uns,
        "sha256_expression": hashlib.sha256(values.astype("<f4").tobytes()).hexdigest(),
        "sha256_response": hashlib.sha256(y.astype("<f8").tobytes()).hexdigest(),
    }
    return TrainingRows(rows, values, y, codes, genes, tuple(map(str, table)), summary)


def _quantiles(y: NDArray[np.float64], names: list[str]) -> dict[str, Any]:
    levels = [0.1, 0.25, 0.5, 0.75, 0.9]
    found = np.nanquantile(y, levels, axis=0).T
    if len(names) == 1:
        return {"target_quantiles": found[0]}
    return {
        "n_measured": dict(zip(names, np.isfinite(y).sum(axis=0).tolist(), strict=True)),
        "target_quantiles": dict(zip(names, found.tolist(), strict=True)),
    }


def _responses(
    adata: AnnData, target_key: str | Sequence[str], targets: Sequence[str] | None
) -> tuple[pd.DataFrame, str]:
    """Return the table of responses and what to call it in messages."""
    if isinstance(target_key, str) and target_key in adata.obsm and target_key not in adata.obs:
        where, table = f"adata.obsm[{target_key!r}]", adata.obsm[target_key]
        if not isinstance(table, pd.DataFrame):
            msg = problem(f"a DataFrame in {where}", type(table).__name__, "Give it column names.")
            raise ValueError(msg)
        table = table if targets is None else table[_known(targets, table, where)]
        return table, where
    if targets is not None:
        msg = problem(
            "`targets` with a `target_key` of adata.obsm",
            f"target_key={target_key!r}",
            f"Leave `targets` out, or name one of adata.obsm: {shorten(list(adata.obsm))}.",
        )
        raise ValueError(msg)
    keys = [target_key] if isinstance(target_key, str) else list(target_key)
    if not keys or len(set(keys)) < len(keys):
        msg = problem("different columns in `target_key`", repr(keys), "Name each once.")
        raise ValueError(msg)
    for key in keys:
        check_key(adata.obs, key, "adata.obs", "target_key")
    return adata.obs[keys], "adata.obs"


def _known(targets: Sequence[str], table: pd.DataFrame, where: str) -> list[str]:
    absent = [name for name in targets if name not in table]
    if absent:
        msg = problem(
            f"`targets` among the {table.shape[1]:,} columns of {where}",
            shorten(absent),
            near_matches(absent[0], table.columns),
        )
        raise KeyError(msg)
    return list(dict.fromkeys(targets))


def _numbers(column: pd.Series, where: str) -> NDArray[np.float64]:
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        msg = problem(
            f"numbers in {where}[{column.name!r}]",
            f"values of type {column.dtype} ({shorten(column.dropna().unique(), 3)})",
            "Convert them, for example with pandas.to_numeric.",
        )
        raise ValueError(msg)
    y = column.to_numpy(np.float64, na_value=np.nan)
    if np.isinf(y).any():
        msg = problem(
            f"finite numbers in {where}[{column.name!r}]",
            f"{np.isinf(y).sum():,} infinite ones",
            "Set them to NaN.",
        )
        raise ValueError(msg)
    return y


def _check_enough(y: NDArray[np.float64], names: list[str], where: str) -> None:
    found = {}
    for name, column in zip(names, y.T, strict=True):
        known = column[~np.isnan(column)]
        if len(known) < FEWEST_ROWS or np.ptp(known) == 0:
            found[name] = f"{name!r}: {len(known):,} rows with {len(np.unique(known)):,} values"
    if found:
        shown = shorten(list(found.values()), 3)
        msg = problem(
            f"at least {FEWEST_ROWS} rows with different values in each target of {where}",
            f"{len(found):,} of {len(names):,} targets without ({shown})",
            "Name other targets, or add rows.",
        )
        raise ValueError(msg)
