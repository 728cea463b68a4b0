"""Principal axes of the training cells: the label-free basis of a teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.extmath import randomized_svd

from dtp_scvi.data import draw_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import scipy.sparse as sp

# 5,000 cells fix a hundred axes; a dense block of this size stays below half a gigabyte.
_MAX_CELLS = 5000
_MAX_DENSE = 10**8
_MIN_DETECTED_SHARE = 0.003


@dataclass(frozen=True)
class Axes:
    """Mean, loadings and component standard deviations of log-normalised expression."""

    mean: np.ndarray
    """Mean of each gene, (n_genes,)."""
    sd: np.ndarray
    """Standard deviation of each gene, (n_genes,)."""
    loadings: np.ndarray
    """Orthonormal axes, (n_genes, n_components); zero for genes hardly ever detected."""
    component_sd: np.ndarray
    """Standard deviation of the scores, (n_components,)."""

    def scores(self, X: sp.csr_matrix) -> np.ndarray:
        """Project rows on the axes, (n_rows, n_components)."""
        return X @ self.loadings - self.mean @ self.loadings


def principal_axes(
    X: sp.csr_matrix, n_components: int, *, groups: Sequence[object] | None, seed: int
) -> Axes:
    """Find the leading principal axes of log-normalised expression.

    Expression is centred and not scaled: the noise of rare genes would otherwise count as much
    as the signal of common ones. Cells are drawn evenly over donors where there are many.

    Parameters
    ----------
    X
        log1p expression of the training cells, (n_cells, n_genes).
    n_components
        Number of axes; fewer where the data have fewer.
    groups
        Donor of each cell, or ``None``.
    seed
        Seed of the draw and of the randomised decomposition (Halko et al., 2011).
    """
    rng = np.random.default_rng(seed)
    mean = np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
    square = np.asarray(X.multiply(X).mean(axis=0, dtype=np.float64)).ravel()
    sd = np.sqrt(np.maximum(square - mean**2, 0.0))
    at_least = max(3, int(_MIN_DETECTED_SHARE * X.shape[0]))
    genes = np.flatnonzero(X.getnnz(axis=0) >= at_least)
    limit = min(_MAX_CELLS, max(500, _MAX_DENSE // max(1, genes.size)))
    cells = draw_rows(X.shape[0], groups, limit, rng)
    dense = X[cells][:, genes].toarray().astype(np.float32)
    dense -= mean[genes].astype(np.float32)
    n_components = min(n_components, *(size - 1 for size in dense.shape))
    _, values, axes = randomized_svd(
        dense, n_components, n_iter=4, random_state=int(rng.integers(2**31))
    )
    loadings = np.zeros((X.shape[1], n_components), np.float32)
    loadings[genes] = axes.T
    component_sd = values / np.sqrt(len(cells))
    return Axes(mean.astype(np.float32), sd.astype(np.float32), loadings, component_sd)
