"""Baselines that are linear: cell plus drug, ridge on controls and fingerprints, low rank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from dtp_scvi.train._perturbation_means import level_means

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dtp_scvi.train._perturbation_means import Predict
    from dtp_scvi.train._perturbation_rows import PerturbationRows

SHRINKAGE: Final = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
PENALTIES: Final = tuple(10.0**k for k in range(-1, 6))
N_COMPONENTS: Final = 10
_LOW_RANK_PENALTY = 0.1
_PASSES = 20


def valid_error(predict: Predict, valid: PerturbationRows) -> float:
    """Mean squared error of the change on validation rows."""
    return float(np.mean((predict(valid) - valid.target()) ** 2, dtype=np.float64))


def choose(
    options: Sequence[float], fits: Sequence[Predict], valid: PerturbationRows, middle: float
) -> tuple[Predict, dict[str, Any]]:
    """Return the fit with the least error on validation rows, or the ``middle`` one without any."""
    if not len(valid):
        at = list(options).index(middle)
        return fits[at], {"value": middle, "chosen_on": "none: no validation rows"}
    errors = [valid_error(fit, valid) for fit in fits]
    at = int(np.argmin(errors))
    return fits[at], {"value": options[at], "chosen_on": "valid", "valid_mse": errors[at]}


def fit_additive(
    train: PerturbationRows, valid: PerturbationRows
) -> tuple[Predict, dict[str, Any]]:
    """Predict mean + cell line + drug, each shrunk by the rows it has; the shrinkage is chosen."""
    fits = [_additive(train, shrinkage) for shrinkage in SHRINKAGE]
    return choose(SHRINKAGE, fits, valid, 3.0)


def _additive(train: PerturbationRows, shrinkage: float) -> Predict:
    target = train.target().astype(np.float64)
    mean = target.mean(axis=0)
    codes, names, effects = [], [], []
    for column in (train.cell, train.drug):
        code, level = pd.factorize(column, sort=True)
        codes.append(code)
        names.append(pd.Index(level))
        effects.append(np.zeros((len(level), target.shape[1])))
    # One cell line is the mean already.
    active = [k for k in (0, 1) if len(names[k]) > 1]
    for _ in range(_PASSES if len(active) > 1 else 1):
        for k in active:
            rest = target - mean - effects[1 - k][codes[1 - k]]
            sums = np.zeros_like(effects[k])
            np.add.at(sums, codes[k], rest)
            effects[k] = sums / (np.bincount(codes[k]) + shrinkage)[:, None]

    def predict(rows: PerturbationRows) -> NDArray[np.float32]:
        total = np.tile(mean, (len(rows), 1))
        for index, effect, column in zip(names, effects, (rows.cell, rows.drug), strict=True):
            at = index.get_indexer(pd.Index(column))
            total += np.where((at >= 0)[:, None], effect[at.clip(min=0)], 0.0)
        return total.astype(np.float32)

    return predict


class ControlAxes:
    """Principal components of the training controls, in units of the first one's deviation."""

    def __init__(self, train: PerturbationRows, seed: int) -> None:
        n = min(N_COMPONENTS, *train.control.shape)
        self.pca = PCA(n, svd_solver="randomized", random_state=seed).fit(train.control)
        self.unit = float(np.sqrt(self.pca.explained_variance_[0])) or 1.0

    def __call__(self, rows: PerturbationRows) -> NDArray[np.float64]:
        return np.asarray(self.pca.transform(rows.control), np.float64) / self.unit


def fingerprint(rows: PerturbationRows) -> NDArray[np.float64]:
    """Bits times log10(dose + 1)."""
    bits = np.zeros((len(rows), 0)) if rows.bits is None else rows.bits
    return np.asarray(bits, np.float64) * rows.log_dose[:, None]


def fit_ridge(
    train: PerturbationRows, valid: PerturbationRows, seed: int
) -> tuple[Predict, dict[str, Any]]:
    """Ridge on [control components, fingerprint × log10(dose + 1), time]; the penalty is chosen."""
    axes = ControlAxes(train, seed)

    def features(rows: PerturbationRows) -> NDArray[np.float64]:
        return np.hstack([axes(rows), fingerprint(rows), rows.time[:, None]])

    x, y = features(train), train.target().astype(np.float64)
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    values, vectors = np.linalg.eigh((x - x_mean).T @ (x - x_mean))
    projected = vectors.T @ ((x - x_mean).T @ (y - y_mean))

    def at(penalty: float) -> Predict:
        weights = vectors @ (projected / (values.clip(min=0) + penalty)[:, None])
        return lambda rows: ((features(rows) - x_mean) @ weights + y_mean).astype(np.float32)

    return choose(PENALTIES, [at(penalty) for penalty in PENALTIES], valid, 100.0)


def fit_bilinear(train: PerturbationRows, seed: int) -> tuple[Predict, dict[str, Any]]:
    """
    Gene components × W × drug components plus the mean, on mean changes of drugs at doses.

    Ten components of either, ridge 0.1 on both sides, after the linear model of Ahlmann-Eltze et al.
    (2025, doi:10.1038/s41592-025-02772-6); components of fingerprints stand in for those of genes.
    """
    codes, _, means = level_means(train)
    first = np.unique(codes, return_index=True)[1]
    known = fingerprint(train)[first]
    n = min(N_COMPONENTS, *known.shape, *means.shape)
    drugs = PCA(n, svd_solver="randomized", random_state=seed).fit(known)
    centre = means.mean(axis=0)
    genes = PCA(n, svd_solver="randomized", random_state=seed).fit(means).components_.T
    p = drugs.transform(known)
    penalty = _LOW_RANK_PENALTY * np.eye(n)
    left = np.linalg.solve(genes.T @ genes + penalty, genes.T @ (means - centre).T)
    weights = left @ p @ np.linalg.inv(p.T @ p + penalty)

    def predict(rows: PerturbationRows) -> NDArray[np.float32]:
        change = drugs.transform(fingerprint(rows)) @ weights.T @ genes.T
        return (centre + change).astype(np.float32)

    return predict, {"n_components": n, "penalty": _LOW_RANK_PENALTY}
