"""One pass over the matrix: sums, detected genes and a fingerprint of every row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._constants import TARGET_SUM
from dtp_scvi.data import canonical, canonical_hashes, iter_blocks, linearise_block

if TYPE_CHECKING:
    from collections.abc import Iterator

    import scipy.sparse as sp

    from dtp_scvi.pp._audit_input import AuditInput


@dataclass(frozen=True)
class RowSummary:
    """
    What one pass says about each row.

    Attributes
    ----------
    total
        Sum of the stored values, float64, (n_obs,).
    linear_total
        Sum after the logarithm is taken off; ``None`` unless the values are logarithms.
    n_genes
        Number of values that are not zero, (n_obs,).
    digest
        Group of rows with the same values in the same columns, int64, (n_obs,); rows of zeros
        are all in one group.
    gene_mean
        Mean of :func:`comparable` values per gene, float64, (n_vars,).
    """

    total: np.ndarray
    linear_total: np.ndarray | None
    n_genes: np.ndarray
    digest: np.ndarray
    gene_mean: np.ndarray


def comparable(rows: sp.csr_matrix, kind: str) -> sp.csr_matrix:
    """Return log1p of counts per 10,000 where the values are linear, else the values."""
    out = rows.astype(np.float64)
    if kind == "linear":
        total = row_sums(out)
        factor = np.divide(TARGET_SUM, total, out=np.zeros_like(total), where=total > 0)
        out.data = np.log1p(np.maximum(out.data * np.repeat(factor, np.diff(out.indptr)), 0.0))
    return out


def row_sums(rows: sp.csr_matrix) -> np.ndarray:
    """Sum each row in double precision, in the order of its entries."""
    sums = np.zeros(rows.shape[0])
    filled = np.flatnonzero(np.diff(rows.indptr))
    if filled.size:
        sums[filled] = np.add.reduceat(rows.data.astype(np.float64), rows.indptr[filled])
    return sums


def blocks_of(given: AuditInput, indices: np.ndarray | None = None) -> Iterator[sp.csr_matrix]:
    """Yield the rows in canonical form, in blocks of bounded size."""
    yield from iter_blocks(
        given.matrix, indices=indices, then=lambda block: canonical(block.matrix)
    )


def summarise_rows(given: AuditInput) -> RowSummary:
    """Read the matrix once."""
    n, n_vars = given.n, int(given.matrix.shape[1])
    total, linear = np.zeros(n), np.zeros(n)
    n_genes, gene_sum = np.zeros(n, np.int64), np.zeros(n_vars)
    digests = np.zeros(n, np.uint64)
    start = 0
    for rows in blocks_of(given):
        here = slice(start, start + rows.shape[0])
        start = here.stop
        total[here], n_genes[here] = row_sums(rows), np.diff(rows.indptr)
        digests[here] = canonical_hashes(rows)
        if given.kind == "log":
            undone = rows.astype(np.float64)
            undone.data = linearise_block(undone.data, given.scale)
            linear[here] = row_sums(undone)
        values = comparable(rows, given.kind)
        gene_sum += np.bincount(values.indices, values.data, minlength=n_vars)
    _, group = np.unique(digests, return_inverse=True)
    return RowSummary(
        total,
        linear if given.kind == "log" else None,
        n_genes,
        group.astype(np.int64),
        gene_sum / n,
    )
