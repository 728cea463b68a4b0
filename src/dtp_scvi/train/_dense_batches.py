"""Dense training batches from normalised rows in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from dtp_scvi.module import DenseBatch
from dtp_scvi.train._batches import EpochBatches

if TYPE_CHECKING:
    from collections.abc import Iterator

    import scipy.sparse as sp

_VALIDATION_ROWS = 1024


@dataclass(frozen=True)
class DenseRows:
    """What an autoencoder is trained on, normalised."""

    values: np.ndarray | sp.csr_matrix
    """float32, (n_rows, n_inputs); sparse where that is smaller."""
    target: np.ndarray | None = None
    """A teacher's latent representation, float32, (n_rows, n_target)."""

    def batch(self, rows: np.ndarray) -> DenseBatch:
        """Return these rows as tensors."""
        values = self.values[rows]
        x = values if isinstance(values, np.ndarray) else values.toarray()
        batch = DenseBatch(X=torch.from_numpy(x))
        if self.target is not None:
            batch["target"] = torch.from_numpy(self.target[rows])
        return batch

    def moments(self, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the mean of each input over these rows, float32, and the mean of the variances."""
        values = self.values[rows]
        mean = np.asarray(values.mean(axis=0, dtype=np.float64)).ravel()
        stored = values if isinstance(values, np.ndarray) else values.data
        square = float(np.square(stored, dtype=np.float64).sum()) / np.prod(values.shape)
        return mean.astype(np.float32), max(square - float(np.mean(mean**2)), 0.0)


class DenseBatches(LightningDataModule):
    """Shuffled training rows and validation rows in order, made dense batch by batch.

    Batches of an epoch differ by one row at most, so that none is left with a single row, of
    which batch normalisation has no variance.
    """

    def __init__(
        self,
        data: DenseRows,
        train: np.ndarray,
        validation: np.ndarray,
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.data, self.train_rows, self.validation_rows = data, train, validation
        self.batch_size = batch_size
        self.rng = np.random.default_rng(seed)
        self.n_train, self.n_val = len(train), len(validation)

    @property
    def n_batches(self) -> int:
        """Number of training batches an epoch."""
        return max(1, min(-(-self.n_train // self.batch_size), self.n_train // 2))

    def _training(self) -> Iterator[DenseBatch]:
        for rows in np.array_split(self.rng.permutation(self.train_rows), self.n_batches):
            yield self.data.batch(rows)

    def _validation(self) -> Iterator[DenseBatch]:
        for start in range(0, self.n_val, _VALIDATION_ROWS):
            yield self.data.batch(self.validation_rows[start : start + _VALIDATION_ROWS])

    def train_dataloader(self) -> DataLoader[DenseBatch]:
        """Return the training batches, in an order that the seed fixes."""
        return DataLoader(EpochBatches(self.n_batches, self._training), batch_size=None)

    def val_dataloader(self) -> DataLoader[DenseBatch]:
        """Return the validation batches."""
        n_batches = -(-self.n_val // _VALIDATION_ROWS)
        return DataLoader(EpochBatches(n_batches, self._validation), batch_size=None)
