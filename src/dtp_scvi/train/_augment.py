"""Mixtures of training cells: inputs that a teacher can label without limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi.data import Scale, linearise_block

if TYPE_CHECKING:
    import scipy.sparse as sp

# Most mixtures stay near one row: an even mix has half the variance, and a network that has seen
# only those knows nothing of the extremes.
_MIXING = 0.3


def mix_rows(
    matrix: sp.csr_matrix, scale: Scale, n_rows: int, *, counts: bool, rng: np.random.Generator
) -> sp.csr_matrix:
    """Mix random pairs of rows on the linear scale, at the geometric mean of their depths.

    Parameters
    ----------
    matrix
        Training rows on the scale of the input.
    scale
        That scale.
    n_rows
        Number of mixtures.
    counts
        Draw Poisson counts around each mixture.
    rng
        Source of randomness.

    Returns
    -------
    Mixtures on the linear scale, (n_rows, n_columns).
    """
    linear = matrix.copy()
    linear.data = linearise_block(linear.data, scale).astype(np.float32)
    total = np.maximum(np.asarray(linear.sum(axis=1)).ravel(), 1e-12)
    first, second = rng.integers(0, matrix.shape[0], (2, n_rows))
    share = rng.beta(_MIXING, _MIXING, n_rows)
    depth = np.sqrt(total[first] * total[second])
    mixed = _scaled(linear[first], share * depth / total[first])
    mixed = (mixed + _scaled(linear[second], (1 - share) * depth / total[second])).tocsr()
    if counts:
        mixed.data = rng.poisson(mixed.data).astype(np.float32)
        mixed.eliminate_zeros()
    mixed.sort_indices()
    return mixed


def _scaled(rows: sp.csr_matrix, factor: np.ndarray) -> sp.csr_matrix:
    rows.data *= np.repeat(factor, np.diff(rows.indptr)).astype(np.float32)
    return rows
