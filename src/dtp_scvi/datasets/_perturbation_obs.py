"""Give perturbation data of any layout the same columns."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anndata as ad
import numpy as np
import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._constants import (
    CELL_KEY,
    CONTROL_LABEL,
    DOSE_KEY,
    DRUG_KEY,
    IS_CONTROL_KEY,
    PERTURBATION_KEY,
    PLATE_KEY,
    SMILES_KEY,
    TIME_KEY,
)
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_file, check_key, check_one_of, problem, shorten
from dtp_scvi.data import positive_numbers
from dtp_scvi.datasets._tables import Table, file_records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData

STANDARD: Final = (DRUG_KEY, SMILES_KEY, DOSE_KEY, TIME_KEY, CELL_KEY, PLATE_KEY, IS_CONTROL_KEY)
# µM of one unit, spelled as in public tables.
MICROMOLAR: Final = {"um": 1.0, "µm": 1.0, "μm": 1.0, "nm": 1e-3, "mm": 1e3, "pm": 1e-6}
_REQUIRED: Final = (DRUG_KEY, DOSE_KEY, CELL_KEY)
_VEHICLES: Final = frozenset({"dmso", "control", "vehicle", "ctrl", "ctl_vehicle"})
_TRUE: Final = frozenset({"true", "1", "1.0", "yes", "ctl_vehicle"})
_NO_TEXT: Final = frozenset({"", "nan", "none", "-666", "restricted"})
_LARGEST_HASHED: Final = 2**30
_AS_READ: Final = "_as_read"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a format keeps things: candidates of each standard column, first come first served."""

    reader: str
    candidates: Mapping[str, Sequence[str]]


def open_h5ad(source: str | Path | AnnData) -> tuple[AnnData, list[Table]]:
    """Return the object, a copy where it was in memory, and the record of the file."""
    if isinstance(source, ad.AnnData):
        return source.copy(), [Table(pd.DataFrame(), "expression", "AnnData")]
    path = Path(source)
    check_file(path, "an .h5ad file")
    try:
        return ad.read_h5ad(path), [file_table(path, "expression")]
    except (OSError, KeyError) as error:
        msg = problem(f"{path.name} to be an .h5ad file", str(error), "Check the file.")
        raise ValueError(msg) from error


def file_table(path: Path, role: str) -> Table:
    """Record a binary file; one above a gigabyte by its size only."""
    size, digest = path.stat().st_size, ""
    if size <= _LARGEST_HASHED:
        with path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
    return Table(pd.DataFrame(), role, path.name, digest, size)


def find_columns(
    obs: pd.DataFrame, layout: Layout, given: Mapping[str, str] | None
) -> dict[str, str]:
    """Return the source of each standard column that there is."""
    chosen = dict(given or {})
    for name, column in chosen.items():
        check_one_of(name, STANDARD, "columns")
        check_key(obs, column, "adata.obs", f"columns[{name!r}]")
    for name, options in layout.candidates.items():
        found = next((option for option in options if option in obs), None)
        if name not in chosen and found is not None:
            chosen[name] = found
    lacking = [name for name in _REQUIRED if name not in chosen]
    if lacking:
        looked = ", ".join(dict.fromkeys(o for n in lacking for o in layout.candidates.get(n, ())))
        msg = problem(
            f"columns for {', '.join(lacking)} in adata.obs",
            f"none of {looked}",
            f'Name them, for example columns={{"{lacking[0]}": "..."}}; there are: '
            f"{shorten(obs.columns, 20)}.",
        )
        raise KeyError(msg)
    return chosen


