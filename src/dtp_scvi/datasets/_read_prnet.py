"""Read profiles in the layout of PRnet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._constants import (
    CELL_KEY,
    DOSE_KEY,
    DRUG_KEY,
    IS_CONTROL_KEY,
    PAIRED_CONTROL_KEY,
    PLATE_KEY,
    SMILES_KEY,
    TIME_KEY,
)
from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import check_log_values
from dtp_scvi.datasets._perturbation_obs import (
    Layout,
    find_columns,
    finish,
    open_h5ad,
    standard_obs,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from anndata import AnnData

PAIRED: Final = "paired_control_index"
_LAYOUT: Final = Layout(
    "read_prnet",
    {
        # A compound has one pert_id; names such as "dexamethasone" may stand for two of them.
        DRUG_KEY: ("pert_id", "condition", "drug"),
        SMILES_KEY: ("SMILES", "smiles", "canonical_smiles"),
        DOSE_KEY: ("dose", "dose_val", "pert_dose"),
        TIME_KEY: ("pert_time", "time"),
        CELL_KEY: ("cell_type", "cell_id", "cell_iname", "cell"),
        PLATE_KEY: ("rna_plate", "det_plate", "plate"),
        IS_CONTROL_KEY: ("control", "is_control"),
    },
)


def read_prnet(path: str | Path | AnnData, *, columns: Mapping[str, str] | None = None) -> AnnData:
    """
    Read an ``.h5ad`` file in the layout of PRnet, with a paired control for each row.

    Parameters
    ----------
    path
        The file, or what was read from it.
    columns
        Source of standard columns where it differs, e.g. ``{"drug": "condition"}``.

    Returns
    -------
    Annotated data with log2 intensities in ``X``; the standard columns ``"drug"``, ``"smiles"``,
    ``"dose"`` (µM, 0 for controls), ``"time"`` (h, NaN where not known), ``"cell"``,
    ``"plate"`` and ``"is_control"`` before those of the file; ``obsm["X_ctl"]``, the profile of
    each row's paired control, taken from the file or looked up by ``paired_control_index``; and
    ``uns["dtp_perturbation"]``: sources of the columns, file, numbers of rows and drugs, drugs
    without SMILES, plates without a control well and ``"n_paired_on_other_plate"``.

    Raises
    ------
    FileNotFoundError, KeyError, ValueError
        No such file; columns that are not there; counts or z-scores where logarithms are
        expected; text or values not above 0 as doses; no control rows; pairs that name no
        control, or other values than ``X_ctl`` holds.

    Notes
    -----
    Drugs are named by ``pert_id`` where the file has it, as one ``condition`` may stand for
    several structures.

    References
    ----------
    Qi et al., Nature Communications 2024 (PRnet).

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> file = dtp.datasets.simulate_perturbation(2, n_drugs=5, n_genes=20)
    >>> file.obs = file.obs.rename(columns={"drug": "condition", "cell": "cell_type"})
    >>> dtp.datasets.read_prnet(file).uns["dtp_perturbation"]["n_drugs"]
    5
    """
    adata, tables = open_h5ad(path)
    check_log_values(adata.X)
    source = find_columns(adata.obs, _LAYOUT, columns)
    adata.obs = standard_obs(adata.obs, source, dose_unit="um")
    n_other = _pair(adata)
    return finish(adata, _LAYOUT, source, tables, n_paired_on_other_plate=n_other)


def _pair(adata: AnnData) -> int:
    """Fill in or check the paired controls; return how many lie on another plate."""
    if PAIRED not in adata.obs:
        return 0
    row = adata.obs_names.get_indexer(pd.Index(adata.obs[PAIRED].astype(str)))
    known = row >= 0
    if PAIRED_CONTROL_KEY not in adata.obsm:
        if not known.all():
            _refuse(f"{int((~known).sum()):,} names that are no row", adata, ~known)
        adata.obsm[PAIRED_CONTROL_KEY] = np.asarray(adata.X)[row]
    wrong = known & ~adata.obs[IS_CONTROL_KEY].to_numpy()[row]
    if wrong.any():
        _refuse(f"{int(wrong.sum()):,} rows paired with treated ones", adata, wrong)
    stored = np.asarray(adata.obsm[PAIRED_CONTROL_KEY])[known]
    differs = ~np.isclose(stored, np.asarray(adata.X)[row[known]], atol=1e-3).all(axis=1)
    if differs.any():
        which = np.zeros(adata.n_obs, bool)
        which[np.flatnonzero(known)[differs]] = True
        _refuse(f"{int(differs.sum()):,} rows whose X_ctl differs from it", adata, which)
    plate = adata.obs[PLATE_KEY].astype(str).to_numpy()
    return int((plate[known] != plate[row[known]]).sum())


def _refuse(found: str, adata: AnnData, which: np.ndarray) -> None:
    msg = problem(
        f"a control row named by {PAIRED!r} for every row",
        f"{found} ({shorten(adata.obs_names[which])})",
        f"Drop the column {PAIRED!r}, or mend it.",
    )
    raise ValueError(msg)
