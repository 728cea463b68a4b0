"""Read an expression matrix from text; which way round it lies is found by gene names."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi._validate import problem, shorten
from dtp_scvi.cli._input import check_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData

TEXT_SUFFIXES: Final = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
_WHAT: Final = "a table of genes and samples (.csv, .tsv)"
_SEPARATORS: Final = {"\t": "tabs", ",": "commas", ";": "semicolons"}


def is_text(path: Path) -> bool:
    """Tell whether the name of ``path`` is that of a text table."""
    return path.name.lower().endswith(TEXT_SUFFIXES)


def read_matrix(
    path: Path, genes: Iterable[str], *, gene_key: str | None = None
) -> tuple[AnnData, str]:
    """
    Read a text matrix into an AnnData, samples in rows.

    Parameters
    ----------
    path
        Separated by tabs, commas or semicolons, maybe gzipped; names in the first line and the
        first column.
    genes
        Gene names of the model: the side that matches more of them holds the genes.
    gene_key
        Text column with gene names, for a table with genes in rows.

    Returns
    -------
    The data and a sentence that says which way round the table lay. Text columns become columns
    of ``var`` where genes are in rows, of ``obs`` where samples are.

    Raises
    ------
    ValueError
        Not such a table, or no side with names of the model's genes.
    """
    check_file(path, _WHAT)
    frame = _read_frame(path)
    text = [name for name, kind in frame.dtypes.items() if kind.kind not in "fiub"]
    values, notes = frame.drop(columns=text), frame[text]
    if values.empty:
        msg = problem(f"numbers in {path.name}", f"a table of shape {frame.shape}", "Check it.")
        raise ValueError(msg)
    in_rows, why = _orient(path, values, notes, list(genes), gene_key)
    adata = _build(values, notes, in_rows=in_rows)
    if text:
        why += f" Kept as notes: {shorten(text)}."
    return adata, why


def _build(values: pd.DataFrame, notes: pd.DataFrame, *, in_rows: bool) -> AnnData:
    import warnings

    from anndata import AnnData

    matrix = values.to_numpy(dtype=np.float32)
    notes = notes.set_axis(values.index.astype(str)).astype(str).where(notes.notna().to_numpy())
    other = values.columns.astype(str).to_frame(name="name")[[]]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*names are not unique")
        if in_rows:
            return AnnData(np.ascontiguousarray(matrix.T), obs=other, var=notes)
        return AnnData(matrix, obs=notes, var=other)


def _read_frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        first = _first_line(path)
        separator = max(_SEPARATORS, key=first.count)
        if separator not in first:
            msg = f"no tab, comma or semicolon in its first line ({first[:40]!r})"
            raise ValueError(msg)
        return pd.read_csv(path, sep=separator, index_col=0, low_memory=False)
    except (ValueError, OSError, EOFError) as error:
        found = str(error).strip().split("\n")[0]
        msg = problem(f"{path.name} to be {_WHAT}", found, "Check the file.")
        raise ValueError(msg) from error


def _first_line(path: Path) -> str:
    with path.open("rb") as handle:
        zipped = handle.read(2) == b"\x1f\x8b"
    opener: Any = gzip.open if zipped else open
    with opener(path, "rt", encoding="utf-8-sig") as handle:
        return str(handle.readline()).rstrip("\r\n")


def _orient(
    path: Path,
    values: pd.DataFrame,
    notes: pd.DataFrame,
    genes: list[str],
    gene_key: str | None,
) -> tuple[bool, str]:
    """Tell whether genes are in rows, and word it."""
    if gene_key is not None and gene_key in notes:
        return True, f"Genes are in rows: their names are taken from column {gene_key!r}."
    rows, columns = list(map(str, values.index)), list(map(str, values.columns))
    by_row, by_column = _found(rows, genes), _found(columns, genes)
    if by_row == by_column == 0:
        msg = problem(
            f"names of the model's genes ({shorten(genes, 3)}) in the first column or the first "
            f"line of {path.name}",
            f"{shorten(rows, 3)} down and {shorten(columns, 3)} across",
            "Name the column with gene names by `gene_key`."
            if len(notes.columns)
            else "Check it.",
        )
        raise ValueError(msg)
    matches = (
        f"{by_row:,} of {len(genes):,} model genes are named in the first column, "
        f"{by_column:,} in the first line"
    )
    if by_row >= by_column:
        return True, f"Genes are in rows: {matches}."
    return False, f"Genes are in columns: {matches}."


def _found(names: list[str], genes: list[str]) -> int:
    from dtp_scvi import data

    return int(data.align_genes(names, genes).observed.sum())
