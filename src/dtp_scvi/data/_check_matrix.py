"""Refuse a matrix that holds values no model can take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from dtp_scvi._validate import problem
from dtp_scvi.data._rows import SlicedRows, is_backed_sparse, open_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK_BYTES = 2**24


def check_matrix(matrix: Any, *, name: str = "adata.X", negative: bool = False) -> None:
    """
    Raise ``ValueError`` for an empty matrix and for NaN, infinite or negative values.

    Parameters
    ----------
    matrix
        Cells x genes in any storage; read once.
    name
        What to call the matrix in the message.
    negative
        Whether negative values are allowed.

    Raises
    ------
    ValueError
        With the number of bad values and the row and column of the first.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi.data import check_matrix
    >>> check_matrix(np.array([[0.0, 1.0]]))
    """
    if len(matrix.shape) != 2 or min(matrix.shape) == 0:
        msg = problem(
            f"{name} with cells and genes",
            f"shape {tuple(matrix.shape)}",
            "Check how the object was filtered.",
        )
        raise ValueError(msg)
    for values in _stored_values(matrix):
        if values.size == 0 or values.dtype.kind in "bu":
            continue
        # NaN survives min, so two reductions see all three faults without a mask.
        low, high = values.min(), values.max()
        if not (np.isfinite(low) and np.isfinite(high)) or (low < 0 and not negative):
            _raise(matrix, name, negative=negative)


def _stored_values(matrix: Any) -> Iterator[np.ndarray]:
    if is_backed_sparse(matrix):
        data, step = matrix.group["data"], _BLOCK_BYTES // 8
        for start in range(0, int(data.shape[0]), step):
            yield np.asarray(data[start : start + step])
    elif sp.issparse(matrix):
        yield matrix.data if matrix.format in ("csr", "csc", "coo") else matrix.tocsr().data
    elif isinstance(matrix, np.ndarray):
        yield np.asarray(matrix)
    else:
        reader = SlicedRows(matrix)
        step = max(1, _BLOCK_BYTES // (4 * reader.shape[1]))
        for start in range(0, reader.shape[0], step):
            yield reader.read(start, min(start + step, reader.shape[0])).data


def _raise(matrix: Any, name: str, *, negative: bool) -> None:
    counts = {"NaN": 0, "infinite": 0, "negative": 0}
    first: tuple[int, int] | None = None
    reader = open_rows(matrix)
    step = max(1, int(_BLOCK_BYTES // max(1.0, reader.bytes_per_row())))
    for start in range(0, reader.shape[0], step):
        rows = reader.read(start, min(start + step, reader.shape[0]))
        bad = {
            "NaN": np.isnan(rows.data),
            "infinite": np.isinf(rows.data),
            "negative": np.zeros(rows.data.shape, bool) if negative else rows.data < 0,
        }
        for fault, where in bad.items():
            counts[fault] += int(where.sum())
        at = np.flatnonzero(bad["NaN"] | bad["infinite"] | bad["negative"])
        if first is None and at.size:
            row = int(np.searchsorted(rows.indptr, at[0], side="right")) - 1
            first = start + row, int(rows.indices[at[0]])
    faults = ", ".join(f"{count:,} {fault}" for fault, count in counts.items() if count)
    place = f"; the first in row {first[0]:,}, column {first[1]:,}" if first else ""
    only_negative = not counts["NaN"] and not counts["infinite"]
    todo = (
        "Negative values come from scaling or residuals: pass counts or unscaled logarithms, "
        'for example layer="counts".'
        if only_negative
        else "Find where they arose, or set them to the value they stand for."
    )
    fit = "finite" if negative else "finite, non-negative"
    msg = problem(f"{fit} values in {name}", f"{faults} values{place}", todo)
    raise ValueError(msg)
