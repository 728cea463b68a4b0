"""Find the drug of each row and the one structure of each drug."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._constants import DRUG_KEY
from dtp_scvi._validate import check_key, problem, shorten
from dtp_scvi.pp._encode_drugs_structure import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from dtp_scvi.pp._encode_drugs_structure import Structure

# How public tables write that there is none; none of these is a SMILES.
_NO_SMILES: Final = frozenset({"", "nan", "none", "na", "n/a", "-666", "restricted", "unknown"})


@dataclass(frozen=True, slots=True)
class Drugs:
    """Names of drugs, sorted, their structures and ``"ok"``, ``"missing"`` or ``"invalid"``."""

    names: list[str]
    structures: list[Structure | None]
    status: list[str]


def drug_rows(
    adata: AnnData, drug_key: str | None, smiles_key: str | None, control: str | Sequence[str]
) -> tuple[pd.Series, str]:
    """Return the name of the drug of each row, ``""`` for controls, and the column it is from."""
    key = drug_key
    if key is None:
        key = DRUG_KEY if DRUG_KEY in adata.obs or smiles_key is None else smiles_key
    check_key(adata.obs, key, "adata.obs", "drug_key")
    missing = adata.obs[key].isna()
    if missing.any():
        msg = problem(
            f"the name of a drug in every row of {key!r}",
            f"{int(missing.sum()):,} of {adata.n_obs:,} rows without one",
            "Drop these rows, or name the vehicle and pass it as `control`.",
        )
        raise ValueError(msg)
    names = adata.obs[key].astype(object).astype(str)
    labels = [control] if isinstance(control, str) else list(control)
    rows = names.where(~names.isin(labels), "")
    if (rows == "").all():
        msg = problem(
            f"treated rows beside the control in {key!r}",
            f"only {shorten(labels)}",
            "Name the column of drugs by `drug_key`.",
        )
        raise ValueError(msg)
    return rows, key


def pair_smiles(
    rows: pd.Series, smiles: pd.Series, *, largest_fragment: bool, invalid: str
) -> Drugs:
    """Parse the structure of each drug; refuse drugs with several."""
    text = smiles.astype(object).where(smiles.notna(), "").astype(str).str.strip()
    text = text.where(~text.str.casefold().isin(_NO_SMILES), "")
    treated = (rows != "").to_numpy()
    pairs = pd.DataFrame({"drug": rows[treated].to_numpy(), "smiles": text[treated].to_numpy()})
    pairs = pairs.drop_duplicates()
    parsed = {
        value: parse(value, largest_fragment=largest_fragment)
        for value in pairs["smiles"].unique()
        if value
    }
    _check_one_structure(pairs, parsed)
    # A drug whose SMILES is missing in some rows only has one all the same.
    written = pairs.sort_values("smiles", ascending=False).drop_duplicates("drug")
    written = written.sort_values("drug")
    faults = np.array(
        [
            "missing" if not value else "invalid" if parsed[value] is None else "ok"
            for value in written["smiles"]
        ],
        dtype=object,
    )
    if invalid == "error":
        _refuse(written, faults)
    kept = faults == "ok" if invalid == "drop" else np.ones(len(faults), bool)
    if not kept.any():
        msg = problem("at least one drug with a structure", "none", "Check `smiles_key`.")
        raise ValueError(msg)
    return Drugs(
        written["drug"][kept].tolist(),
        [parsed.get(value) for value in written["smiles"][kept]],
        faults[kept].tolist(),
    )


def _check_one_structure(pairs: pd.DataFrame, parsed: dict[str, Structure | None]) -> None:
    named = pairs[pairs["smiles"] != ""]
    found = [parsed[value] for value in named["smiles"]]
    # Two ways to write one molecule are no contradiction.
    same = [v if s is None else s.smiles for v, s in zip(named["smiles"], found, strict=True)]
    counts = pd.Series(same, dtype=object).groupby(named["drug"].to_numpy()).nunique()
    several = counts.index[counts > 1]
    if len(several):
        msg = problem(
            "one structure for each drug",
            f"several for {len(several):,} ({shorten(several)})",
            "Name drugs by an identifier of the compound, such as `pert_id`, or mend the SMILES.",
        )
        raise ValueError(msg)


def _refuse(written: pd.DataFrame, faults: np.ndarray) -> None:
    bad = faults != "ok"
    if not bad.any():
        return
    listed = [
        f"{name} (no SMILES)" if fault == "missing" else f"{name} ({value!r})"
        for name, value, fault in zip(
            written["drug"][bad], written["smiles"][bad], faults[bad], strict=True
        )
    ]
    msg = problem(
        "a SMILES that RDKit can read for every drug",
        f"{int((faults == 'missing').sum()):,} drugs without one and "
        f"{int((faults == 'invalid').sum()):,} that can't be read: {shorten(listed, 20)}",
        'Mend them, name the vehicle by `control`, or pass invalid="missing" or "drop".',
    )
    raise ValueError(msg)
