"""Dense training batches from normalised rows in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from dtp_scvi.module import DenseBatch
from dtp_scvi.train._shuffled import ShuffledBatches

if TYPE_CHECKING:
    import scipy.sparse as sp


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


class DenseBatches(ShuffledBatches):
    """Shuffled training rows and validation rows in order, made dense batch by batch."""

    data: DenseRows
    fewest: ClassVar[int] = 2
