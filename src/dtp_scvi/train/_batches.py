"""Sparse training batches from one matrix in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from dtp_scvi.module import TrainingBatch, sparse_batch
from dtp_scvi.train._shuffled import ShuffledBatches

if TYPE_CHECKING:
    import scipy.sparse as sp


@dataclass(frozen=True)
class Rows:
    """What a network is trained on, on the scale of the input."""

    matrix: sp.csr_matrix
    total: np.ndarray
    labels: np.ndarray
    """Class of each row, int64, -1 for rows without one; or targets, float32, NaN if missing."""
    offset: np.ndarray
    """Raw outputs that a residual is added to, or that a student imitates; (n_rows, n_outputs)."""
    kind: str
    """How values are stored: "linear", "log1p", "log2p1" or "as_is"."""
    boundaries: np.ndarray | None = None
    """First columns of the programs and the number of columns, where columns are sorted so."""

    def batch(self, rows: np.ndarray) -> TrainingBatch:
        """Return these rows as tensors."""
        return self._tensors(self.matrix[rows], self.total[rows], rows)

    def thinned(self, rows: np.ndarray, share: float, rng: np.random.Generator) -> TrainingBatch:
        """Return these rows, a ``share`` of them sequenced less deeply: binomial counts."""
        matrix, total = self.matrix[rows], self.total[rows]
        keep = np.where(rng.random(len(rows)) < share, rng.uniform(0.3, 1.0, len(rows)), 1.0)
        rate = np.repeat(keep, np.diff(matrix.indptr))
        here = np.flatnonzero(rate < 1)
        inside = np.asarray(matrix.sum(axis=1)).ravel()
        matrix.data[here] = rng.binomial(matrix.data[here].astype(np.int64), rate[here])
        matrix.eliminate_zeros()
        # Genes outside the matrix lose the same share.
        thinned = np.asarray(matrix.sum(axis=1)).ravel() + (total - inside) * keep
        return self._tensors(matrix, np.maximum(thinned, 1.0), rows)

    def _tensors(
        self, matrix: sp.csr_matrix, total: np.ndarray, rows: np.ndarray
    ) -> TrainingBatch:
        return TrainingBatch(
            **sparse_batch(matrix, total, self.kind, self.boundaries),
            labels=torch.from_numpy(self.labels[rows]),
            offset=torch.from_numpy(self.offset[rows]),
        )


class SparseBatches(ShuffledBatches):
    """Shuffled training rows and validation rows in order, both as sparse batches.

    ``AnnDataLoader`` makes each batch dense; at 13,000 genes that alone takes as long as a
    training step here. A share ``thin`` of the training rows is sequenced less deeply.
    """

    data: Rows

    def __init__(
        self,
        data: Rows,
        train: np.ndarray,
        validation: np.ndarray,
        *,
        batch_size: int,
        thin: float,
        seed: int,
    ) -> None:
        super().__init__(data, train, validation, batch_size=batch_size, seed=seed)
        self.thin = thin

    def _train_batch(self, rows: np.ndarray) -> TrainingBatch:
        if self.thin > 0:
            return self.data.thinned(rows, self.thin, self.rng)
        return self.data.batch(rows)
