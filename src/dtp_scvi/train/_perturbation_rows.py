"""Treated rows as the baselines of perturbation models take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._constants import CONTROL_KEY, CONTROLS_KEY, DRUGS_KEY
from dtp_scvi._labels import text_column
from dtp_scvi._validate import check_key, problem
from dtp_scvi.data import get_drug_table, positive_numbers, rows_as_array

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


@dataclass(frozen=True)
class PerturbationKeys:
    """Names of the columns that describe a treated row; ``None``: there is no such column."""

    drug: str
    control_label: str | None = None
    cell: str | None = None
    dose: str | None = None
    time: str | None = None
    layer: str | None = None


@dataclass(frozen=True)
class PerturbationRows:
    """
    Some rows of an AnnData with paired controls.

    Attributes
    ----------
    names
        Row names.
    control
        Input controls, float32, shape (rows, genes).
    drug, cell
        As text; one cell line where there is no column.
    log_dose, time
        log10(dose + 1), 1 without doses; log2(1 + hours), 0 without times.
    bits
        Fingerprints of the rows' drugs, 0 or 1, shape (rows, bits); ``None`` without structures.
        A drug that has none has zeros.
    delta
        Change against the input control, shape (rows, genes); ``None`` where it was not read.
    """

    names: NDArray[Any]
    control: NDArray[np.float32]
    drug: NDArray[Any]
    cell: NDArray[Any]
    log_dose: NDArray[np.float64]
    time: NDArray[np.float64]
    bits: NDArray[np.float32] | None
    delta: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.names)

    def target(self) -> NDArray[np.float32]:
        """Return the change, or say that it was not read."""
        if self.delta is None:
            raise ValueError(problem("rows with a change", "none", "Read them with values."))
        return self.delta


def perturbation_keys(adata: AnnData, **given: str | None) -> PerturbationKeys:
    """Fill in what :func:`dtp_scvi.pp.pair_controls` recorded for keys that were not given."""
    if CONTROLS_KEY not in adata.uns or CONTROL_KEY not in adata.obsm:
        msg = problem(
            f"controls in adata.obsm[{CONTROL_KEY!r}]", "none", "Run dtp.pp.pair_controls first."
        )
        raise KeyError(msg)
    record = adata.uns[CONTROLS_KEY]
    if not np.array_equal(np.asarray(record["genes"], str), np.asarray(adata.var_names, str)):
        msg = problem(
            f"the genes that adata.obsm[{CONTROL_KEY!r}] was made for, in their order",
            "others: `obsm` does not follow adata[:, genes]",
            "Run dtp.pp.pair_controls again, with the same seed.",
        )
        raise ValueError(msg)
    recorded = record["params"]
    found = {
        name: given.get(name) or recorded.get(key)
        for name, key in (
            ("drug", "drug_key"),
            ("control_label", "control_label"),
            ("cell", "cell_key"),
            ("layer", "layer"),
        )
    }
    for name in ("dose", "time"):
        found[name] = given.get(name)
    for name in ("drug", "cell", "dose", "time"):
        if found[name] is not None:
            check_key(adata.obs, str(found[name]), "adata.obs", f"{name}_key")
    return PerturbationKeys(**{k: None if v is None else str(v) for k, v in found.items()})  # type: ignore[arg-type]


def perturbation_rows(
    adata: AnnData, keys: PerturbationKeys, rows: NDArray[Any], *, values: bool
) -> PerturbationRows:
    """
    Read some rows, with their change where ``values`` is true.

    Parameters
    ----------
    adata
        Data with paired controls, in memory or backed.
    keys
        Names of columns.
    rows
        Positions.
    values
        Read the matrix as well.
    """
    control = np.asarray(adata.obsm[CONTROL_KEY][rows], np.float32)
    obs = adata.obs.iloc[rows]
    drug = text_column(obs, keys.drug, "drug_key")
    cell = (
        np.full(len(rows), "all", object)
        if keys.cell is None
        else text_column(obs, keys.cell, "cell_key")
    )
    is_drug = drug != keys.control_label
    one = np.ones(len(rows))
    log_dose, time = one, one * 0
    if keys.dose is not None:
        dose = positive_numbers(obs[keys.dose], ~is_drug, name=keys.dose)
        log_dose = np.log10(np.where(is_drug, dose, 0.0) + 1)
    if keys.time is not None:
        hours = positive_numbers(obs[keys.time], ~is_drug, name=keys.time, unit="h")
        time = np.log2(np.where(is_drug, hours, 0.0) + 1)
    delta = None
    if values:
        delta = rows_as_array(adata, keys.layer, rows) - control
    return PerturbationRows(
        np.asarray(obs.index.astype(str)),
        control,
        drug,
        cell,
        log_dose,
        time,
        _bits(adata, drug),
        delta,
    )


def _bits(adata: AnnData, drug: NDArray[Any]) -> NDArray[np.float32] | None:
    if DRUGS_KEY not in adata.uns:
        return None
    table = get_drug_table(adata)
    if table.bits is None:
        return None
    at = table.codes(drug, other="none")
    known = (np.asarray(table.bits) > 0).astype(np.float32)
    return np.where((at >= 0)[:, None], known[at.clip(min=0)], np.float32(0))
