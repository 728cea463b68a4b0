"""Read lists of genes, and one value a gene, from text, CSV or JSON; pickles are refused."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from dtp_scvi._validate import check_file, problem, shorten
from dtp_scvi.data._headers import are_headers

if TYPE_CHECKING:
    from collections.abc import Iterable

_PICKLES: Final = frozenset({".pkl", ".pickle", ".p", ".joblib", ".pt", ".bin"})
_PAIR: Final = 2


def read_gene_names(source: Iterable[str] | str | Path) -> list[str]:
    """
    Return gene names in order: those given, or the first column of a text file.

    Parameters
    ----------
    source
        Names, or the path of a file with one gene a line: text, CSV or TSV, or gzipped. Lines
        that are empty or start with ``#`` and a header such as ``gene_name`` are skipped.
    """
    if not isinstance(source, str | Path):
        return [str(name) for name in source]
    rows = _rows(Path(source), "a list of genes, one a line")
    return [row[0] for row in rows if row[0]]


def read_gene_values(source: Any, what: str, *, repeats: bool = False) -> dict[str, Any]:
    """
    Return one value a gene, as given or from a JSON object or a two-column CSV or TSV file.

    Parameters
    ----------
    source
        A mapping, a series, or the path of a ``.json``, ``.csv`` or ``.tsv`` file, or gzipped.
    what
        What the values are, for messages.
    repeats
        Whether a gene may repeat; its first value counts then.

    Raises
    ------
    ValueError
        For a pickle, a file that is neither, rows without two columns, or genes that repeat.
    """
    if isinstance(source, pd.Series):
        pairs = [(str(name), value) for name, value in source.items()]
        return _table(pairs, what, "the series", repeats=repeats)
    if isinstance(source, Mapping):
        return {str(name): value for name, value in source.items()}
    if not isinstance(source, str | Path):
        msg = problem(
            f"{what} as a mapping or the path of a JSON or CSV file",
            type(source).__name__,
            "Pass one of these.",
        )
        raise TypeError(msg)
    path = Path(source)
    if ".json" in path.suffixes:
        return _json(path, what)
    rows = _rows(path, what)
    short = [",".join(row) for row in rows if len(row) < _PAIR or not row[0]]
    if short:
        msg = problem(
            f"a gene and a value in each line of {path.name} ({what})",
            f"{len(short):,} lines without, such as {shorten(short, 2)}",
            "Keep two columns.",
        )
        raise ValueError(msg)
    return _table([(row[0], row[1]) for row in rows], what, path.name, repeats=repeats)


def _table(
    pairs: list[tuple[str, Any]], what: str, where: str, *, repeats: bool
) -> dict[str, Any]:
    # From the end, so that the first value of a gene stays.
    table = dict(reversed(pairs))
    if len(table) < len(pairs) and not repeats:
        twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        msg = problem(
            f"each gene once in {where} ({what})", f"repeats of {shorten(twice)}", "Remove them."
        )
        raise ValueError(msg)
    return {name: table[name] for name, _ in pairs}


def _text(path: Path, what: str) -> str:
    """Read a text file; a pickle could run code when it is opened, so none is."""
    if path.suffix.lower() in _PICKLES:
        msg = problem(
            f"{what} as text: JSON or CSV",
            f"{path.name}, a pickle, which can run code when it is opened",
            "Where you trust the file, convert it once yourself:\n"
            f"table = pickle.loads(Path({path.name!r}).read_bytes())\n"
            f"Path({path.stem + '.json'!r}).write_text("
            "json.dumps({str(k): float(v) for k, v in table.items()}))",
        )
        raise ValueError(msg)
    check_file(path, what)
    raw = path.read_bytes()
    try:
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = problem(f"{path.name} ({what}) to be text", str(error), "Check what it holds.")
        raise ValueError(msg) from error


def _json(path: Path, what: str) -> dict[str, Any]:
    text = _text(path, what)
    try:
        table = json.loads(text)
    except json.JSONDecodeError as error:
        msg = problem(f"{path.name} ({what}) to be JSON", str(error), "Check what it holds.")
        raise ValueError(msg) from error
    if not isinstance(table, dict):
        msg = problem(
            f"a JSON object, gene to value, in {path.name} ({what})",
            f"a {type(table).__name__}",
            "Write an object.",
        )
        raise ValueError(msg)
    return table


def _rows(path: Path, what: str) -> list[list[str]]:
    """Split lines at tabs or commas and leave a header out."""
    lines = [line for line in _text(path, what).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("#")]
    tab = bool(lines) and "\t" in lines[0]
    rows = [
        [field.strip() for field in row]
        for row in csv.reader(lines, delimiter="\t" if tab else ",")
    ]
    if rows and are_headers(rows[0][:1])[0]:
        rows = rows[1:]
    if not rows:
        msg = problem(f"{what} in {path.name}", "no line", "Check that the file is complete.")
        raise ValueError(msg)
    return rows


def names_digest(names: Iterable[str]) -> str:
    """Return 16 digits of the SHA-256 of names in their order."""
    return hashlib.sha256("\n".join(map(str, names)).encode()).hexdigest()[:16]
