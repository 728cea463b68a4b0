"""Stream a matrix as row blocks whose columns are a model's genes."""

from __future__ import annotations

import math
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp

from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.data._check_matrix import check_matrix
from dtp_scvi.data._rows import Rows, open_rows
from dtp_scvi.data._scale_kinds import SIGNED, Scale, ScaleKind, linearise, scale_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from dtp_scvi.data._alignment import GeneAlignment

Reduce = Literal["sum", "mean"]
MIN_ROWS, MAX_ROWS = 64, 4096
# Small enough for the gathered indices of a tile to stay in the second-level cache.
_TILE = 2**16
# numpy's gathers and sums release the interpreter lock, so two threads help.
N_READERS = 2


@dataclass(frozen=True, slots=True)
class Block:
    """
    Some rows of a query, cut to the genes of a model.

    Attributes
    ----------
    rows
        Positions of these rows in the query, or in ``indices`` where these were given.
    matrix
        Values on the scale of the input (linear ones for ``log2``), float32, shape ``(n_rows, n_targets)``; columns in the
        model's order, absent where a gene is missing. The order of the entries in a row is not
        sorted. Treat it as read-only.
    total
        Sum over *all* genes of the input on the linear scale, float64, shape ``(n_rows,)``; of
        values that are used as they are their plain sum.
    """

    rows: slice
    matrix: sp.csr_matrix
    total: np.ndarray


