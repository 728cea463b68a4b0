"""Read HGNC's gene table in its two published layouts."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from dtp_scvi._validate import problem, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

# Entries that no assay of expression measures; their aliases would only create ambiguity.
_NOT_EXPRESSED = frozenset({"phenotype only", "fragile site", "virus integration site"})

# Our column -> (name in hgnc_complete_set.txt, name in HGNC's custom downloads).
_COLUMNS = {
    "symbol": ("symbol", "Approved symbol"),
    "previous": ("prev_symbol", "Previous symbols"),
    "alias": ("alias_symbol", "Alias symbols"),
    "ensembl": ("ensembl_gene_id", "Ensembl gene ID"),
    "status": ("status", "Status"),
    "locus_type": ("locus_type", "Locus type"),
}

GeneRow = tuple[str, tuple[str, ...], tuple[str, ...], str]


def _split(cell: str) -> tuple[str, ...]:
    separator = "|" if "|" in cell else ","
    parts = (part.strip().strip('"').strip() for part in cell.strip('"').split(separator))
    return tuple(part for part in parts if part)


def _open_text(path: Path) -> Iterator[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as handle:
        yield from handle


def _positions(header: list[str], path: Path) -> dict[str, int]:
    for layout in (0, 1):
        wanted = {ours: names[layout] for ours, names in _COLUMNS.items()}
        if all(name in header for name in wanted.values()):
            return {ours: header.index(name) for ours, name in wanted.items()}
    complete = [names[0] for names in _COLUMNS.values()]
    missing = [name for name in complete if name not in header]
    msg = problem(
        f"{path.name} to have the tab-separated columns of HGNC's hgnc_complete_set.txt",
        f"no column {shorten(missing, 6)} among {shorten(header, 6)}",
        "Download the complete set (TXT) from HGNC, or use SymbolResolver.from_pairs for a "
        "two-column symbol table.",
    )
    raise ValueError(msg)


def read_hgnc(path: str | Path) -> list[GeneRow]:
    """
    Read HGNC's complete set or a custom download, approved and expressible entries only.

    Parameters
    ----------
    path
        ``hgnc_complete_set.txt`` (lists separated by ``|``) or a custom download with the columns
        "Approved symbol", "Previous symbols", "Alias symbols", "Ensembl gene ID", "Status" and
        "Locus type" (lists separated by commas). A name ending in ``.gz`` is decompressed.

    Returns
    -------
    One ``(symbol, previous symbols, alias symbols, Ensembl gene id)`` per gene, sorted by symbol.

    Raises
    ------
    ValueError
        When a column is missing, or when no row is approved.
    """
    path = Path(path)
    lines = csv.reader(_open_text(path), delimiter="\t", quoting=csv.QUOTE_NONE)
    at = _positions([name.strip('"') for name in next(lines, [])], path)
    rows = []
    for fields in lines:
        row = {name: fields[i].strip() if i < len(fields) else "" for name, i in at.items()}
        if row["status"] != "Approved" or row["locus_type"] in _NOT_EXPRESSED:
            continue
        rows.append((row["symbol"], _split(row["previous"]), _split(row["alias"]), row["ensembl"]))
    if not rows:
        msg = problem(
            f"approved genes in {path.name}", "none", "Check that the download is complete."
        )
        raise ValueError(msg)
    return sorted(rows)
