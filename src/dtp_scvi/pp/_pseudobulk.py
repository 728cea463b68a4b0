"""Sum cells into samples: by donor, or into random mixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from dtp_scvi._constants import PSEUDOBULK_KEY, SIMULATION_KEY
from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_positive_int, matrix_name, problem, shorten
from dtp_scvi.data import check_object, get_matrix, iter_blocks, linearise_block, resolve_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

_JOIN: Final = "_"


@docs.dedent
def pseudobulk(
    adata: AnnData,
    groupby: str | Sequence[str],
    *,
    layer: str | None = None,
    scale: str = "auto",
    min_cells: int = 10,
    n_mixtures: int = 0,
    mixture_cells: tuple[int, int] = (20, 5000),
    seed: int | None = 0,
) -> AnnData:
    """
    Sum the cells of each donor (or donor and cell type) into one sample.

    Samples are what statistics over donors are about, and what a model of bulk samples can be
    asked about. With ``n_mixtures`` random subsets of the cells of a group are summed as well:
    samples of many sizes, between one cell and bulk.

    Parameters
    ----------
    adata
        Cells in rows, in memory or backed, in any storage; read in blocks.
    groupby
        Column of ``adata.obs``, or several: one sample a combination that occurs.
    %(layer)s
    %(scale)s
    min_cells
        Groups with fewer cells are left out and listed.
    n_mixtures
        Random subsets summed per group, beside the whole.
    mixture_cells
        Fewest and most cells of a subset, drawn log-uniformly without replacement; a group that
        has fewer than the most gives all it has at most.
    %(seed)s

    Returns
    -------
    A new AnnData of samples: ``X`` the sums on the linear scale, CSR, float32 (counts stay whole
    numbers up to 2**24); ``obs``: the ``groupby`` columns, ``n_cells`` (int), ``total``
    (float64), ``mixture`` (bool), and every column of ``adata.obs`` that has one value in each
    group; ``var`` as it was. ``uns["dtp_pseudobulk"]``: ``groupby``, ``layer``, ``scale``, ``left_out``
    (groups with too few cells).

    Raises
    ------
    KeyError
        When a column or the layer is missing.
    ValueError
        When a group is missing for a cell, the scale can't be undone (z-scores), or no group has
        ``min_cells`` cells.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
    >>> samples = dtp.pp.pseudobulk(cells, "donor", layer="counts")
    >>> samples.n_obs, int(samples.obs["n_cells"].sum())
    (4, 300)
    """
    check_object(adata, view=True)
    columns = [groupby] if isinstance(groupby, str) else list(groupby)
    if not columns:
        msg = problem("at least one column in `groupby`", "none", "Name the donor's, for example.")
        raise ValueError(msg)
    check_positive_int(min_cells, "min_cells")
    low, high = _bounds(mixture_cells, n_mixtures)
    keys = pd.DataFrame({name: text_column(adata.obs, name, "groupby") for name in columns})
    matrix = get_matrix(adata, layer)
    where = matrix_name(layer)
    found = resolve_scale(matrix, scale, name=where)
    groups = keys.groupby(columns, sort=True, observed=True).indices
    kept = {name: rows for name, rows in groups.items() if len(rows) >= min_cells}
    left_out = {name: len(rows) for name, rows in groups.items() if len(rows) < min_cells}
    if not kept:
        msg = problem(
            f"a group of at least {min_cells:,} cells",
            f"{len(groups):,} groups of at most {max(map(len, groups.values())):,}",
            "Lower `min_cells`, or group by fewer columns.",
        )
        raise ValueError(msg)
    samples = list(_samples(kept, n_mixtures, low, high, np.random.default_rng(seed)))
    sums = _sum(matrix, found, [rows for _, rows, _ in samples], adata.n_obs, where)
    obs = _obs(adata.obs, columns, samples, list(kept), kept, sums)
    result = AnnData(sums.astype(np.float32), obs=obs, var=adata.var.copy())
    if left_out:
        listed = [_name(name) for name in left_out]
        warn(
            f"{len(left_out):,} groups with fewer than {min_cells:,} cells left out: "
            f"{shorten(listed)}."
        )
    result.uns[PSEUDOBULK_KEY] = {
        "groupby": np.array(columns, dtype=object),
        "layer": layer or "X",
        "scale": str(found),
        "left_out": pd.DataFrame(
            {"group": [_name(name) for name in left_out], "n_cells": list(left_out.values())}
        ),
    }
    if SIMULATION_KEY in adata.uns:
        result.uns[SIMULATION_KEY] = {"simulated": True}
    return result


def _bounds(limits: tuple[int, int], n_mixtures: int) -> tuple[int, int]:
    low, high = (int(value) for value in limits)
    if n_mixtures < 0 or not 1 <= low <= high:
        msg = problem(
            "`n_mixtures` of 0 or more and `mixture_cells` as (fewest, most), at least 1",
            f"{n_mixtures} and {limits}",
            "Pass (20, 5000), for example.",
        )
        raise ValueError(msg)
    return low, high


def _name(key: Any) -> str:
    return _JOIN.join(key) if isinstance(key, tuple) else str(key)


def _samples(
    groups: dict[Any, np.ndarray], n_mixtures: int, low: int, high: int, rng: np.random.Generator
) -> Any:
    """Yield (group, rows, whether a mixture)."""
    for group, rows in groups.items():
        yield group, rows, False
        for _ in range(n_mixtures):
            size = int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))
            yield group, rng.choice(rows, min(size, len(rows)), replace=False), True


def _sum(
    matrix: Any, scale: Any, samples: list[np.ndarray], n_rows: int, name: str
) -> sp.csr_matrix:
    """Sum rows on the linear scale, block by block."""
    member = np.concatenate([np.full(len(rows), k) for k, rows in enumerate(samples)])
    which = sp.csr_matrix(
        (np.ones(len(member)), (member, np.concatenate(samples))), shape=(len(samples), n_rows)
    ).tocsc()
    sums: Any = sp.csr_matrix((len(samples), matrix.shape[1]), dtype=np.float64)
    for block in iter_blocks(matrix, None, scale=scale, check=name):
        rows = block.matrix.astype(np.float64)
        rows.data = linearise_block(rows.data, scale)
        sums = sums + which[:, block.rows] @ rows
    sums = sp.csr_matrix(sums)
    sums.sort_indices()
    return sums


def _obs(
    cells: pd.DataFrame,
    columns: list[str],
    samples: list[tuple[Any, np.ndarray, bool]],
    order: list[Any],
    groups: dict[Any, np.ndarray],
    sums: sp.csr_matrix,
) -> pd.DataFrame:
    """Columns that have one value a group, and what was summed."""
    first = [cells.iloc[groups[group][0]] for group in order]
    same = [
        name
        for name in cells.columns
        if all(cells[name].iloc[groups[group]].nunique(dropna=False) == 1 for group in order)
    ]
    kept = [*columns, *(name for name in same if name not in columns)]
    table = pd.DataFrame(
        {name: pd.Series([row[name] for row in first]).astype(cells[name].dtype) for name in kept}
    )
    position = {group: k for k, group in enumerate(order)}
    table = table.iloc[[position[group] for group, _, _ in samples]]
    counter: dict[Any, int] = {}
    names = []
    for group, _, mixture in samples:
        counter[group] = counter.get(group, -1) + 1
        names.append(_name(group) + (f"{_JOIN}mixture{counter[group]}" if mixture else ""))
    table.index = pd.Index(names)
    table["n_cells"] = [len(rows) for _, rows, _ in samples]
    table["total"] = np.asarray(sums.sum(axis=1)).ravel()
    table["mixture"] = [mixture for _, _, mixture in samples]
    return table