def iter_blocks(
    matrix: Any,
    alignment: GeneAlignment | None = None,
    *,
    scale: Scale | str = Scale.COUNTS,
    reduce: Reduce | None = None,
    indices: np.ndarray | None = None,
    max_bytes: int = 2**24,
    check: str | None = None,
    then: Callable[[Block], Any] | None = None,
    start: Callable[[], None] | None = None,
) -> Iterator[Any]:
    """
    Yield consecutive blocks of rows, in order, cut to the genes of a model.

    Parameters
    ----------
    matrix
        Cells x genes: numpy, scipy sparse (any format), an HDF5 or zarr array, a sparse data set
        of a backed AnnData, or a dask array. See :func:`get_matrix`.
    alignment
        Which column feeds which model gene; ``None`` keeps all columns.
    scale
        Scale of the values, which says how :attr:`Block.total` is summed.
    reduce
        How columns that feed the same model gene are combined: ``"sum"`` or ``"mean"``; by default
        the sum on a linear scale and the mean on any other.
    indices
        Rows to read, in any order, repeats allowed, or a boolean mask; rows come back in this
        order. On files, ascending indices read faster.
    max_bytes
        Largest size of a block when dense (or, for sparse input, of its stored values), in bytes;
        a block never has fewer than 64 rows or more than 4,096.
    check
        Name of the matrix in messages; where it is given, NaN, infinite and negative values are
        refused as by :func:`check_matrix`, without another pass over the matrix; on the scales
        ``log2`` and ``as_is`` negative values are fit.
    then
        Called with each block in the thread that read it; its result is yielded in place of the
        block.
    start
        Called once in each of the :data:`N_READERS` threads that read from memory.

    Yields
    ------
    Blocks that are the same, bit for bit, whatever the storage of ``matrix``.

    Raises
    ------
    ValueError
        When the alignment was made for another number of genes, or ``check`` finds a value that
        no model can take.
    IndexError
        When an index is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi.data import align_genes, iter_blocks
    >>> counts = np.array([[1, 2, 3], [0, 4, 0]])
    >>> alignment = align_genes(["CD34", "KIT", "GPR56"], ["ADGRG1", "CD34"])
    >>> block = next(iter_blocks(counts, alignment))
    >>> block.matrix.toarray().tolist(), block.total.tolist()
    ([[3.0, 1.0], [0.0, 0.0]], [6.0, 4.0])
    """
    reader = open_rows(matrix)
    if alignment is not None and alignment.n_query != reader.shape[1]:
        msg = problem(
            f"a matrix with the {alignment.n_query:,} genes of the alignment",
            f"{reader.shape[1]:,} columns",
            "Align the gene names of this matrix.",
        )
        raise ValueError(msg)
    kind, no_pseudocount, signed = scale_kind(scale), scale == Scale.LOG2, scale in SIGNED
    if reduce is None:
        reduce = "sum" if kind == "linear" and not no_pseudocount else "mean"
    check_one_of(reduce, ("sum", "mean"), "reduce")
    cut = _Cut(alignment, reader.shape[1], reduce)
    row_bytes = 8.0 * reader.shape[1] if no_pseudocount else reader.bytes_per_row()
    step = int(np.clip(max_bytes // max(1.0, row_bytes), MIN_ROWS, MAX_ROWS))
    order = None if indices is None else _positions(indices, reader.shape[0])
    n_rows = reader.shape[0] if order is None else order.size

    def make(start: int) -> Any:
        stop = min(start + step, n_rows)
        rows = reader.read(start, stop) if order is None else reader.gather(order[start:stop])
        if no_pseudocount:
            if check is not None and not np.isfinite(rows.data).all():
                check_matrix(matrix, name=check, negative=True)
            rows = _filled(rows, reader.shape[1])
        total = _totals(rows, kind)
        if check is not None and not _fit(rows, total, negative=signed):
            check_matrix(matrix, name=check, negative=signed)
        block = Block(slice(start, stop), cut(rows), total)
        return block if then is None else then(block)

    if isinstance(matrix, np.ndarray) or sp.issparse(matrix):
        yield from _ahead(make, range(0, n_rows, step), start)
    else:
        yield from map(make, range(0, n_rows, step))


def _fit(rows: Rows, total: np.ndarray, *, negative: bool) -> bool:
    """Whether no value is NaN, infinite (its row's total is then not finite) or wrongly negative."""
    low = 0.0 if negative else float(np.min(rows.data, initial=0))
    return bool(np.isfinite(total).all() and low >= 0)


def _filled(rows: Rows, n_vars: int) -> Rows:
    """Undo log2 without a pseudocount: every value is stored, as log2(1) = 0 is one too."""
    values = np.ones((len(rows), n_vars))
    row = np.repeat(np.arange(len(rows)), np.diff(rows.indptr))
    values[row, rows.indices] = linearise(rows.data.astype(np.float64), Scale.LOG2)
    indices = np.tile(np.arange(n_vars, dtype=np.int32), len(rows))
    return Rows(n_vars * np.arange(len(rows) + 1, dtype=np.int64), indices, values.reshape(-1))


def _ahead(
    make: Callable[[int], Any], starts: range, start: Callable[[], None] | None
) -> Iterator[Any]:
    """Make the next blocks in threads while the caller works on this one; the order stays."""
    with ThreadPoolExecutor(N_READERS, initializer=start) as pool:
        waiting: deque[Future[Any]] = deque()
        try:
            for first in starts:
                waiting.append(pool.submit(make, first))
                if len(waiting) > N_READERS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class _Cut:
    """Keep the columns of the model, in its order."""

    def __init__(self, alignment: GeneAlignment | None, n_query: int, reduce: Reduce) -> None:
        self.whole = alignment is None or alignment.is_identity
        self.n_targets = n_query if alignment is None else alignment.n_targets
        self.divide_by: np.ndarray | None = None
        self.combine = False
        if alignment is None or self.whole:
            return
        # Of two bytes where they hold the numbers: a small table stays in the first-level cache.
        small = alignment.n_targets <= np.iinfo(np.int16).max
        self.column = np.full(n_query, -1, np.int16 if small else np.int32)
        self.column[alignment.source] = alignment.target
        self.combine = bool(alignment.duplicated)
        if self.combine and reduce == "mean":
            self.divide_by = np.maximum(alignment.multiplicity, 1).astype(np.float32)

    def __call__(self, rows: Rows) -> sp.csr_matrix:
        indptr, indices, data = (
            (rows.indptr, rows.indices, rows.data) if self.whole else self._select(rows)
        )
        if self.divide_by is not None:
            data = data / self.divide_by[indices]
        # Copies, so that work in place on a block never reaches the user's matrix.
        data = data.astype(np.float32, copy=data is rows.data)
        indices = indices.astype(np.int32, copy=indices is rows.indices)
        shape = (len(indptr) - 1, self.n_targets)
        matrix = sp.csr_matrix((data, indices, indptr), shape=shape)
        if self.combine:
            matrix.sum_duplicates()
        return matrix

    def _select(self, rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return indptr, columns and values of the wanted entries, tile by tile."""
        size, n, row = rows.indices.size, 0, 0
        # As long as if everything was wanted; memory that is never written is never taken.
        columns, values = np.empty(size, self.column.dtype), np.empty(size, rows.data.dtype)
        indptr = np.zeros(len(rows.indptr), np.int64)
        starts = np.arange(0, size, _TILE)
        # The row pointers that lie in each tile, or at its end.
        last_rows = np.searchsorted(rows.indptr, starts + _TILE, side="right")
        for start, last_row in zip(starts, last_rows, strict=True):
            tile = slice(start, start + _TILE)
            # With mode="clip" numpy gathers without a bounds check, which takes half the time.
            column = self.column.take(rows.indices[tile], mode="clip")
            keep = np.flatnonzero(np.greater_equal(column, 0))
            end = n + keep.size
            column.take(keep, out=columns[n:end], mode="clip")
            rows.data[tile].take(keep, out=values[n:end], mode="clip")
            pointers = rows.indptr[row:last_row].astype(np.int64) - start
            indptr[row:last_row] = n + np.searchsorted(keep, pointers)
            n, row = end, last_row
        return indptr.astype(np.int32), columns[:n], values[:n]


def _totals(rows: Rows, kind: ScaleKind) -> np.ndarray:
    """Sum each row on the linear scale, in double precision."""
    total = np.zeros(len(rows))
    lengths, logs = np.diff(rows.indptr), kind in ("log1p", "log2p1")
    filled = np.flatnonzero(lengths)
    if not filled.size:
        return total
    starts = np.searchsorted(rows.indptr, np.arange(0, rows.data.size, _TILE), side="right") - 1
    for part in np.split(filled, np.searchsorted(filled, np.unique(starts)[1:])):
        first, last = rows.indptr[part[0]], rows.indptr[part[-1] + 1]
        values = rows.data[first:last]
        if logs:
            # exp is vectorised where expm1 is not; the sum over genes hides the last digits.
            values = np.exp(values if kind == "log1p" else values * math.log(2.0))
        # Converted before the sum, so that the order of summation depends on the row alone and
        # a row has the same total in every block.
        total[part] = np.add.reduceat(values.astype(np.float64), rows.indptr[part] - first)
    return total - lengths if logs else total


def _positions(indices: np.ndarray, n_rows: int) -> np.ndarray:
    indices = np.asarray(indices)
    if indices.dtype == bool:
        if indices.shape != (n_rows,):
            msg = problem(f"a mask over {n_rows:,} rows", f"shape {indices.shape}", "Check it.")
            raise IndexError(msg)
        return np.flatnonzero(indices)
    indices = indices.astype(np.int64)
    if indices.size and not (indices.min() >= 0 and indices.max() < n_rows):
        msg = problem(
            f"row numbers from 0 to {n_rows - 1:,}",
            f"{indices.min():,} to {indices.max():,}",
            "Pass positions, counted from 0.",
        )
        raise IndexError(msg)
    return indices
