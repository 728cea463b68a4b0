"""Treated rows with their controls, as batches of tensors made when they are needed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dtp_scvi.module import PerturbationBatch
from dtp_scvi.train._shuffled import ShuffledBatches

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, kw_only=True)
class TreatedRows:
    """All rows of an AnnData, without a copy of its matrices.

    Attributes
    ----------
    matrix
        Profiles, dense or sparse, (n_obs, n_vars); ``None`` where they are what is asked for.
    control
        Input controls, (n_obs, n_vars).
    columns
        Column of each gene of the model; ``None`` where they agree.
    drug
        Position in the model's drug table, int64.
    dose, time
        µM and hours, float32.
    cell
        Position of the cell line, int64, -1 where it is unknown.
    noise
        Seed of each row's noise, int64.
    """

    matrix: Any
    control: np.ndarray
    columns: np.ndarray | None
    drug: np.ndarray
    dose: np.ndarray
    time: np.ndarray
    cell: np.ndarray
    noise: np.ndarray

    def _dense(self, matrix: Any, rows: np.ndarray) -> torch.Tensor:
        values = matrix[rows]
        values = values if isinstance(values, np.ndarray) else values.toarray()
        values = values if self.columns is None else values[:, self.columns]
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    def batch(self, rows: np.ndarray) -> PerturbationBatch:
        """Return these rows as tensors; without ``x`` where there are no profiles."""
        batch: dict[str, torch.Tensor] = {"control": self._dense(self.control, rows)}
        if self.matrix is not None:
            batch["x"] = self._dense(self.matrix, rows)
        for name in ("drug", "dose", "time", "cell", "noise"):
            batch[name] = torch.from_numpy(getattr(self, name)[rows])
        return PerturbationBatch(**batch)  # type: ignore[typeddict-item]

    def moments(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Return mean and deviation by gene of profiles and of changes over these rows.

        Profiles count with their controls. A deviation is at least a hundredth of the median one,
        so that a gene without spread is not blown up.
        """
        sums = {name: np.zeros((2, 0)) for name in ("x", "delta")}
        n = {"x": 0, "delta": 0}
        for start in range(0, len(rows), 1024):
            batch = self.batch(rows[start : start + 1024])
            x, control = batch["x"].double().numpy(), batch["control"].double().numpy()
            for name, values in (("x", np.concatenate([x, control])), ("delta", x - control)):
                part = np.stack([values.sum(axis=0), np.square(values).sum(axis=0)])
                sums[name] = part if n[name] == 0 else sums[name] + part
                n[name] += len(values)
        found = {}
        for name, (first, second) in sums.items():
            mean = first / n[name]
            sd = np.sqrt(np.maximum(second / n[name] - mean**2, 0.0))
            floor = 0.01 * float(np.median(sd)) or 1.0
            found[f"{name}_mean"] = torch.from_numpy(mean.astype(np.float32))
            found[f"{name}_sd"] = torch.from_numpy(np.maximum(sd, floor).astype(np.float32))
        return found


def noise_seeds(names: Iterable[object], seed: int) -> np.ndarray:
    """Return a seed for each row that depends on its name and ``seed`` alone, int64."""
    return np.array([zlib.crc32(f"{seed}:{name}".encode()) for name in names], dtype=np.int64)


class TreatedBatches(ShuffledBatches):
    """Shuffled training rows and watched rows in order."""

    data: TreatedRows
    at_once = 128
