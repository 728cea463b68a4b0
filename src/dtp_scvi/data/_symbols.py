"""Map gene names of any vintage to approved HGNC symbols."""

from __future__ import annotations

import csv
import functools
import gzip
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dtp_scvi._validate import problem, shorten
from dtp_scvi.data._damaged import original_symbols, serials_are_dates
from dtp_scvi.data._hgnc import GeneRow, read_hgnc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ENSEMBL = re.compile(r"^(ENS[A-Z]*G\d{11})(?:\.\d+)?(?:_PAR_Y)?$", re.IGNORECASE)
# How a missing name is spelled; "NaN" is an alias of SCN11A, which nobody means.
_MISSING = frozenset({"", "nan", "NaN", "NA", "<NA>", "None"})

Resolution = tuple[str | None, str, tuple[str, ...]]


def ensembl_base(name: str) -> str | None:
    """Return the Ensembl gene id in ``name`` without its version, or ``None``."""
    found = _ENSEMBL.match(name)
    return found[1].upper() if found else None


def _index(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for old, symbol in pairs:
        key = old.upper()
        known = table.get(key, ())
        if symbol not in known:
            table[key] = (*known, symbol)
    return table


class SymbolResolver:
    """
    Resolve gene names to approved HGNC symbols, without a network.

    Use one of the constructors :meth:`bundled`, :meth:`from_hgnc` or :meth:`from_pairs`.

    A name is looked up in this order; the first rule that knows it decides: the approved symbol
    exactly, the approved symbol in another case, a previous symbol, an alias symbol, an Ensembl
    gene id (version removed), a symbol damaged by a spreadsheet. What stands for several genes
    stays unresolved and is named.

    Parameters
    ----------
    rows
        ``(symbol, previous symbols, alias symbols, Ensembl gene id)`` of each gene.

    Notes
    -----
    Suffixes that make names unique ("MATR3-1") and clone names ("RP11-34P13.3") are left as they
    are: they are not matched.

    Examples
    --------
    >>> from dtp_scvi.data import SymbolResolver
    >>> resolver = SymbolResolver.bundled()
    >>> table = resolver.resolve(["KIAA0125", "C19ORF77", "ENSG00000205336.13", "2-Sep", "XYZ"])
    >>> table["symbol"].tolist()
    ['FAM30A', 'SMIM24', 'ADGRG1', None, None]
    >>> table["how"].tolist()
    ['previous', 'previous', 'ensembl', 'spreadsheet', 'unmatched']
    """

    def __init__(self, rows: Sequence[GeneRow]) -> None:
        self._approved = {row[0] for row in rows}
        self._upper = _index((row[0], row[0]) for row in rows)
        self._previous = _index((old, row[0]) for row in rows for old in row[1])
        self._alias = _index((old, row[0]) for row in rows for old in row[2])
        self._ensembl = _index((row[3], row[0]) for row in rows if row[3])

    @classmethod
    def bundled(cls) -> SymbolResolver:
        """Return the resolver on the HGNC table of July 2024 that ships with the package."""
        return _bundled()

    @classmethod
    def from_hgnc(cls, path: str | Path) -> SymbolResolver:
        """
        Build a resolver from a local ``hgnc_complete_set.txt``.

        Parameters
        ----------
        path
            The file as HGNC publishes it, or gzipped.

        Raises
        ------
        ValueError
            When a column of HGNC's format is missing.
        """
        return cls(read_hgnc(path))

    @classmethod
    def from_pairs(cls, path: str | Path) -> SymbolResolver:
        """
        Build a resolver from a table of symbol and approved symbol, as in HGNChelper.

        Such a table does not tell previous symbols from aliases, so every old symbol counts as
        previous, and one that stands for two genes is ambiguous.

        Parameters
        ----------
        path
            Tab-separated file with the columns ``Symbol`` and ``Approved.Symbol``, or gzipped.

        Raises
        ------
        ValueError
            When one of the two columns is missing.
        """
        path = Path(path)
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as handle:
            reader = csv.DictReader(handle, delimiter="\t")
            missing = {"Symbol", "Approved.Symbol"}.difference(reader.fieldnames or ())
            if missing:
                msg = problem(
                    f"{path.name} to have the columns Symbol and Approved.Symbol",
                    f"no column {shorten(sorted(missing))}",
                    "Rename the columns, or use SymbolResolver.from_hgnc for HGNC's own file.",
                )
                raise ValueError(msg)
            pairs = [(row["Symbol"], row["Approved.Symbol"]) for row in reader]
        previous: dict[str, list[str]] = {new: [] for _, new in pairs if new not in ("", "NA")}
        for old, new in pairs:
            if new in previous and old != new:
                previous[new].append(old)
        return cls([(symbol, tuple(old), (), "") for symbol, old in previous.items()])

    def __len__(self) -> int:
        return len(self._approved)

    def __repr__(self) -> str:
        return f"SymbolResolver({len(self):,} approved symbols)"

    def __contains__(self, name: str) -> bool:
        """Whether ``name`` is an approved symbol, exactly."""
        return name in self._approved

    def resolve(self, names: Iterable[str], *, serials: bool | None = None) -> pd.DataFrame:
        """
        Resolve gene names.

        Parameters
        ----------
        names
            Gene symbols or Ensembl ids, in any mixture.
        serials
            Whether five-digit numbers are dates as a spreadsheet stores them, rather than Entrez
            ids; by default, when few of the names are such numbers.

        Returns
        -------
        One row per name, in order, with the columns ``name``, ``symbol`` (approved symbol or
        ``None``), ``how`` (``exact``, ``case``, ``previous``, ``alias``, ``ensembl``,
        ``spreadsheet``, ``ambiguous`` or ``unmatched``) and ``candidates`` (tuple of approved
        symbols). A name damaged by a spreadsheet has a symbol only where one gene explains it.
        """
        names = [str(name) for name in names]
        found = self.look_up(names, serials=serials)
        return pd.DataFrame(
            {
                "name": pd.Series(names, dtype=object),
                "symbol": pd.Series([entry[0] for entry in found], dtype=object),
                "how": pd.Series([entry[1] for entry in found], dtype=object),
                "candidates": pd.Series([entry[2] for entry in found], dtype=object),
            }
        )

    def look_up(self, names: Sequence[str], *, serials: bool | None = None) -> list[Resolution]:
        """
        Return symbol, how and candidates of each name: :meth:`resolve` without the table.

        Parameters
        ----------
        names
            Gene symbols or Ensembl ids, in any mixture.
        serials
            As for :meth:`resolve`.
        """
        serials = serials_are_dates(names) if serials is None else serials
        known = {name: self._resolve_one(name, serials=serials) for name in dict.fromkeys(names)}
        return [known[name] for name in names]

    def _resolve_one(self, name: str, *, serials: bool) -> Resolution:
        if name in self._approved:
            return name, "exact", (name,)
        if name in _MISSING:
            return None, "unmatched", ()
        key = name.upper()
        for how, table in (
            ("case", self._upper),
            ("previous", self._previous),
            ("alias", self._alias),
            ("ensembl", self._ensembl),
        ):
            hits = table.get((ensembl_base(name) or "") if how == "ensembl" else key)
            if hits:
                unique = len(hits) == 1
                return (hits[0], how, hits) if unique else (None, "ambiguous", hits)
        originals = original_symbols(name, serials=serials)
        if originals is None:
            return None, "unmatched", ()
        candidates = self._candidates(originals)
        return (candidates[0] if len(candidates) == 1 else None), "spreadsheet", candidates

    def _candidates(self, spellings: list[str]) -> tuple[str, ...]:
        tables = (self._upper, self._previous, self._alias)
        return tuple(
            sorted({hit for old in spellings for table in tables for hit in table.get(old, ())})
        )


@functools.cache
def _bundled() -> SymbolResolver:
    table = resources.files("dtp_scvi.data").joinpath("resources", "hgnc_symbols.tsv.gz")
    lines = gzip.decompress(table.read_bytes()).decode().splitlines()[1:]
    rows = []
    for line in lines:
        symbol, previous, alias, ensembl = line.split("\t")
        rows.append(
            (
                symbol,
                tuple(previous.split("|")) if previous else (),
                tuple(alias.split("|")) if alias else (),
                ensembl,
            )
        )
    return SymbolResolver(rows)
