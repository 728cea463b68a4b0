"""The closed-form start of a student: ridge regression on a teacher's logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy import linalg

_PENALTY = 0.05
_LEAST_SD = 1e-2
_PIECE = 2048


@dataclass(frozen=True)
class LinearStart:
    """Standardisation of the panel and a linear map to the teacher's raw outputs."""

    mean: np.ndarray
    sd: np.ndarray
    weight: np.ndarray
    """On standardised genes, (n_genes, n_outputs)."""
    bias: np.ndarray


def ridge_start(X: sp.csr_matrix, target: np.ndarray, n_measured: int) -> LinearStart:
    """Regress a teacher's raw outputs on the log-normalised panel.

    Parameters
    ----------
    X
        log1p expression of the panel, (n_rows, n_genes).
    target
        Raw outputs of the teacher, (n_rows, n_outputs).
    n_measured
        The first rows are measured cells; mean and standard deviation come from them.
    """
    measured = X[:n_measured]
    mean = np.asarray(measured.mean(axis=0, dtype=np.float64)).ravel()
    square = np.asarray(measured.multiply(measured).mean(axis=0, dtype=np.float64)).ravel()
    sd = np.maximum(np.sqrt(np.maximum(square - mean**2, 0.0)), _LEAST_SD)
    # (Z'Z + n·penalty·I) from dense pieces: at this density far faster than a sparse product.
    n_rows = X.shape[0]
    gram = np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, n_rows, _PIECE):
        piece = X[start : start + _PIECE].toarray()
        gram += piece.T @ piece
    sums = np.asarray(X.sum(axis=0, dtype=np.float64)).ravel()
    gram += n_rows * np.outer(mean, mean) - np.outer(sums, mean) - np.outer(mean, sums)
    gram /= np.outer(sd, sd)
    centre = target.mean(axis=0)
    residual = (target - centre).astype(np.float64)
    moment = (X.T @ residual - np.outer(mean, residual.sum(axis=0))) / sd[:, None]
    shift = (sums / n_rows - mean) / sd
    gram -= n_rows * np.outer(shift, shift)
    gram[np.diag_indices_from(gram)] += n_rows * _PENALTY
    weight = linalg.solve(gram, moment, assume_a="pos")
    bias = centre - shift @ weight
    return LinearStart(
        mean.astype(np.float32),
        sd.astype(np.float32),
        weight.astype(np.float32),
        np.asarray(bias, dtype=np.float32),
    )
