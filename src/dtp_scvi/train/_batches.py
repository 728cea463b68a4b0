"""Sparse training batches from one matrix in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, IterableDataset

from dtp_scvi.module import TrainingBatch, sparse_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


class EpochBatches(IterableDataset[Any]):
    """The batches of one epoch, made anew for each."""

    def __init__(self, n_batches: int, make: Callable[[], Iterator[Any]]) -> None:
        self.n_batches, self.make = n_batches, make

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Any]:
        return self.make()


class SparseBatches(LightningDataModule):
    """Shuffled training rows and validation rows in order, both as sparse batches.

    ``AnnDataLoader`` makes each batch dense; at 13,000 genes that alone takes as long as a
    training step here.
    """

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
        super().__init__()
        self.data, self.train_rows, self.validation_rows = data, train, validation
        self.batch_size, self.thin = batch_size, thin
        self.rng = np.random.default_rng(seed)
        self.n_train, self.n_val = len(train), len(validation)

    @property
    def n_batches(self) -> int:
        """Number of training batches an epoch."""
        return -(-self.n_train // self.batch_size)

    def _training(self) -> Iterator[TrainingBatch]:
        for rows in np.array_split(self.rng.permutation(self.train_rows), self.n_batches):
            if self.thin > 0:
                yield self.data.thinned(rows, self.thin, self.rng)
            else:
                yield self.data.batch(rows)

    def _validation(self) -> Iterator[TrainingBatch]:
        for start in range(0, self.n_val, 1024):
            yield self.data.batch(self.validation_rows[start : start + 1024])

    def train_dataloader(self) -> DataLoader[TrainingBatch]:
        """Return the training batches, in an order that the seed fixes."""
        return DataLoader(EpochBatches(self.n_batches, self._training), batch_size=None)

    def val_dataloader(self) -> DataLoader[TrainingBatch]:
        """Return the validation batches."""
        return DataLoader(EpochBatches(-(-self.n_val // 1024), self._validation), batch_size=None)
