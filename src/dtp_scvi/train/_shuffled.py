"""Batches of every epoch: training rows in an order that a seed fixes, validation rows in theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, IterableDataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Data(Protocol):
    def batch(self, rows: np.ndarray) -> Any:
        """Return these rows as tensors."""


class _Epoch(IterableDataset[Any]):
    """The batches of one epoch, made anew for each."""

    def __init__(self, n_batches: int, make: Callable[[], Iterator[Any]]) -> None:
        self.n_batches, self.make = n_batches, make

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Any]:
        return self.make()


class ShuffledBatches(LightningDataModule):
    """Shuffled training rows and validation rows in order.

    Batches of an epoch differ by one row at most.

    Parameters
    ----------
    data
        What makes tensors of rows.
    train, validation
        Positions of the rows to fit and of those that pick the epoch.
    batch_size
        Most training rows a step.
    seed
        Seed of the order.
    """

    fewest: ClassVar[int] = 1
    """Least rows of a training batch; 2 where batch normalisation needs a variance."""
    at_once: int = 1024
    """Validation rows a batch."""

    def __init__(
        self,
        data: _Data,
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
        return max(1, min(-(-self.n_train // self.batch_size), self.n_train // self.fewest))

    def _train_batch(self, rows: np.ndarray) -> Any:
        return self.data.batch(rows)

    def _training(self) -> Iterator[Any]:
        for rows in np.array_split(self.rng.permutation(self.train_rows), self.n_batches):
            yield self._train_batch(rows)

    def _validation(self) -> Iterator[Any]:
        for start in range(0, self.n_val, self.at_once):
            yield self.data.batch(self.validation_rows[start : start + self.at_once])

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the training batches, in an order that the seed fixes."""
        return DataLoader(_Epoch(self.n_batches, self._training), batch_size=None)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation batches."""
        n_batches = -(-self.n_val // self.at_once)
        return DataLoader(_Epoch(n_batches, self._validation), batch_size=None)
