"""Name the genes of a ranking by approved symbols, and keep track of those that have none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp

from dtp_scvi._logging import warn
from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import SymbolResolver

if TYPE_CHECKING:
    from collections.abc import Sequence

# How a name was understood, the surest first. Of several rows of a gene the surest stay.
_SURENESS: Final = {
    name: place
    for place, names in enumerate(
        (("ensembl", "exact"), ("case",), ("previous",), ("alias",), ("spreadsheet",))
    )
    for name in names
}
_LEAST: Final = len(_SURENESS)


@dataclass(frozen=True)
class Genes:
    """
    Genes in alphabetical order, and what they were made of.

    Attributes
    ----------
    table
        Indexed by symbol: ``name`` as in the data, ``hgnc_status``.
    merge
        Which of the given rows make up which gene, 0/1, given x genes.
    report
        Lists of names: ``unmatched``, ``ambiguous``, ``damaged``, ``superseded``, ``merged``.
    """

    table: pd.DataFrame
    merge: sp.csr_matrix
    report: dict[str, list[str]]


def name_genes(names: Sequence[str]) -> Genes:
    """
    Resolve names to approved symbols.

    A name that HGNC does not know, or that stands for several genes, stays as it is: it can still
    meet a table by that very name. Of several rows of a gene those stay whose name was understood
    most surely; rows that are equally sure are merged by whoever uses ``merge``.
    """
    given = [str(name) for name in names]
    found = SymbolResolver.bundled().resolve(given)
    frame = pd.DataFrame(
        {
            "row": np.arange(len(given)),
            "name": given,
            "how": found["how"].to_numpy(),
            "symbol": np.where(found["symbol"].isna(), given, found["symbol"]),
        }
    )
    damaged = list(dict.fromkeys(frame.loc[frame["how"] == "spreadsheet", "name"]))
    if damaged:
        warn(
            f"{len(damaged):,} gene names look like dates or numbers that a spreadsheet made of "
            f"symbols: {shorten(damaged)}. Take the table from its source."
        )
    frame = frame[frame["name"].str.strip() != ""]
    sure = frame["how"].map(_SURENESS).fillna(_LEAST)
    late = sure > sure.groupby(frame["symbol"]).transform("min")
    kept = frame[~late]
    symbols = pd.Index(sorted(set(kept["symbol"])), name="gene", dtype=object)
    place = symbols.get_indexer(kept["symbol"])
    merge = sp.csr_matrix(
        (np.ones(len(kept)), (kept["row"].to_numpy(), place)), shape=(len(given), len(symbols))
    )
    first = kept.sort_values(["symbol", "name"]).drop_duplicates("symbol").set_index("symbol")
    table = pd.DataFrame(
        {"name": first["name"], "hgnc_status": first["how"]}, index=symbols, dtype=object
    )
    report = {how: _listed(frame, frame["how"] == how) for how in ("unmatched", "ambiguous")}
    report["damaged"] = damaged
    report["superseded"] = _listed(frame, late)
    report["merged"] = sorted(set(kept.loc[kept["symbol"].duplicated(), "symbol"]))
    return Genes(table, merge, report)


def _listed(frame: pd.DataFrame, mask: pd.Series[Any]) -> list[str]:
    return sorted(set(frame.loc[mask, "name"]))


def look_up(table: pd.DataFrame, genes: pd.Index, argument: str) -> pd.DataFrame:
    """
    Return the rows of a table of evidence for these genes, NaN where it lacks one.

    Raises
    ------
    TypeError
        Not a DataFrame.
    ValueError
        A gene has two rows, or the table shares no gene with ``genes``.
    """
    if not isinstance(table, pd.DataFrame):
        msg = problem(
            f"`{argument}` as a DataFrame indexed by gene",
            type(table).__name__,
            "Read the file with the readers of dtp.datasets.",
        )
        raise TypeError(msg)
    index = _as_known(table.index.astype(str), genes)
    if not index.is_unique:
        msg = problem(
            f"one row per gene in `{argument}`",
            f"several of {shorten(index[index.duplicated()].unique(), 3)}",
            "Merge them, or read the file with the readers of dtp.datasets, which do.",
        )
        raise ValueError(msg)
    if not index.isin(genes).any():
        _refuse_disjoint(list(index), genes, argument)
    return table.set_axis(index, axis=0).reindex(genes)


def _as_known(index: pd.Index, genes: pd.Index) -> pd.Index:
    """Bring older names to the symbols that are ranked, where no row has the symbol itself."""
    strange = index[~index.isin(genes)]
    found = SymbolResolver.bundled().resolve(strange).dropna(subset="symbol")
    found = found[found["symbol"].isin(genes) & ~found["symbol"].isin(index)]
    # Two older names of one gene: nobody knows which row is meant.
    found = found.drop_duplicates("symbol", keep=False)
    known = dict(zip(found["name"], found["symbol"], strict=True))
    return index.map(lambda name: known.get(name, name)) if known else index


def _refuse_disjoint(index: list[str], genes: pd.Index, argument: str) -> None:
    how = SymbolResolver.bundled().resolve(index)
    damaged = list(how.loc[how["how"] == "spreadsheet", "name"])
    todo = "Index the table by approved symbols, as the readers of dtp.datasets do."
    if damaged:
        todo = f"A spreadsheet turned symbols into {shorten(damaged, 3)}: take the source file."
    msg = problem(
        f"genes of `{argument}` among those that are ranked ({shorten(genes, 4)})",
        f"none ({shorten(index, 4)})",
        todo,
    )
    raise ValueError(msg)
