"""Read a table whose first column names the rows; names are text, so that 0012 stays 0012."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd


def read_named_rows(
    path: Path, role: str, what: str, *, names: Sequence[str] = ()
) -> pd.DataFrame:
    """
    Read a text table or workbook by its first column, which must not repeat itself.

    Parameters
    ----------
    path
        Text separated by tabs, commas or semicolons, or a workbook.
    role
        What the table is for, as messages name it.
    what
        What the file should be, for messages.
    names
        Other columns that hold names; those that the table lacks are passed over.
    """
    from dtp_scvi.datasets._tables import read_table

    table = read_table(path, role, what=what, named_rows=True).frame
    table.columns = table.columns.astype(str)
    columns = list(table.columns)
    named = [name for name in names if name in columns]
    cells = _cells(path, [0, *(columns.index(name) + 1 for name in named)])
    table.index = _as_index(_whole(cells[0]), path)
    for name in named:
        table[name] = _whole(cells[columns.index(name) + 1]).to_numpy()
    return table


def _cells(path: Path, positions: list[int]) -> pd.DataFrame:
    """Read some columns below the header as they are written."""
    import pandas as pd

    # The same finding of header and separator as in read_table, whose numbers stay as they are.
    from dtp_scvi.datasets._tables import _SEPARATORS, _WORKBOOK, _header

    layout = {"header": None, "skiprows": 1, "usecols": sorted(positions), "dtype": str}
    if path.name.lower().endswith(_WORKBOOK):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="openpyxl")
            return pd.read_excel(path, engine="openpyxl", **layout)
    header = _header(path, comments=False)[1]
    separator = max(_SEPARATORS, key=header.count)
    return pd.read_csv(path, sep=separator, encoding="utf-8-sig", **layout)


def _whole(names: pd.Series) -> pd.Series:
    """Write 12.0 as 12 where all names are such: a tool kept whole numbers with a decimal."""
    names = names.astype(object)
    known = names.dropna().astype(str)
    if len(known) and known.str.fullmatch(r"\d+\.0+").all():
        return names.str.replace(r"\.0+$", "", regex=True)
    return names


def _as_index(names: pd.Series, path: Path) -> pd.Index:
    """Return names as an index; one that is missing or repeated is an error."""
    import pandas as pd

    from dtp_scvi._validate import problem, shorten

    missing = int(names.isna().sum())
    if missing:
        msg = problem(
            f"a name in the first column of {path.name}", f"{missing:,} missing", "Fill."
        )
        raise ValueError(msg)
    twice = names[names.duplicated()].unique()
    if len(twice):
        msg = problem(
            f"each name once in the first column of {path.name}",
            f"{len(twice):,} repeated: {shorten(twice, 3)}",
            "Keep one row of each.",
        )
        raise ValueError(msg)
    return pd.Index(names.astype(str).to_numpy(dtype=object))
