"""Name the rows of a table of evidence by approved gene symbols, and report what was lost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._constants import REPORT_KEY
from dtp_scvi._logging import warn
from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import SymbolResolver, header_word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dtp_scvi.datasets._tables import Table

GENE: Final = "gene"

# How a name was understood, the surest first. Of rows that mean one gene, the surest stay.
_SUREST: Final = ("ensembl", "exact", "case", "previous", "alias", "spreadsheet")
_ENSEMBL: Final = re.compile(r"^ENSG\d{11}", re.IGNORECASE)
# Columns that may name genes, the best first; which of them hold Ensembl ids is seen in the values.
_NAMES: Final = [
    "hgncsymbol",
    "approvedsymbol",
    "hugosymbol",
    "genesymbol",
    "symbol",
    "genename",
    "uniprotgene",
    "gene",
    "description",
    "ensemblgeneid",
    "ensemblgene",
    "ensembl",
    "name",
]


@dataclass(frozen=True)
class GeneNames:
    """The approved symbol of each row (``None``: left out) and the report of how it was found."""

    symbol: np.ndarray
    report: dict[str, Any]

    @property
    def kept(self) -> np.ndarray:
        """Which rows stay."""
        return np.array([name is not None for name in self.symbol], dtype=bool)


def gene_columns(frame: pd.DataFrame, where: str) -> tuple[str | None, str | None]:
    """Return the columns with symbols and with Ensembl ids; at least one of them is there."""
    words = {header_word(name): str(name) for name in reversed(list(frame.columns))}
    symbol = ensembl = None
    for name in (words[word] for word in _NAMES if word in words):
        values = frame[name].dropna().astype(str).head(200)
        if not len(values):
            continue
        if values.str.match(_ENSEMBL).mean() > 0.5:
            ensembl = ensembl or name
        elif symbol is None and not (ensembl and header_word(name) == "name"):
            symbol = name
    if symbol is None and ensembl is None:
        msg = problem(
            f"a column with gene symbols or Ensembl ids in {where} (Gene, Gene name, Ensembl ...)",
            f"the columns {shorten(frame.columns, 6)}",
            "Rename the column with genes to Gene, and check that this is the file you meant.",
        )
        raise ValueError(msg)
    return symbol, ensembl


def name_genes(
    symbols: Sequence[str] | None, ensembl: Sequence[str] | None, where: str
) -> GeneNames:
    """
    Resolve rows by Ensembl id where that is known, otherwise by symbol.

    Of several rows of one gene those stay whose name was understood most surely: an approved
    symbol or an id before an older name. The rest is listed as superseded.
    """
    given = list(map(str, (symbols if symbols is not None else ensembl) or ()))
    found = _look_up(symbols, ensembl)
    hows = [how for _, how, _ in found]
    symbol = np.array([hit for hit, _, _ in found], dtype=object)
    if not any(hit is not None for hit in symbol):
        msg = problem(
            f"names of human genes in {where}",
            f"none that is known: {shorten(given, 4)}",
            "Check that the file has symbols or Ensembl ids in its column of genes.",
        )
        raise ValueError(msg)
    damaged = _pick(given, [how == "spreadsheet" for how in hows])
    if damaged:
        warn(
            f"{len(damaged):,} gene names of {where} look like dates or numbers that a spreadsheet "
            f"made of symbols: {shorten(damaged)}. Take the table from its source."
        )
    late = _superseded(symbol, hows)
    report = {
        "rows": len(given),
        "matched": int(sum(hit is not None for hit in symbol)),
        "how": {how: hows.count(how) for how in dict.fromkeys(sorted(hows))},
        "unmatched": _pick(given, [how == "unmatched" for how in hows]),
        "ambiguous": _pick(given, [how == "ambiguous" for how in hows]),
        "damaged": damaged,
        "superseded": [f"{given[i]} ({symbol[i]})" for i in np.flatnonzero(late)],
    }
    symbol[late] = None
    report["genes"] = len({hit for hit in symbol if hit is not None})
    return GeneNames(symbol, report)


def _look_up(
    symbols: Sequence[str] | None, ensembl: Sequence[str] | None
) -> list[tuple[str | None, str, tuple[str, ...]]]:
    resolver = SymbolResolver.bundled()
    by_id = None if ensembl is None else resolver.look_up(list(map(str, ensembl)))
    by_symbol = None if symbols is None else resolver.look_up(list(map(str, symbols)))
    if by_id is None or by_symbol is None:
        return by_id or by_symbol or []
    return [a if a[0] is not None else b for a, b in zip(by_id, by_symbol, strict=True)]


def _superseded(symbol: np.ndarray, hows: list[str]) -> np.ndarray:
    rank = np.array([_SUREST.index(how) if how in _SUREST else len(_SUREST) for how in hows])
    # An id and the approved symbol are equally sure.
    rank = np.maximum(rank, 1)
    best = pd.Series(rank).groupby(pd.Series(symbol, dtype=object)).transform("min")
    return np.array([s is not None for s in symbol]) & (rank > best.fillna(np.inf).to_numpy())


def _pick(names: list[str], mask: list[bool]) -> list[str]:
    return list(dict.fromkeys(name for name, take in zip(names, mask, strict=True) if take))


def by_gene(
    frame: pd.DataFrame, names: GeneNames, rule: str | Mapping[str, Any], said: str
) -> pd.DataFrame:
    """
    Index a table by gene and merge rows of one gene.

    Parameters
    ----------
    frame
        A row for each of ``names``.
    names
        What :func:`name_genes` returned; ``merged`` and ``merge_rule`` are added to its report.
    rule
        How columns are merged, as ``DataFrameGroupBy.agg`` takes it.
    said
        The rule in words.
    """
    out = frame[names.kept].set_axis(pd.Index(names.symbol[names.kept], name=GENE, dtype=object))
    twice = out.index.duplicated(keep=False)
    names.report["merged"] = sorted(set(out.index[twice]))
    names.report["merge_rule"] = said
    if not twice.any():
        return out
    order = out.index.unique()
    merged = out[twice].groupby(level=0, sort=False).agg(rule)[list(out.columns)]
    return pd.concat([out[~twice], merged.astype(out.dtypes)]).loc[order].rename_axis(GENE)


def sign(
    frame: pd.DataFrame, kind: str, table: Table, report: Mapping[str, Any], **more: Any
) -> pd.DataFrame:
    """Attach the report; lists and plain values only, so that it survives copies and JSON."""
    frame.attrs[REPORT_KEY] = {
        "kind": kind,
        "version": __version__,
        "file": table.name,
        "sha256": table.sha256,
        "release": release_of(table.name),
        **report,
        **more,
    }
    return frame


_RELEASE: Final = re.compile(
    r"(\d\dQ[1-4])|(?:^|[_.\-/])v(\d+(?:[.-]\d)?)(?=[_.\-]|$)", re.IGNORECASE
)


def release_of(name: str) -> str:
    """Return the release that a file name tells (``24Q4``, ``v8``), or nothing."""
    found = _RELEASE.search(name)
    if not found:
        return ""
    return found[1].upper() if found[1] else f"v{found[2]}"
