"""The mean change of drugs with a similar structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi.stats import tanimoto
from dtp_scvi.train._perturbation_linear import choose
from dtp_scvi.train._perturbation_means import DrugMeans, Predict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dtp_scvi.train._perturbation_rows import PerturbationRows

NEIGHBOURS: Final = (5, 7, 10)


def fit_tanimoto_knn(
    train: PerturbationRows, valid: PerturbationRows
) -> tuple[Predict, dict[str, Any]]:
    """Average the nearest training drugs at the nearest dose, weighted by Tanimoto similarity."""
    means = DrugMeans(train)
    drugs, first = np.unique(train.drug.astype(str), return_index=True)
    known = _bits(train)[first]

    def at(k: int) -> Predict:
        def predict(rows: PerturbationRows) -> NDArray[np.float32]:
            out = np.tile(means.everywhere, (len(rows), 1))
            bits, done = _bits(rows), {}
            for i, key in enumerate(zip(rows.drug, rows.log_dose, strict=True)):
                if key not in done:
                    done[key] = _neighbours(bits[i], key[1], k)
                out[i] = done[key]
            return out

        return predict

    def _neighbours(bits: NDArray[np.float32], log_dose: float, k: int) -> NDArray[Any]:
        similar = tanimoto(bits[None], known)[0]
        nearest = np.argsort(-similar, kind="stable")[:k]
        weight = similar[nearest]
        if not weight.sum():
            return means.everywhere
        found = np.stack([means.at(str(drugs[j]), log_dose) for j in nearest])  # type: ignore[misc]
        return (weight @ found) / weight.sum()

    return choose(NEIGHBOURS, [at(k) for k in NEIGHBOURS], valid, 7)


def _bits(rows: PerturbationRows) -> NDArray[np.float32]:
    return np.zeros((len(rows), 1), np.float32) if rows.bits is None else rows.bits
