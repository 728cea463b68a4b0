"""Read level-3 profiles of L1000."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi._constants import (
    CELL_KEY,
    DOSE_KEY,
    DRUG_KEY,
    IS_CONTROL_KEY,
    PLATE_KEY,
    SMILES_KEY,
    TIME_KEY,
)
from dtp_scvi._validate import check_file, problem, shorten
from dtp_scvi.data import check_log_values
from dtp_scvi.datasets._gctx import Gctx
from dtp_scvi.datasets._l1000_genes import choose_genes_of
from dtp_scvi.datasets._perturbation_obs import (
    MICROMOLAR,
    Layout,
    file_table,
    find_columns,
    finish,
    standard_obs,
)
from dtp_scvi.datasets._report import Report
from dtp_scvi.datasets._tables import Table, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

_LAYOUT: Final = Layout(
    "read_l1000",
    {
        DRUG_KEY: ("pert_id",),
        SMILES_KEY: ("canonical_smiles", "SMILES", "smiles"),
        DOSE_KEY: (DOSE_KEY, "pert_dose"),
        TIME_KEY: (TIME_KEY, "pert_time"),
        CELL_KEY: ("cell_iname", "cell_id", "cell_mfc_name"),
        PLATE_KEY: ("rna_plate", "det_plate"),
        IS_CONTROL_KEY: ("pert_type",),
    },
)
_SAMPLE_IDS: Final = ("inst_id", "sample_id", "distil_id")
_NAMES: Final = ("pert_iname", "cmap_name")
_TREATED: Final = "trt_cp"
_VEHICLE: Final = "ctl_vehicle"
_HOURS: Final = {"h": 1.0, "hr": 1.0, "min": 1 / 60, "d": 24.0}
# Column, what it becomes in µM or hours, and the units that can be converted.
_QUANTITIES: Final = (("pert_dose", DOSE_KEY, MICROMOLAR), ("pert_time", TIME_KEY, _HOURS))


def read_l1000(
    path: str | Path,
    inst_info: str | Path | pd.DataFrame | None = None,
    *,
    gene_info: str | Path | pd.DataFrame | None = None,
    compounds: str | Path | pd.DataFrame | None = None,
    cells: Sequence[str] | None = None,
    times: Sequence[float] | None = None,
    landmarks_only: bool = True,
) -> AnnData:
    """
    Read compounds and their DMSO wells from a level-3 file of L1000 (``.gctx``).

    Only what is asked for is read from the matrix, so that a subset of a file of many gigabytes
    fits in memory. The columns are those of the releases GSE92742, GSE70138 and LINCS 2020.

    Parameters
    ----------
    path
        The ``.gctx`` file, which is HDF5.
    inst_info
        Table of the wells (``inst_id`` or ``sample_id``, ``pert_id``, ``pert_type``,
        ``pert_dose``, ``pert_dose_unit``, ``pert_time``, ``cell_id`` or ``cell_iname``,
        ``rna_plate``). ``None`` takes what the file itself holds on its columns.
    gene_info
        Table of the genes (``pr_gene_id`` or ``gene_id``, the symbol, ``pr_is_lm`` or
        ``feature_space``). Needed to tell landmark genes in a file of inferred ones.
    compounds
        Table with ``pert_id`` and ``canonical_smiles``.
    cells, times
        Cell lines and durations (h) to read; ``None`` reads all.
    landmarks_only
        Leave inferred genes out.

    Returns
    -------
    Annotated data, wells x genes, float32 log2 intensities, with the standard columns ``"drug"``
    (``pert_id``; ``"DMSO"`` for controls), ``"smiles"``, ``"dose"`` (µM), ``"time"`` (h),
    ``"cell"``, ``"plate"`` and ``"is_control"`` before those of the tables. Genes are named by
    symbol where ``gene_info`` has it, with ``var["gene_id"]``. ``uns["dtp_perturbation"]`` holds
    the record and, as ``"report"``, what was left out and why: other perturbations (ligands,
    genetic ones), other vehicles than DMSO, units that are no concentration, wells not in the
    table.

    Raises
    ------
    FileNotFoundError, KeyError, ValueError
        No such file, or none of this layout; columns that are not there; nothing left; no DMSO
        wells; counts or z-scores (levels 4 and 5) where logarithms are expected; doses or times
        that are text or not above 0.

    References
    ----------
    Subramanian et al., Cell 2017.

    Examples
    --------
    >>> import h5py, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> with h5py.File("level3.gctx", "w") as file:
    ...     file["0/DATA/0/matrix"] = np.array([[7.5, 8.25], [9.1, 4.6]])  # wells x genes
    ...     file["0/META/COL/id"] = np.array([b"P1:A01", b"P1:A02"])
    ...     file["0/META/ROW/id"] = np.array([b"3815", b"4609"])
    >>> wells = pd.DataFrame(
    ...     {
    ...         "inst_id": ["P1:A01", "P1:A02"],
    ...         "pert_id": ["DMSO", "BRD-K1"],
    ...         "pert_type": ["ctl_vehicle", "trt_cp"],
    ...         "pert_dose": [-666, 10.0],
    ...         "pert_dose_unit": ["-666", "um"],
    ...         "pert_time": [24, 24],
    ...         "cell_id": ["A375", "A375"],
    ...         "rna_plate": ["P1", "P1"],
    ...         "canonical_smiles": ["CS(C)=O", "CCO"],
    ...     }
    ... )
    >>> adata = dtp.datasets.read_l1000("level3.gctx", wells)
    >>> adata.obs["drug"].tolist(), adata.obs["dose"].tolist()
    (['DMSO', 'BRD-K1'], [0.0, 10.0])
    """
    path = Path(path)
    check_file(path, "a .gctx file")
    report, tables = Report(), [file_table(path, "expression")]
    with Gctx(path) as file:
        obs = _wells(file, inst_info, report, tables)
        obs = _add_smiles(obs, compounds, tables)
        obs = _choose(obs, cells, times, report)
        info = None if gene_info is None else _table(gene_info, "genes", tables)
        var, columns = choose_genes_of(file, info, landmarks_only=landmarks_only)
        source = find_columns(obs, _LAYOUT, None)
        rows = obs.pop("row").to_numpy()
        obs = standard_obs(obs, source, dose_unit="um")
        values = file.read(rows, columns)
    check_log_values(values, name=path.name)
    adata = AnnData(values, obs=obs, var=var)
    return finish(adata, _LAYOUT, source, tables, report=report.frame())


def _table(source: str | Path | pd.DataFrame, role: str, tables: list[Table]) -> pd.DataFrame:
    table = read_table(source, role)
    tables.append(table)
    return table.frame


def _first(frame: pd.DataFrame, options: Sequence[str], role: str) -> str:
    found = next((name for name in options if name in frame), None)
    if found is None:
        msg = problem(
            f"a column {' or '.join(options)} in {role}",
            shorten(frame.columns, 20),
            "Pass the table of the release, or rename the column.",
        )
        raise KeyError(msg)
    return found


def _wells(
    file: Gctx, inst_info: str | Path | pd.DataFrame | None, report: Report, tables: list[Table]
) -> pd.DataFrame:
    """Return what is known of each well that is in the file, with its ``row`` in the matrix."""
    if inst_info is None:
        obs = file.columns.copy()
        obs["row"] = np.arange(len(obs))
        return obs
    frame = _table(inst_info, "wells", tables)
    key = _first(frame, _SAMPLE_IDS, "the table of wells")
    frame = frame.drop_duplicates(key).set_index(frame[key].drop_duplicates().astype(str))
    obs = frame.reindex(file.samples.intersection(frame.index, sort=False)).copy()
    report.add("wells", file.samples.difference(obs.index), "not in the table of wells")
    if obs.empty:
        msg = problem(
            f"wells of the file among {key!r}",
            f"none of {shorten(file.samples)}",
            "Pass the table that belongs to this file.",
        )
        raise ValueError(msg)
    obs.index.name = None
    obs["row"] = file.samples.get_indexer(obs.index)
    return obs


def _add_smiles(
    obs: pd.DataFrame, compounds: str | Path | pd.DataFrame | None, tables: list[Table]
) -> pd.DataFrame:
    if compounds is None:
        return obs
    frame = _table(compounds, "compounds", tables)
    key = _first(frame, ("pert_id",), "the table of compounds")
    column = _first(frame, ("canonical_smiles", "SMILES", "smiles"), "the table of compounds")
    # LINCS 2020 lists a compound once per name.
    by_id = frame.dropna(subset=[column]).drop_duplicates(key).set_index(key)[column]
    return obs.assign(canonical_smiles=obs["pert_id"].map(by_id))


def _choose(
    obs: pd.DataFrame,
    cells: Sequence[str] | None,
    times: Sequence[float] | None,
    report: Report,
) -> pd.DataFrame:
    kind = _first(obs, ("pert_type",), "the table of wells")
    name = _first(obs, _LAYOUT.candidates[DRUG_KEY], "the table of wells")
    names = obs[[name, *(n for n in _NAMES if n in obs)]].astype(str)
    is_dmso = names.apply(lambda column: column.str.upper() == "DMSO").any(axis=1)
    vehicle = obs[kind] == _VEHICLE
    reasons = {
        "neither a compound nor a vehicle": ~(vehicle | (obs[kind] == _TREATED)),
        "another vehicle than DMSO": vehicle & ~is_dmso,
    }
    obs, vehicle = _drop(obs, vehicle, reasons, report)
    reasons = {}
    for column, converted, factors in _QUANTITIES:
        obs, strange = _in_one_unit(obs, column, converted, factors)
        reasons[f"{column} in another unit"] = strange & ~vehicle
    if cells is not None:
        line = obs[_first(obs, _LAYOUT.candidates[CELL_KEY], "the table of wells")]
        _all_there(cells, line, "cells")
        reasons["another cell line"] = ~line.isin(list(cells))
    if times is not None:
        hours = obs[_first(obs, _LAYOUT.candidates[TIME_KEY], "the table of wells")]
        _all_there(times, hours, "times")
        reasons["another time"] = ~hours.isin([float(t) for t in times])
    obs, _ = _drop(obs, vehicle, reasons, report)
    return obs


def _drop(
    obs: pd.DataFrame, vehicle: pd.Series, reasons: dict[str, pd.Series], report: Report
) -> tuple[pd.DataFrame, pd.Series]:
    gone = pd.Series(data=False, index=obs.index)
    for reason, which in reasons.items():
        report.add("wells", obs.index[which & ~gone], reason)
        gone |= which
    if gone.all():
        msg = problem(
            "compounds and DMSO wells", f"{shorten(reasons)} in all rows", "Check the selection."
        )
        raise ValueError(msg)
    return obs[~gone], vehicle[~gone]


def _in_one_unit(
    obs: pd.DataFrame, column: str, converted: str, factors: dict[str, float]
) -> tuple[pd.DataFrame, pd.Series]:
    """Add the converted quantity, where units are given; say which rows have none that is known."""
    unit = f"{column}_unit"
    if unit not in obs or column not in obs:
        return obs, pd.Series(data=False, index=obs.index)
    factor = obs[unit].astype(str).str.strip().str.casefold().map(factors)
    # What is text stays as it is, for the error that says so.
    if pd.api.types.is_numeric_dtype(obs[column]):
        obs = obs.assign(**{converted: obs[column] * factor.fillna(1.0)})
    return obs, factor.isna()


def _all_there(asked: Sequence[Any], found: pd.Series, argument: str) -> None:
    lacking = [value for value in asked if not (found == value).any()]
    if lacking:
        msg = problem(
            f"wells of each of `{argument}`",
            f"none of {shorten(lacking)}",
            f"There are: {shorten(found.dropna().unique(), 10)}.",
        )
        raise ValueError(msg)
