"""Turn a column-compressed file into rows with bounded memory."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

# A larger result lives on a temporary memory map.
_MAX_IN_MEMORY = 2**28
_CHUNK = 2**21


def _allocate(size: int, dtype: np.dtype, *, on_disk: bool) -> np.ndarray:
    if not on_disk or size == 0:
        return np.empty(size, dtype)
    # The map keeps the file open; the file has no name, so it vanishes with the array.
    with tempfile.TemporaryFile(prefix="dtp_scvi_") as file:
        return np.memmap(file, dtype=dtype, mode="w+", shape=(size,))


def rows_of_columns(
    indptr: np.ndarray, indices: Any, data: Any, *, n_rows: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Return the CSR arrays of a CSC matrix whose arrays are read in chunks, twice.

    Parameters
    ----------
    indptr
        Start of each column, in memory.
    indices, data
        Row numbers and values, sliceable.
    n_rows
        Number of rows.
    """
    nnz = int(indptr[-1])
    counts = np.zeros(n_rows, np.int64)
    for start in range(0, nnz, _CHUNK):
        counts += np.bincount(indices[start : start + _CHUNK], minlength=n_rows)
    row_ptr = np.concatenate([[0], np.cumsum(counts)])
    on_disk = 8 * nnz > _MAX_IN_MEMORY
    columns = _allocate(nnz, np.dtype(np.int32), on_disk=on_disk)
    values = _allocate(nnz, np.dtype(data.dtype), on_disk=on_disk)
    free = row_ptr[:-1].copy()
    for start in range(0, nnz, _CHUNK):
        stop = min(start + _CHUNK, nnz)
        rows = np.asarray(indices[start:stop])
        column = np.searchsorted(indptr, np.arange(start, stop), side="right") - 1
        order = np.argsort(rows, kind="stable")
        here = np.bincount(rows, minlength=n_rows)
        # After the sort the entries of a row lie together; number them from its free place.
        rank = np.arange(stop - start) - np.repeat(np.cumsum(here) - here, here)
        place = np.repeat(free, here) + rank
        columns[place] = column[order]
        values[place] = np.asarray(data[start:stop])[order]
        free += here
    return row_ptr, columns, values
