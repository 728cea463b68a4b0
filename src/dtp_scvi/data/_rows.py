"""Read rows of any matrix that AnnData can hold as compressed sparse rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from dtp_scvi._logging import logger
from dtp_scvi._validate import problem
from dtp_scvi.data._columns import rows_of_columns

# Reading a few unwanted rows from a file costs less than one more read.
_BRIDGE_BYTES = 2**18


@dataclass(frozen=True, slots=True)
class Rows:
    """Nonzero values of some rows: the three arrays of a CSR matrix, ``indptr`` from zero."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def take(self, order: np.ndarray) -> Rows:
        """Return the rows at the positions ``order``, in this order, repeats allowed."""
        starts, lengths = self.indptr[:-1][order], np.diff(self.indptr)[order]
        indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        place = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], lengths)
        return Rows(indptr, self.indices.take(place), self.data.take(place))


class RowReader(Protocol):
    """What :func:`open_rows` returns."""

    shape: tuple[int, int]

    def bytes_per_row(self) -> float:
        """Return the mean number of bytes that reading one row takes."""

    def read(self, start: int, stop: int) -> Rows:
        """Read the rows from ``start`` up to ``stop``."""

    def gather(self, order: np.ndarray) -> Rows:
        """Read scattered rows and return them in the order asked for."""


class CompressedRows:
    """Rows of a CSR matrix in memory, in an HDF5 or zarr group, or on a memory map."""

    def __init__(
        self,
        indptr: np.ndarray,
        indices: Any,
        data: Any,
        shape: tuple[int, int],
        *,
        matrix: sp.csr_matrix | None = None,
    ) -> None:
        self.indptr, self.indices, self.data, self.shape = indptr, indices, data, shape
        # The same in memory, where scipy copies scattered rows at the speed of memory.
        self.matrix = matrix

    def bytes_per_row(self) -> float:
        """Return the mean number of bytes that reading one row takes."""
        return 8.0 * int(self.indptr[-1]) / max(1, self.shape[0])

    def read(self, start: int, stop: int) -> Rows:
        """Read the rows from ``start`` up to ``stop``."""
        first, last = int(self.indptr[start]), int(self.indptr[stop])
        return Rows(
            self.indptr[start : stop + 1] - first,
            np.asarray(self.indices[first:last]),
            np.asarray(self.data[first:last]),
        )

    def gather(self, order: np.ndarray) -> Rows:
        """Read scattered rows and return them in the order asked for."""
        if self.matrix is not None:
            return _compress(self.matrix[order])
        if isinstance(self.data, np.ndarray):
            return Rows(self.indptr, self.indices, self.data).take(order)
        return _gather_spans(self, order)


class SlicedRows:
    """Rows of anything that slices along its first axis: numpy, HDF5, zarr, dask."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape = array, (int(array.shape[0]), int(array.shape[1]))

    def bytes_per_row(self) -> float:
        """Return the mean number of bytes that reading one row takes."""
        return 4.0 * self.shape[1]

    def read(self, start: int, stop: int) -> Rows:
        """Read the rows from ``start`` up to ``stop``."""
        return _compress(self.array[start:stop])

    def gather(self, order: np.ndarray) -> Rows:
        """Read scattered rows and return them in the order asked for."""
        if isinstance(self.array, np.ndarray):
            return _compress(self.array[order])
        return _gather_spans(self, order)


def _compress(block: Any) -> Rows:
    if hasattr(block, "compute"):
        block = block.compute()
    if sp.issparse(block):
        block = block.tocsr()
        return Rows(block.indptr, block.indices, block.data)
    block = np.ascontiguousarray(block)
    flat = np.flatnonzero(block != 0)
    row, column = np.divmod(flat, block.shape[1])
    counts = np.bincount(row, minlength=block.shape[0])
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return Rows(indptr, column.astype(np.int32), block.reshape(-1)[flat])


def _gather_spans(reader: RowReader, order: np.ndarray) -> Rows:
    """Read ascending spans that cover the rows asked for, then put these into their order."""
    wanted, inverse = np.unique(order, return_inverse=True)
    gap = max(1.0, _BRIDGE_BYTES / max(1.0, reader.bytes_per_row()))
    parts = []
    for span in np.split(wanted, np.flatnonzero(np.diff(wanted) > gap) + 1):
        start, stop = int(span[0]), int(span[-1]) + 1
        rows = reader.read(start, stop)
        parts.append(rows if span.size == stop - start else rows.take(span - start))
    lengths = np.concatenate([np.diff(part.indptr) for part in parts])
    together = Rows(
        np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
        np.concatenate([part.indices for part in parts]),
        np.concatenate([part.data for part in parts]),
    )
    return together.take(inverse)


def is_backed_sparse(matrix: Any) -> bool:
    """Whether ``matrix`` is a sparse data set of anndata in an HDF5 or zarr group."""
    return hasattr(matrix, "group") and getattr(matrix, "format", None) in ("csr", "csc")


def open_rows(matrix: Any) -> RowReader:
    """
    Prepare any matrix for reading rows.

    A column-compressed matrix is turned into rows once, with a note to the logger: in memory by
    scipy, from a file in chunks (on a temporary memory map where the result is large).

    Parameters
    ----------
    matrix
        Cells x genes: numpy, scipy sparse, an HDF5, zarr or dask array, or the sparse data set of
        a backed AnnData.

    Raises
    ------
    TypeError
        When it is none of these.
    """
    if is_backed_sparse(matrix):
        shape = (int(matrix.shape[0]), int(matrix.shape[1]))
        arrays = matrix.group["indptr"][:], matrix.group["indices"], matrix.group["data"]
        if matrix.format == "csc":
            logger.info(
                "Turning a column-compressed file into rows; store it as CSR to save this."
            )
            arrays = rows_of_columns(*arrays, n_rows=shape[0])
        return CompressedRows(*arrays, shape)
    if sp.issparse(matrix):
        if matrix.format == "csc":
            logger.info("Turning a CSC matrix into CSR; store it as CSR to save this.")
        rows = matrix.tocsr()
        return CompressedRows(rows.indptr, rows.indices, rows.data, rows.shape, matrix=rows)
    if getattr(matrix, "ndim", None) != 2 or not hasattr(matrix, "__getitem__"):
        msg = problem(
            "a matrix of cells x genes",
            f"{type(matrix).__name__} with {getattr(matrix, 'ndim', 'no')} dimensions",
            "Pass adata.X or a layer.",
        )
        raise TypeError(msg)
    return SlicedRows(np.asarray(matrix) if isinstance(matrix, np.ndarray) else matrix)
