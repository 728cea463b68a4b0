"""What has to stay on one side of a split: compounds, scaffolds, levels, conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_key, problem, shorten
from dtp_scvi.data import get_drug_table, positive_numbers

if TYPE_CHECKING:
    from anndata import AnnData

# Doses nearer to the next lower one than this factor are the same dose.
_SAME_LEVEL: Final = 1.1


def compounds(adata: AnnData, drugs: pd.Series, drugs_key: str) -> pd.Series:
    """Return the drug of each row; names of one structure get the first of them."""
    if drugs_key not in adata.uns:
        return drugs
    table = get_drug_table(adata, drugs_key).table
    known = table[table["smiles"] != ""]
    first = pd.Series(known.index, index=known.index).groupby(known["smiles"]).transform("first")
    return drugs.map(first).fillna(drugs)


def scaffolds(adata: AnnData, drugs: pd.Series, drugs_key: str) -> pd.Series:
    """Return the scaffold of the drug of each row, from the table of drugs."""
    table = get_drug_table(adata, drugs_key).table
    found = drugs.map(table["scaffold"]).fillna("")
    lacking = drugs[found == ""].unique()
    if len(lacking):
        msg = problem(
            "a structure for every drug, to split by scaffold",
            f"none for {len(lacking):,} ({shorten(lacking)})",
            "Drop their rows, or split by drug.",
        )
        raise ValueError(msg)
    return found


def levels(obs: pd.DataFrame, key: str, argument: str, unit: str) -> pd.Series:
    """Return the level of each row as a number that can be sorted: the lowest value of it."""
    check_key(obs, key, "adata.obs", argument)
    values = positive_numbers(obs[key], name=key, unit=unit)
    distinct = np.unique(values)
    # A new level begins where the next value is clearly higher.
    begins = np.concatenate([[True], distinct[1:] > _SAME_LEVEL * distinct[:-1]])
    start = distinct[begins][np.cumsum(begins) - 1]
    return pd.Series(start[np.searchsorted(distinct, values)], index=obs.index)


def conditions(obs: pd.DataFrame, drugs: pd.Series, names: list[str]) -> pd.Series:
    """Return drug, line, dose and time of each row, as far as there are such columns."""
    codes = [pd.factorize(drugs)[0], *(pd.factorize(obs[name])[0] for name in names)]
    return pd.Series(
        ["-".join(map(str, row)) for row in zip(*codes, strict=True)], index=obs.index
    )
