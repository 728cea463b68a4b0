"""Read a fixed, seeded sample of rows from any matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from dtp_scvi.data._rows import is_backed_sparse, open_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

_N_RUNS = 8
_MAX_VALUES = 2**24


def sample_rows(matrix: Any, n_rows: int, seed: int | None) -> sp.csr_matrix:
    """
    Read up to ``n_rows`` rows: scattered ones from memory, eight contiguous runs from a file.

    Parameters
    ----------
    matrix
        Cells x genes in any storage that :func:`open_rows` reads.
    n_rows
        Number of rows wanted; fewer where the matrix is smaller or has very many columns.
    seed
        Seed of the choice.

    Returns
    -------
    The rows in ascending order, float64.
    """
    n_obs, n_vars = int(matrix.shape[0]), int(matrix.shape[1])
    n_rows = min(n_rows, n_obs, max(16, _MAX_VALUES // max(1, n_vars)))
    rng = np.random.default_rng(seed)
    if sp.issparse(matrix) or isinstance(matrix, np.ndarray):
        chosen = np.sort(rng.choice(n_obs, n_rows, replace=False))
        source = (
            matrix if isinstance(matrix, np.ndarray) or matrix.format == "csc" else matrix.tocsr()
        )
        return sp.csr_matrix(source[chosen]).astype(np.float64)
    runs = list(_runs(n_obs, n_rows, rng))
    if is_backed_sparse(matrix) and matrix.format == "csc":
        chosen = np.concatenate([np.arange(start, stop) for start, stop in runs])
        return _rows_from_columns(matrix, chosen)
    reader = open_rows(matrix)
    parts = [reader.read(start, stop) for start, stop in runs]
    blocks = [
        sp.csr_matrix((p.data, p.indices, p.indptr), shape=(len(p.indptr) - 1, n_vars))
        for p in parts
    ]
    return sp.csr_matrix(sp.vstack(blocks)).astype(np.float64)


def _runs(n_obs: int, n_rows: int, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """One contiguous run at a random place in each of eight equal parts of the rows."""
    if n_rows == n_obs:
        yield 0, n_obs
        return
    edges = np.linspace(0, n_obs, _N_RUNS + 1).astype(int)
    sizes = np.diff(np.linspace(0, n_rows, _N_RUNS + 1).astype(int))
    for low, high, size in zip(edges[:-1], edges[1:], sizes, strict=True):
        start = int(rng.integers(low, high - size + 1))
        if size:
            yield start, start + int(size)


def _rows_from_columns(matrix: Any, chosen: np.ndarray) -> sp.csr_matrix:
    group, n_vars = matrix.group, int(matrix.shape[1])
    indptr = group["indptr"][:]
    position = np.full(matrix.shape[0], -1, np.int64)
    position[chosen] = np.arange(chosen.size)
    rows, columns, values = [], [], []
    step = _MAX_VALUES // 8
    for start in range(0, int(indptr[-1]), step):
        stop = min(start + step, int(indptr[-1]))
        row = position[group["indices"][start:stop]]
        keep = np.flatnonzero(row >= 0)
        rows.append(row[keep])
        columns.append(np.searchsorted(indptr, keep + start, side="right") - 1)
        values.append(np.asarray(group["data"][start:stop])[keep])
    shape = (chosen.size, n_vars)
    if not rows:
        return sp.csr_matrix(shape)
    triple = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sp.csr_matrix(triple, shape=shape).astype(np.float64)
