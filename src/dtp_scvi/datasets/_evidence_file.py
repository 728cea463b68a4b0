"""Open a table of target evidence, zipped or not, and find its columns."""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import pandas as pd

from dtp_scvi._validate import check_file, near_matches, problem, shorten
from dtp_scvi.data import header_word
from dtp_scvi.datasets._tables import Table, read_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Source: TypeAlias = str | Path | pd.DataFrame

_TEXT: Final = (".csv", ".tsv", ".txt", ".gct", ".gz", ".xlsx")


def read_evidence(source: Source, role: str, what: str, *, named_rows: bool = False) -> Table:
    """Read text, gzipped text, a workbook, a zip archive with one such file, or a table."""
    if isinstance(source, pd.DataFrame) or not str(source).lower().endswith(".zip"):
        return read_table(source, role, what=what, named_rows=named_rows)
    path = Path(source)
    check_file(path, what)
    with tempfile.TemporaryDirectory() as folder:
        inside = unzip(path, Path(folder), what)
        table = read_table(inside, role, what=what, named_rows=named_rows)
    return replace(table, name=f"{path.name}/{table.name}")


def unzip(path: Path, folder: Path, what: str) -> Path:
    """Extract the one table of an archive."""
    if not zipfile.is_zipfile(path):
        msg = problem(f"{path.name} to be a zip archive with {what}", "no archive", "Check it.")
        raise ValueError(msg)
    with zipfile.ZipFile(path) as archive:
        # Archives made on a Mac carry shadow files.
        members = [
            name
            for name in archive.namelist()
            if name.lower().endswith(_TEXT) and not Path(name).name.startswith(("._", "."))
        ]
        if len(members) != 1:
            msg = problem(
                f"one table in {path.name}", shorten(members), "Extract the right one and name it."
            )
            raise ValueError(msg)
        target = folder / Path(members[0]).name
        target.write_bytes(archive.read(members[0]))
    return target


def find_columns(
    frame: pd.DataFrame, wanted: Mapping[str, Sequence[str]]
) -> tuple[dict[str, str], list[str]]:
    """
    Find columns whatever their punctuation, which differs between releases and programs.

    Parameters
    ----------
    frame
        Table as read.
    wanted
        Own name -> header words (see :func:`~dtp_scvi.data.header_word`), the best first.

    Returns
    -------
    Own name -> column of the file, and the own names that are not there.
    """
    words = {header_word(name): str(name) for name in reversed(list(frame.columns))}
    found = {
        own: next(words[word] for word in options if word in words)
        for own, options in wanted.items()
        if any(word in words for word in options)
    }
    return found, [own for own in wanted if own not in found]


def pick_tissues(available: Iterable[object], tissues: Sequence[str] | None) -> list[str]:
    """Return the names as the table has them, in any case of letters; all by default."""
    options = [str(name) for name in available]
    if tissues is None:
        return options
    if isinstance(tissues, str):
        tissues = [tissues]
    by_word = {header_word(name): name for name in options}
    chosen = []
    for name in tissues:
        if header_word(name) not in by_word:
            msg = problem(
                "`tissues` to name tissues of the table",
                repr(name),
                near_matches(str(name).lower(), options),
            )
            raise KeyError(msg)
        chosen.append(by_word[header_word(name)])
    return chosen
