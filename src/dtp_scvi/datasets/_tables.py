"""Read a table from text, a workbook or a DataFrame, and note where it came from."""

from __future__ import annotations

import csv
import gzip
import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from dtp_scvi._optional import require
from dtp_scvi._validate import check_file, problem

TEXT_SUFFIXES: Final = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
_SEPARATORS: Final = {"\t": "tabs", ",": "commas", ";": "semicolons"}
_WORKBOOK: Final = ".xlsx"


@dataclass(frozen=True)
class Table:
    """A table, the part it plays, and the name, size and SHA-256 of the file it came from."""

    frame: pd.DataFrame
    role: str
    name: str
    sha256: str = ""
    n_bytes: int = 0


def read_table(
    source: str | Path | pd.DataFrame,
    role: str,
    *,
    what: str = "a table (.csv, .tsv, .txt or .xlsx)",
    named_rows: bool = False,
) -> Table:
    """
    Read a table.

    Parameters
    ----------
    source
        Text separated by tabs, commas or semicolons, maybe gzipped; the first sheet of a
        workbook; or a table in memory, which is not copied.
    role
        What the table is for, as records and messages name it.
    what
        What the file should be, for messages.
    named_rows
        Whether the first column names the rows. Repeated names in the header are kept then.
        Otherwise lines before the header that start with ``#`` are skipped.
    """
    if isinstance(source, pd.DataFrame):
        return Table(source, role, "DataFrame")
    path = Path(source)
    check_file(path, what)
    if path.name.lower().endswith(_WORKBOOK):
        frame = _read_workbook(path, what, named_rows=named_rows)
    else:
        frame = _read_text(path, what, named_rows=named_rows)
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    return Table(frame, role, path.name, digest, path.stat().st_size)


def file_records(tables: list[Table]) -> pd.DataFrame:
    """List role, file name, SHA-256 and size of tables; the folder is nobody's business."""
    return pd.DataFrame(
        {
            "role": [table.role for table in tables],
            "name": [table.name for table in tables],
            "sha256": [table.sha256 for table in tables],
            "bytes": [table.n_bytes for table in tables],
        },
        index=[str(number) for number in range(len(tables))],
    )


def _read_workbook(path: Path, what: str, *, named_rows: bool) -> pd.DataFrame:
    require("openpyxl", "cohort")
    try:
        with warnings.catch_warnings():
            # Openpyxl remarks on styles and validations that hold no data.
            warnings.filterwarnings("ignore", module="openpyxl")
            return pd.read_excel(path, engine="openpyxl", index_col=0 if named_rows else None)
    except (ValueError, OSError, KeyError) as error:
        raise _unreadable(path, what, error) from error


def _read_text(path: Path, what: str, *, named_rows: bool) -> pd.DataFrame:
    try:
        skipped, header = _header(path, comments=not named_rows)
        separator = max(_SEPARATORS, key=header.count)
        if separator not in header:
            msg = f"no tab, comma or semicolon in its first line ({header[:40]!r})"
            raise ValueError(msg)
        frame = pd.read_csv(
            path,
            sep=separator,
            skiprows=skipped,
            index_col=0 if named_rows else None,
            low_memory=False,
            encoding="utf-8-sig",
        )
    except (ValueError, OSError, EOFError) as error:
        raise _unreadable(path, what, error) from error
    if named_rows:
        _restore_header(frame, next(csv.reader([header], delimiter=separator)))
    return frame


def _restore_header(frame: pd.DataFrame, header: list[str]) -> None:
    """Undo the numbers by which pandas tells repeated columns apart."""
    # R leaves out the corner, so that the header is one name short.
    names = header if len(header) == frame.shape[1] else header[1:]
    if len(names) == frame.shape[1]:
        frame.columns = pd.Index(
            [name or old for name, old in zip(names, frame.columns, strict=True)]
        )


def _header(path: Path, *, comments: bool) -> tuple[int, str]:
    """Return how many lines lie before the header, and the header."""
    with path.open("rb") as binary:
        zipped = binary.read(2) == b"\x1f\x8b"
    opener: Any = gzip.open if zipped else open
    with opener(path, "rt", encoding="utf-8-sig") as handle:
        for number, line in enumerate(handle):
            if not (comments and line.startswith("#")):
                return number, str(line).rstrip("\r\n")
    return 0, ""


def _unreadable(path: Path, what: str, error: Exception) -> ValueError:
    found = (str(error).strip() or type(error).__name__).split("\n")[0]
    return ValueError(problem(f"{path.name} to be {what}", found, "Check the file."))
