"""Read an expression matrix from text; which way round it lies is found by gene names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from anndata import AnnData


def is_text(path: Path) -> bool:
    """Tell whether the name of ``path`` is that of a text table."""
    # As dtp_scvi.datasets reads them; that folder is loaded only when there is one to read.
    return path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv", ".txt"))


def read_matrix(
    path: Path, genes: Iterable[str], *, gene_key: str | None = None
) -> tuple[AnnData, str]:
    """
    Read a text matrix, samples in rows; return it and a sentence that says how it lay.

    Parameters
    ----------
    path
        As for :func:`dtp_scvi.datasets.read_bulk`.
    genes
        Gene names of the model: the side that matches more of them holds the genes.
    gene_key
        Column with gene names, for a table with genes in rows.
    """
    from dtp_scvi import datasets
    from dtp_scvi._constants import COHORT_KEY
    from dtp_scvi._validate import shorten

    adata = datasets.read_bulk(path, gene_key=gene_key, genes=genes)
    record = adata.uns[COHORT_KEY]
    report = record["report"]
    aside = report.loc[report["outcome"] == "dropped", "id"]
    why = str(record["orientation"])
    if len(aside):
        why += f" Kept as notes: {shorten(aside)}."
    return adata, why
