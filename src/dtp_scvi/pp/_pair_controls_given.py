"""Controls that the data name themselves: a profile, or the name of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._labels import text_column
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_key, problem, shorten
from dtp_scvi.data import check_matrix, row_hashes, rows_as_array
from dtp_scvi.pp._pair_controls_wells import Layout, Pairing

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


def from_index(adata: AnnData, key: str, layout: Layout, layer: str | None) -> Pairing:
    """Take the row that ``obs[key]`` names, and score by the other wells of its plate."""
    named = text_column(adata.obs, key, "control_index_key")
    at = pd.Index(layout.names).get_indexer(pd.Index(named))
    treated = ~layout.is_control
    unknown = dict.fromkeys(named[treated & (at < 0)].tolist())
    if unknown:
        msg = problem(
            f"row names in adata.obs[{key!r}]",
            f"{len(unknown):,} that are no row: {shorten(unknown)}",
            "Keep the control wells in the object.",
        )
        raise ValueError(msg)
    wells = np.unique(at[treated]) if not layout.is_control.any() else None
    is_control = layout.is_control.copy()
    if wells is not None:
        is_control[wells] = True
    elif not is_control[at[treated]].all():
        wrong = named[treated][~is_control[at[treated]]]
        msg = problem(
            f"adata.obs[{key!r}] to name control rows", shorten(wrong), "Check `control_label`."
        )
        raise ValueError(msg)
    # A control row without a control of its own is its own.
    at = np.where(at < 0, np.arange(len(at)), at)
    control = rows_as_array(adata, layer, at)
    used = np.unique(at[~is_control])
    return _others(adata, layout, layer, control, at, is_control, used)


def from_obsm(adata: AnnData, key: str, layout: Layout, layer: str | None) -> Pairing:
    """Take ``obsm[key]``, and score by the wells of the plate that are not in it."""
    check_key(adata.obsm, key, "adata.obsm", "control_key")
    control = np.asarray(adata.obsm[key], np.float32)
    if control.shape != adata.shape:
        msg = problem(
            f"adata.obsm[{key!r}] of shape {adata.shape}", f"{control.shape}", "Pass profiles."
        )
        raise ValueError(msg)
    check_matrix(control, name=f"adata.obsm[{key!r}]", negative=True)
    wells = np.flatnonzero(layout.is_control)
    given = row_hashes(control)
    stored = (
        row_hashes(rows_as_array(adata, layer, wells)) if len(wells) else np.empty(0, np.uint64)
    )
    order = np.argsort(stored, kind="stable")
    place = np.searchsorted(stored[order], given).clip(max=max(len(stored) - 1, 0))
    known = stored[order][place] == given if len(stored) else np.zeros(len(given), bool)
    at = np.where(known, wells[order][place] if len(wells) else 0, -1)
    if (at[~layout.is_control] < 0).any():
        n = int((at[~layout.is_control] < 0).sum())
        warn(
            f"adata.obsm[{key!r}] of {n:,} treated rows is no control well of the object, so it can't "
            "be told which wells are independent of it: these rows have no controls for scoring."
        )
    used = np.unique(at[~layout.is_control & (at >= 0)])
    return _others(adata, layout, layer, control, at, layout.is_control, used)


def _others(
    adata: AnnData,
    layout: Layout,
    layer: str | None,
    control: NDArray[np.float32],
    at: NDArray[Any],
    is_control: NDArray[np.bool_],
    used: NDArray[Any],
) -> Pairing:
    """Mean of the control wells of a row's plate without its own; NaN where that is unknown."""
    codes, levels = layout.groups()
    scoring = np.full(adata.shape, np.nan, np.float32)
    counts = []
    for code in range(len(levels)):
        rows = np.flatnonzero(codes == code)
        wells = rows[is_control[rows]]
        counts.append((int((~is_control[rows]).sum()), len(wells)))
        if not len(wells):
            continue
        values = rows_as_array(adata, layer, wells).astype(np.float64)
        total, n = values.sum(axis=0), len(wells)
        place = pd.Index(wells).get_indexer(pd.Index(at[rows]))
        own = np.where((place >= 0)[:, None], values[place.clip(min=0)], 0.0)
        left = n - (place >= 0)
        usable = (left > 0) & (at[rows] >= 0)
        scoring[rows[usable]] = ((total - own[usable]) / left[usable, None]).astype(np.float32)
    role = np.where(is_control, "scoring", "treated").astype(object)
    role[used] = "both"
    table = pd.DataFrame(
        {
            "cell": [cell for cell, _ in levels],
            "plate": [plate for _, plate in levels],
            "n_treated": [treated for treated, _ in counts],
            "n_control": [n for _, n in counts],
            "n_input": 1,
            "n_scoring": [max(n - 1, 0) for _, n in counts],
        },
        index=[str(i) for i in range(len(levels))],
    )
    return Pairing(control, scoring, role, is_control, table)
