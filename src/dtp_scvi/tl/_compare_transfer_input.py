"""Lines and cells on their shared genes, with the labels of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi._constants import TARGET_SUM
from dtp_scvi._labels import label_classes, label_text, positive_class, text_column
from dtp_scvi._validate import check_key, near_matches, problem, shorten
from dtp_scvi.data import (
    LINEARISE,
    align_genes,
    check_object,
    detect_scale,
    gene_names,
    get_matrix,
    iter_blocks,
    scale_kind,
)

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from dtp_scvi.data import GeneAlignment

_FEWEST_PER_CLASS: Final = 5


@dataclass(frozen=True)
class Side:
    """How the expression of lines or of cells is found and read."""

    adata: AnnData
    what: str
    layer: str | None
    gene_key: str | None
    scale: str


@dataclass(frozen=True)
class Transfer:
    """
    What the comparators are fitted on and tried on.

    Attributes
    ----------
    lines, cells
        Expression on the shared genes, (rows, genes): log1p of counts per 10,000 where the input
        was linear, otherwise as it was.
    resistant
        Label of each line.
    truth
        Label of each cell.
    genes
        Shared genes, by the names of the lines.
    rows
        Positions of the lines that have a label.
    scales
        Scales of lines and of cells as they were read.
    """

    lines: NDArray[np.float64]
    cells: NDArray[np.float64]
    resistant: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    genes: list[str]
    rows: NDArray[np.intp]
    scales: tuple[str, str]


def read_transfer(
    lines: Side, cells: Side, *, drug: str | None, labels_key: str, truth_key: str, positive: str
) -> Transfer:
    """Read both sides; rows of lines without a label are left out."""
    check_object(lines.adata, view=True)
    check_object(cells.adata)
    rows, resistant = _labels(lines.adata, drug, labels_key, positive)
    truth = _truth(cells.adata, truth_key, positive)
    names = gene_names(lines.adata, lines.gene_key)
    unique = list(dict.fromkeys(str(name) for name in names if name))
    found = align_genes(gene_names(cells.adata, cells.gene_key), unique)
    if not found.observed.any():
        msg = problem(
            "genes that lines and cells share",
            f"none: {shorten(unique, 3)} and {shorten(found.query, 3)}",
            "Name the columns with gene symbols by `gene_key` and `bulk_gene_key`.",
        )
        raise ValueError(msg)
    genes = [gene for gene, seen in zip(unique, found.observed, strict=True) if seen]
    both = [
        _expression(side, align_genes(gene_names(side.adata, side.gene_key), genes), take)
        for side, take in ((lines, rows), (cells, None))
    ]
    return Transfer(
        both[0][0], both[1][0], resistant, truth, genes, rows, (both[0][1], both[1][1])
    )


def _labels(
    lines: AnnData, drug: str | None, labels_key: str, positive: str
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Rows with a label and whether it is the positive one."""
    if drug is None:
        check_key(lines.obs, labels_key, "bulk.obs", "labels_key")
        column, where = lines.obs[labels_key], f"bulk.obs[{labels_key!r}]"
    else:
        check_key(lines.obsm, labels_key, "bulk.obsm", "labels_key")
        table: Any = lines.obsm[labels_key]
        if drug not in table:
            where = f"`drug` to name a column of bulk.obsm[{labels_key!r}]"
            raise KeyError(problem(where, repr(drug), near_matches(drug, table)))
        column, where = table[drug], f"bulk.obsm[{labels_key!r}][{drug!r}]"
    rows = np.flatnonzero(pd.notna(column).to_numpy())
    words = label_text(column.iloc[rows])
    if positive not in words:
        msg = problem(
            f"`positive` to be a class in {where}", repr(positive), near_matches(positive, words)
        )
        raise ValueError(msg)
    resistant = words == positive
    least = int(min(resistant.sum(), (~resistant).sum()))
    if least < _FEWEST_PER_CLASS:
        msg = problem(
            f"at least {_FEWEST_PER_CLASS} lines of either class in {where}",
            f"{int(resistant.sum())} {positive} of {len(rows)}",
            "Choose a drug with more labels.",
        )
        raise ValueError(msg)
    return rows, resistant


def _truth(cells: AnnData, truth_key: str, positive: str) -> NDArray[np.bool_]:
    words = text_column(cells.obs, truth_key, "truth_key")
    classes = label_classes(words, truth_key)
    found: NDArray[np.bool_] = words == positive_class(positive, classes, truth_key)
    return found


def _expression(
    side: Side, alignment: GeneAlignment, rows: NDArray[np.intp] | None
) -> tuple[NDArray[np.float64], str]:
    """Return values on the shared genes, and their scale as it was read."""
    matrix = get_matrix(side.adata, side.layer)
    scale = str(detect_scale(matrix).scale) if side.scale == "auto" else side.scale
    linear = scale in LINEARISE and scale_kind(scale) == "linear" and scale != "log2"
    # A z-score has no way back, nor need it have one: it is compared as it is.
    name = f"the expression of {side.what}"
    read_as = scale if linear else "as_is"
    blocks = list(iter_blocks(matrix, alignment, scale=read_as, indices=rows, check=name))
    values = np.concatenate([block.matrix.toarray() for block in blocks]).astype(np.float64)
    if linear:
        total = np.concatenate([block.total for block in blocks])
        if (total <= 0).any():
            found = f"{int((total <= 0).sum()):,} rows without any"
            raise ValueError(problem(f"expression in all {side.what}", found, "Drop these rows."))
        values = np.log1p(TARGET_SUM * values / total[:, None])
    return values, scale
