"""Baselines that average: controls, changes, changes of a cell line or of a drug."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi.train._perturbation_rows import PerturbationRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Takes rows, returns their predicted change.
Predict = Callable[[PerturbationRows], "NDArray[np.float32]"]


def fit_copy_control() -> Predict:
    """Predict no change."""
    return lambda rows: np.zeros_like(rows.control)


def fit_cell_control_mean(everyone: PerturbationRows) -> Predict:
    """Predict the mean of the cell line's input controls, each distinct profile once."""
    of_cell = {
        cell: _distinct(everyone.control[everyone.cell == cell]).mean(axis=0, dtype=np.float64)
        for cell in dict.fromkeys(everyone.cell.tolist())
    }

    def predict(rows: PerturbationRows) -> NDArray[np.float32]:
        # The own control of a cell line that was never seen is all that is known of it.
        post = [of_cell.get(cell, own) for cell, own in zip(rows.cell, rows.control, strict=True)]
        return np.asarray(post, np.float32) - rows.control

    return predict


def fit_mean_delta(train: PerturbationRows) -> Predict:
    """Predict the mean change of all training rows."""
    mean = _mean(train.target())
    return lambda rows: np.tile(mean, (len(rows), 1))


def fit_cell_mean_delta(train: PerturbationRows) -> Predict:
    """Predict the mean change of the cell line, of all rows for one that was not trained on."""
    everywhere, target = _mean(train.target()), train.target()
    of_cell = {cell: _mean(target[train.cell == cell]) for cell in set(train.cell.tolist())}
    return lambda rows: np.stack([of_cell.get(cell, everywhere) for cell in rows.cell])


def level_means(
    train: PerturbationRows,
) -> tuple[NDArray[np.intp], pd.MultiIndex, NDArray[np.float64]]:
    """Return the mean change of each drug at each dose: code of each row, levels, means."""
    levels = pd.MultiIndex.from_arrays([train.drug, train.log_dose])
    codes, names = pd.factorize(levels, sort=True)
    sums = np.zeros((len(names), train.control.shape[1]))
    np.add.at(sums, codes, train.target())
    return codes, names, sums / np.bincount(codes)[:, None]


class DrugMeans:
    """Mean change of each drug at each dose."""

    def __init__(self, train: PerturbationRows) -> None:
        _, names, mean = level_means(train)
        self.mean = mean.astype(np.float32)
        self.everywhere = _mean(train.target())
        self.log_dose = np.asarray([dose for _, dose in names], np.float64)
        self.of_drug: dict[str, list[int]] = {}
        for i, (drug, _) in enumerate(names):
            self.of_drug.setdefault(drug, []).append(i)

    def at(self, drug: str, log_dose: float) -> NDArray[np.float32] | None:
        """Return the mean of the drug at the nearest dose; the lower one of two as near."""
        if drug not in self.of_drug:
            return None
        places = self.of_drug[drug]
        return self.mean[places[int(np.argmin(np.abs(self.log_dose[places] - log_dose)))]]


def fit_drug_mean_delta(train: PerturbationRows) -> Predict:
    """Predict the drug's mean change at the nearest dose, that of all rows for an unseen drug."""
    means = DrugMeans(train)

    def predict(rows: PerturbationRows) -> NDArray[np.float32]:
        found = [means.at(d, x) for d, x in zip(rows.drug, rows.log_dose, strict=True)]
        return np.stack([means.everywhere if one is None else one for one in found])

    return predict


def _mean(values: NDArray[Any]) -> NDArray[np.float32]:
    return values.mean(axis=0, dtype=np.float64).astype(np.float32)


def _distinct(profiles: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = np.ascontiguousarray(profiles)
    view = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    return rows[np.unique(view, return_index=True)[1]]