def standard_obs(
    obs: pd.DataFrame, source: Mapping[str, str], *, dose_unit: str, controls: bool = True
) -> pd.DataFrame:
    """Return the standard columns, followed by those that were there."""
    check_one_of(dose_unit.casefold(), MICROMOLAR, "dose_unit")
    drug = _text(obs[source[DRUG_KEY]])
    is_control = _controls(obs, source, drug)
    unnamed = (drug == "") & ~is_control
    if unnamed.any():
        msg = problem(
            f"a drug in every treated row of {source[DRUG_KEY]!r}",
            f"{int(unnamed.sum()):,} rows without one",
            "Drop these rows.",
        )
        raise ValueError(msg)
    if controls and (not is_control.any() or is_control.all()):
        which = "control" if not is_control.any() else "treated"
        msg = problem(
            "both treated and control rows",
            f"no {which} row of {len(obs):,}",
            'Vehicles are found by name ("DMSO", "control", "vehicle") or by the column named by '
            'columns={"is_control": "..."}; keep them when you filter.',
        )
        raise ValueError(msg)
    flags = is_control.to_numpy()
    key = source[DOSE_KEY]
    dose = positive_numbers(obs[key], flags, name=key, unit=dose_unit)
    dose = np.where(flags, 0.0, dose * MICROMOLAR[dose_unit.casefold()])
    columns: dict[str, Any] = {
        DRUG_KEY: pd.Categorical(drug.where(~is_control, CONTROL_LABEL)),
        SMILES_KEY: pd.Categorical(_optional_text(obs, source, SMILES_KEY)),
        DOSE_KEY: dose,
        TIME_KEY: _times(obs, source),
        CELL_KEY: pd.Categorical(_text(obs[source[CELL_KEY]])),
        PLATE_KEY: pd.Categorical(_optional_text(obs, source, PLATE_KEY)),
        IS_CONTROL_KEY: flags,
    }
    out = pd.DataFrame(columns, index=obs.index)
    # A column of the same name that means something else is not lost.
    kept = obs[[name for name in obs if source.get(str(name)) != name]]
    kept = kept.rename(columns={n: f"{n}{_AS_READ}" for n in kept.columns if n in STANDARD})
    return out.join(kept)


def finish(
    adata: AnnData, layout: Layout, source: Mapping[str, str], tables: list[Table], **record: Any
) -> AnnData:
    """Warn of what the models will miss, and leave the record."""
    obs = adata.obs
    treated = ~obs[IS_CONTROL_KEY].to_numpy()
    drugs = obs.loc[treated, DRUG_KEY]
    bare = drugs[(obs.loc[treated, SMILES_KEY] == "").to_numpy()].unique()
    plates = obs.loc[treated, PLATE_KEY].astype(str)
    with_control = set(obs.loc[~treated, PLATE_KEY].astype(str))
    alone = sorted(set(plates) - with_control - {""}) if not treated.all() else []
    if len(bare):
        warn(
            f"{len(bare):,} of {drugs.nunique():,} drugs have no SMILES ({shorten(bare)}); "
            "dtp.pp.encode_drugs will ask for them."
        )
    if alone:
        warn(f"{len(alone):,} plates have no control well ({shorten(alone)}).")
    adata.uns[PERTURBATION_KEY] = {
        "reader": f"dtp_scvi.datasets.{layout.reader}",
        "version": __version__,
        "columns": dict(source),
        "files": file_records(tables),
        "n_treated": int(treated.sum()),
        "n_controls": int((~treated).sum()),
        "n_drugs": int(drugs.nunique()),
        "drugs_without_smiles": np.array([str(name) for name in bare], dtype=object),
        "plates_without_control": np.array(alone, dtype=object),
        **record,
    }
    return adata


def _text(column: pd.Series) -> pd.Series:
    out = column.astype(object).where(column.notna(), "").astype(str).str.strip()
    return out.where(~out.str.casefold().isin(_NO_TEXT), "")


def _optional_text(obs: pd.DataFrame, source: Mapping[str, str], name: str) -> pd.Series:
    if name in source:
        return _text(obs[source[name]])
    return pd.Series("", index=obs.index, dtype=object)


def _times(obs: pd.DataFrame, source: Mapping[str, str]) -> np.ndarray:
    if TIME_KEY not in source:
        return np.full(len(obs), np.nan)
    return positive_numbers(obs[source[TIME_KEY]], name=source[TIME_KEY], unit="h")


def _controls(obs: pd.DataFrame, source: Mapping[str, str], drug: pd.Series) -> pd.Series:
    if IS_CONTROL_KEY in source:
        return _text(obs[source[IS_CONTROL_KEY]]).str.casefold().isin(_TRUE)
    return drug.str.casefold().isin(_VEHICLES)
