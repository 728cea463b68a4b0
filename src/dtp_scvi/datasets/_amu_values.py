"""The values of the published 160-gene tables: shares, or -ln of shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import align_genes
from dtp_scvi.stats._composition import Closure, close_rows, closure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dtp_scvi.datasets._report import Report
    from dtp_scvi.datasets._tables import Table

LABELS: Final = ("response", "response_amu")
# Rows whose label was in the total sum to 0.999: still shares, and a finding.
_NEAR_ONE: Final = 0.01
_TOLERANCE: Final = 1e-6


class Shares(NamedTuple):
    """
    What a table holds.

    Attributes
    ----------
    as_read
        Values of the file, float64, (n, n_genes).
    closed
        Rows that sum to 1, (n, n_genes).
    label
        0 or 1, as released, (n,).
    genes
        Names of the columns.
    scale
        ``"ratio"`` or ``"-ln(ratio)"``.
    sums
        How rows added up before they were closed.
    missing
        Genes that were asked for and are not there.
    """

    as_read: np.ndarray
    closed: np.ndarray
    label: np.ndarray
    genes: list[str]
    scale: str
    sums: Closure
    missing: tuple[str, ...]


def read_shares(table: Table, genes: Iterable[str] | None, report: Report) -> Shares:
    """Check the table and close its rows; the sums are those of all its genes."""
    frame, label = _split(table)
    values = _numbers(frame, table.name)
    ratio, scale = _ratios(values, table.name)
    sums = closure(ratio.sum(axis=1), _TOLERANCE)
    names, columns, missing = _choose(list(frame.columns), genes, report)
    ratio, values = ratio[:, columns], values[:, columns]
    empty = np.flatnonzero(ratio.sum(axis=1) == 0)
    if empty.size:
        msg = problem(
            f"a value above 0 in every row of {table.name}",
            f"rows of zeros: {shorten(empty, 10)}",
            "Drop them, or ask for more genes.",
        )
        raise ValueError(msg)
    return Shares(values, close_rows(ratio), label, names, scale, sums, missing)


def _split(table: Table) -> tuple[pd.DataFrame, np.ndarray]:
    found = [name for name in LABELS if name in table.frame]
    if len(found) != 1:
        msg = problem(
            f"one column of {' or '.join(map(repr, LABELS))} in {table.name}",
            shorten(found) if found else f"columns {shorten(table.frame.columns)}",
            "Is this the table of 160 genes and a response?",
        )
        raise KeyError(msg)
    label = pd.to_numeric(table.frame[found[0]], errors="coerce")
    if not label.isin([0, 1]).all():
        strange = table.frame.loc[~label.isin([0, 1]), found[0]].unique()
        msg = problem(f"0 or 1 in {found[0]!r} of {table.name}", shorten(strange), "Check it.")
        raise ValueError(msg)
    frame = table.frame.drop(columns=found)
    frame.columns = frame.columns.astype(str)
    return frame, label.to_numpy(np.int64)


def _numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    words = [str(column) for column, kind in frame.dtypes.items() if kind.kind not in "fiu"]
    if words or frame.shape[1] == 0 or len(frame) == 0:
        msg = problem(
            f"rows and columns of numbers beside the response in {name}",
            f"{len(frame):,} rows, columns of words: {shorten(words)}",
            "Leave out columns that are no genes.",
        )
        raise ValueError(msg)
    values = frame.to_numpy(np.float64)
    bad = ~np.isfinite(values) | (values < 0)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        msg = problem(
            f"finite values of at least 0 in {name}: a share of a total",
            f"{int(bad.sum()):,} others, the first {values[row, column]:g} in row {row}, "
            f"gene {frame.columns[column]!r}",
            "Standardised tables are no composition; read the table of ratios.",
        )
        raise ValueError(msg)
    return values


def _ratios(values: np.ndarray, name: str) -> tuple[np.ndarray, str]:
    """Return shares and the scale of the file."""
    if _near_one(values.sum(axis=1)):
        return values, "ratio"
    # The released logarithm left zeros at 0, where -ln(share) is infinite.
    undone = np.where(values == 0, 0.0, np.exp(-values))
    if _near_one(undone.sum(axis=1)):
        return undone, "-ln(ratio)"
    total = values.sum(axis=1)
    msg = problem(
        f"rows of {name} that sum to 1, or are -ln of such rows",
        f"sums from {total.min():g} to {total.max():g}",
        "Other matrices go through dtp.pp.close_composition.",
    )
    raise ValueError(msg)


def _near_one(total: np.ndarray) -> bool:
    return bool((np.abs(total - 1) <= _NEAR_ONE).all())


def _choose(
    columns: list[str], genes: Iterable[str] | None, report: Report
) -> tuple[list[str], list[int], tuple[str, ...]]:
    """Return names, positions, and missing names, in the order that was asked for."""
    if genes is None:
        return columns, list(range(len(columns))), ()
    wanted = [str(gene) for gene in ([genes] if isinstance(genes, str) else genes)]
    matched = align_genes(columns, wanted)
    if matched.duplicated:
        listed = [f"{gene} ({', '.join(names)})" for gene, names in matched.duplicated.items()]
        msg = problem("one column a gene", shorten(listed), "Keep one of them.")
        raise ValueError(msg)
    if not len(matched.target):
        msg = problem("some of `genes` in the table", f"none of {shorten(wanted)}", "Check names.")
        raise ValueError(msg)
    report.add("genes", matched.missing, "not in the table")
    report.add("expression", matched.unmatched, "not among the genes asked for")
    order = np.argsort(matched.target, kind="stable")
    names = [wanted[i] for i in matched.target[order]]
    return names, [int(i) for i in matched.source[order]], matched.missing
