"""Read a matrix of genes and samples, whichever way round it lies."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi import __version__
from dtp_scvi._constants import COHORT_KEY
from dtp_scvi._validate import check_key, check_one_of, problem, shorten
from dtp_scvi.data import are_headers
from dtp_scvi.datasets._bulk_values import as_numbers, is_text, missing_values
from dtp_scvi.datasets._orientation import gene_column, genes_in_rows
from dtp_scvi.datasets._report import Report
from dtp_scvi.datasets._tables import Table, file_records, read_table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_WHAT: Final = "a table of genes and samples (.csv, .tsv)"
# A symbol may start like an Ensembl id (ENSA); a whole column of them does not.
_MOST: Final = 0.5


def read_bulk(
    matrix: str | Path | pd.DataFrame,
    *,
    orientation: Literal["auto", "genes_in_rows", "genes_in_columns"] = "auto",
    gene_key: str | None = None,
    genes: Iterable[str] | None = None,
) -> AnnData:
    """
    Read a text table of genes and samples into an AnnData with samples in rows.

    Which side holds the genes is found by their names. Headers that are known to describe genes
    (``Entrez_Gene_Id``, ``Hugo_Symbol``, ``Description``, ``biotype``, chromosome, length and
    their like, in any spelling) never become samples: they are set aside as columns of ``var``,
    and so are columns that hold no number at all. Nothing is normalised.

    Parameters
    ----------
    matrix
        Path of a table separated by tabs, commas or semicolons, maybe gzipped, with names in the
        first line and the first column; or a DataFrame whose index and columns are the names.
    orientation
        ``"genes_in_rows"`` or ``"genes_in_columns"``; by default found by gene names.
    gene_key
        Column that names the genes, where genes are in rows; it stays in ``var``. By default the
        names of the rows, or, where these are mere numbers, the column whose header says that
        it holds symbols or Ensembl ids.
    genes
        Names of genes to look for, as those of a model. By default any approved or previous
        symbol or Ensembl id that HGNC knows; aliases count for nothing, as samples are often
        called like one ("S1").

    Returns
    -------
    Annotated data, samples x genes, with

    ``X``
        Dense float32. **Missing values stay missing (NaN)**; models refuse them, and the report
        says where they are.
    ``obs``, ``var``
        Text columns beside the samples or the genes.
    ``uns["dtp_cohort"]``
        ``"reader"``, ``"version"``, ``"orientation"`` (a sentence), ``"files"`` (role, name,
        SHA-256, size) and ``"report"``: ``table``, ``id``, ``rows``, ``outcome`` (``"dropped"``
        or ``"kept"``), ``reason``.

    Raises
    ------
    FileNotFoundError
        No such file.
    KeyError
        If ``gene_key`` is not a column.
    ValueError
        Not such a table, no side with gene names, text among the values, an infinite value or a
        sample that is there twice.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> table = pd.DataFrame(
    ...     {"Entrez_Gene_Id": [947, 3815], "s1": [1.5, 0.0], "s2": [2.0, 3.0]},
    ...     index=["CD34", "KIT"],
    ... )
    >>> bulk = dtp.datasets.read_bulk(table)
    >>> bulk.obs_names.tolist(), bulk.var_names.tolist()
    (['s1', 's2'], ['CD34', 'KIT'])
    >>> bulk.uns["dtp_cohort"]["report"]["id"].tolist()
    ['Entrez_Gene_Id']
    """
    check_one_of(orientation, ("auto", "genes_in_rows", "genes_in_columns"), "orientation")
    table = read_table(matrix, "expression", what=_WHAT, named_rows=True)
    report = Report()
    in_rows, why = _orient(table, orientation, gene_key, None if genes is None else [*genes])
    if not in_rows and gene_key is not None:
        msg = problem(
            "`gene_key` with genes in rows only", why.rstrip("."), "Leave out `gene_key`."
        )
        raise ValueError(msg)
    adata = _build(table, report, in_rows=in_rows)
    if in_rows:
        _name_by_column(adata, table.frame, gene_key)
    _remark(adata, report)
    adata.uns[COHORT_KEY] = {
        "reader": "dtp_scvi.datasets.read_bulk",
        "version": __version__,
        "orientation": why,
        "files": file_records([table]),
        "report": report.frame(),
    }
    return adata


def name_genes(adata: AnnData, column: str) -> None:
    """
    Take the names of genes from a column of ``var``, which stays; the old ones become a column.

    A name that is missing, or that several genes bear, is replaced by the Ensembl id of the gene
    where the old names or another column hold them, so that no gene is lost.
    """
    old = adata.var_names.astype(str)
    kept = adata.var_names.name or "gene_id"
    ids = _ensembl_ids(adata, old)
    new = adata.var[column].astype(object)
    empty = new.isna() | (new.astype(str).str.strip() == "")
    weak = (empty | new.duplicated(keep=False)).to_numpy() & ids.str.startswith("ENS")
    if (empty.to_numpy() & ~weak).any():
        msg = problem(
            f"a name in column {column!r} for every gene",
            f"none for {shorten(old[empty.to_numpy() & ~weak])}",
            "Fill the column, or name another one by `gene_key`.",
        )
        raise ValueError(msg)
    if kept not in adata.var and not old.equals(pd.RangeIndex(len(old)).astype(str)):
        adata.var[kept] = old.to_numpy()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*names are not unique")
        adata.var_names = pd.Index(np.where(weak, ids, new.astype(str)), name=None)


def _ensembl_ids(adata: AnnData, old: pd.Index) -> pd.Index:
    columns = [old, *(pd.Index(adata.var[name].astype(str)) for name in adata.var)]
    return next((c for c in columns if c.str.startswith("ENS").mean() > _MOST), old)


def subset_rows(adata: AnnData, rows: np.ndarray) -> AnnData:
    """Return some rows as an object of their own; names that repeat are in the report."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*names are not unique")
        return adata[rows].copy()


