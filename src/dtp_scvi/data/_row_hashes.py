"""Fingerprints of rows, equal for equal values however they are stored."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi.data._blocks import iter_blocks

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

EMPTY_ROW: Final = np.uint64(0)
_DIGEST = 8


def canonical(block: sp.csr_matrix) -> sp.csr_matrix:
    """
    Return a copy with sorted, summed, nonzero entries: the same for every storage.

    Parameters
    ----------
    block
        Rows in CSR form.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from dtp_scvi.data import canonical
    >>> canonical(sp.csr_matrix(([1.0, 0.0], [0, 1], [0, 2]), shape=(1, 2))).nnz
    1
    """
    rows = block.copy()
    rows.sum_duplicates()
    rows.eliminate_zeros()
    # -0.0 and 0.0 are gone, so equal values have equal bytes.
    return rows


def canonical_hashes(rows: sp.csr_matrix) -> NDArray[np.uint64]:
    """
    Return a fingerprint of each row of what :func:`canonical` made.

    Parameters
    ----------
    rows
        Rows in canonical form; values are compared as float32.

    Returns
    -------
    Shape (rows,), uint64; 0 for a row of zeros.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from dtp_scvi.data import canonical, canonical_hashes
    >>> int(canonical_hashes(canonical(sp.csr_matrix((1, 2))))[0])
    0
    """
    # float32 is what models see: rows that differ beyond it are the same to them.
    columns, values = rows.indices.astype("<i4"), rows.data.astype("<f4")
    found = np.full(rows.shape[0], EMPTY_ROW)
    for i, (start, stop) in enumerate(zip(rows.indptr[:-1], rows.indptr[1:], strict=True)):
        if stop > start:
            made = hashlib.blake2b(columns[start:stop], digest_size=_DIGEST)
            made.update(values[start:stop])
            found[i] = int.from_bytes(made.digest(), "little")
    return found


def row_hashes(matrix: Any) -> NDArray[np.uint64]:
    """
    Return a fingerprint of each row, equal for equal values however they are stored.

    Parameters
    ----------
    matrix
        Rows x genes, dense or sparse, in memory or on disk; values are compared as float32,
        which is what models see.

    Returns
    -------
    Shape (rows,), uint64; 0 for a row of zeros, which says nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi.data import row_hashes
    >>> first, second, third = row_hashes(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    >>> bool(first == second), bool(first == third)
    (True, False)
    """
    parts = list(iter_blocks(matrix, then=_block_hashes))
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _block_hashes(block: Any) -> NDArray[np.uint64]:
    return canonical_hashes(canonical(block.matrix))
