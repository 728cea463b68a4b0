"""Report the symbols of a network that a spreadsheet turned into dates or numbers."""

from __future__ import annotations

from typing import Final

import pandas as pd

from dtp_scvi._logging import warn
from dtp_scvi._validate import problem, shorten

COLUMNS: Final = ("source", "target", "weight", "original", "how", "candidates")


def damaged_symbols(net: pd.DataFrame) -> pd.DataFrame:
    """
    List the symbols of a network that a spreadsheet turned into dates or numbers.

    Parameters
    ----------
    net
        What :func:`read_network` or :func:`as_network` returned.

    Returns
    -------
    One row each: ``source`` (set), ``original`` (the name as found), ``symbol`` (the gene it
    stands for where only one can be meant, otherwise an empty string) and ``candidates``.
    Day numbers are counted from 1900; workbooks that count from 1904 give other dates.

    Raises
    ------
    KeyError
        When the table has no such columns.

    Examples
    --------
    >>> import warnings
    >>> from dtp_scvi.data import as_network, damaged_symbols
    >>> with warnings.catch_warnings(action="ignore"):
    ...     net = as_network({"A": ["CD34", "4-Sep", "1-Mar"]})
    >>> damaged_symbols(net).values.tolist()
    [['A', '4-Sep', 'SEPTIN4', ''], ['A', '1-Mar', '', 'MARCHF1|MTARC1|RTL1']]
    """
    for column in COLUMNS:
        if column not in net:
            todo = "Pass the result of data.read_network or data.as_network."
            msg = problem(f"a network with the column {column!r}", shorten(net.columns), todo)
            raise KeyError(msg)
    rows = net[net["how"] == "spreadsheet"]
    symbol = rows["target"].where(rows["target"] != rows["original"], "")
    columns = {"source": rows["source"], "original": rows["original"], "symbol": symbol}
    return pd.DataFrame({**columns, "candidates": rows["candidates"]}).reset_index(drop=True)


def warn_damaged(net: pd.DataFrame) -> None:
    """Warn of damaged symbols by name, with the set they are in and the gene they stand for."""
    damaged = damaged_symbols(net)
    if damaged.empty:
        return
    shown = shorten(
        (
            f"{row.original} in {row.source} ({row.symbol or row.candidates or 'unknown'})"
            for row in damaged.itertuples()
        ),
        8,
    )
    n_taken = int((damaged["symbol"] != "").sum())
    warn(
        f"{len(damaged):,} symbols were turned into dates or numbers by a spreadsheet: {shown}. "
        f"{n_taken:,} can only be one gene and are taken for it, the others match nothing; "
        "data.damaged_symbols lists all. Take the symbols from the original source."
    )