def _names(index: pd.Index) -> list[str]:
    return [str(name) for name in index]


def _are_numbers(names: pd.Index) -> bool:
    return pd.api.types.is_numeric_dtype(names.dtype)


def _orient(
    table: Table, orientation: str, gene_key: str | None, genes: list[str] | None
) -> tuple[bool, str]:
    """Tell whether genes are in rows, and word it."""
    frame = table.frame
    columns = _names(frame.columns)
    if orientation != "auto":
        in_rows = orientation == "genes_in_rows"
        return in_rows, f"Genes are in {'rows' if in_rows else 'columns'}, as was said."
    if gene_key is not None and gene_key in columns:
        return True, f"Genes are in rows: their names are taken from column {gene_key!r}."
    named = gene_column(columns) if _are_numbers(frame.index) else None
    if named is not None:
        return True, f"Genes are in rows: their names are taken from column {named!r}."
    notes = [is_text(frame.iloc[:, i]) for i in range(frame.shape[1])]
    across = [
        column
        for column, aside, note in zip(columns, are_headers(columns), notes, strict=True)
        if not (aside or note)
    ]
    if not across:
        msg = problem(f"numbers in {table.name}", f"a table of shape {frame.shape}", "Check it.")
        raise ValueError(msg)
    rows = _names(frame.index)
    return genes_in_rows(rows, across, genes, where=table.name, has_notes=any(notes))


def _build(table: Table, report: Report, *, in_rows: bool) -> AnnData:
    """Split the table into values, notes on genes and notes on samples."""
    frame = table.frame
    aside = np.array(are_headers(_names(frame.columns)), bool)
    gene_rows = np.zeros(len(frame), bool)
    if not in_rows:
        gene_rows = np.array(are_headers(_names(frame.index)), bool)
        aside[:] = False
    body = frame.loc[~gene_rows]
    text = np.array([is_text(body.iloc[:, i]) for i in range(body.shape[1])], bool)
    values = body.loc[:, ~(aside | text)]
    if values.empty:
        msg = problem(f"numbers in {table.name}", f"a table of shape {frame.shape}", "Check it.")
        raise ValueError(msg)
    notes = _notes(body.loc[:, aside | text])
    if in_rows:
        report.add("expression", frame.columns[aside], "describes genes; now a column of var")
        only_text = text & ~aside
        report.add("expression", frame.columns[only_text], "holds text; now a column of var")
    else:
        report.add("expression", frame.index[gene_rows], "describes genes; now a column of var")
        report.add("expression", frame.columns[text], "holds text; now a column of obs")
    matrix = as_numbers(values, table.name)
    samples = _names(values.columns if in_rows else values.index)
    _check_samples(samples, table.name)
    other = pd.DataFrame(index=pd.Index(_names(values.columns)))
    if not in_rows:
        other = _notes(frame.loc[gene_rows].T.loc[~text].set_axis(other.index))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*names are not unique")
        if in_rows:
            return AnnData(np.ascontiguousarray(matrix.T), obs=other, var=notes)
        return AnnData(matrix, obs=notes, var=other)


def _notes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return annotation as a file can hold it: text or numbers, not a mixture."""
    notes = frame.set_axis(pd.Index(_names(frame.index), name=frame.index.name))
    notes = notes.set_axis(_names(frame.columns), axis=1)
    notes = notes.loc[:, ~notes.columns.duplicated()].infer_objects()
    for column in notes:
        if not pd.api.types.is_numeric_dtype(notes[column].dtype):
            missing = notes[column].isna()
            notes[column] = notes[column].astype(str).where(~missing).astype(object)
    return notes


def _check_samples(samples: list[str], where: str) -> None:
    repeated = pd.Index(samples)
    repeated = repeated[repeated.duplicated()].unique()
    if len(repeated):
        msg = problem(
            f"every sample of {where} once",
            f"{len(repeated):,} twice or more: {shorten(repeated)}",
            "Rename or remove the repeated ones.",
        )
        raise ValueError(msg)


def _name_by_column(adata: AnnData, frame: pd.DataFrame, gene_key: str | None) -> None:
    if gene_key is not None:
        check_key(adata.var, gene_key, "the columns that are no samples", "gene_key")
        name_genes(adata, gene_key)
    elif _are_numbers(frame.index):
        column = gene_column(_names(adata.var.columns))
        if column is not None:
            name_genes(adata, column)


def _remark(adata: AnnData, report: Report) -> None:
    """Note repeated genes and missing values, which stay."""
    names = adata.var_names
    repeated = names[names.duplicated(keep=False)]
    report.add("expression", repeated, "gene that is there more than once", outcome="kept")
    by_sample, by_gene = missing_values(np.asarray(adata.X))
    n_genes = int((by_gene > 0).sum())
    for row in np.flatnonzero(by_sample):
        reason = f"{by_sample[row]:,} of {adata.n_vars:,} values are missing"
        report.add("expression", [adata.obs_names[row]], reason, outcome="kept")
    if n_genes:
        first = shorten(names[by_gene > 0], 3)
        reason = f"{n_genes:,} genes miss values in {(by_sample > 0).sum():,} samples: {first}"
        report.add("expression", ["all"], reason, outcome="kept")
