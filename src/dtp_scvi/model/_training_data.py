"""The rows that a model is trained on, read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._validate import problem
from dtp_scvi.data import get_matrix
from dtp_scvi.model._arguments import N_FOLDS
from dtp_scvi.stats import IsotonicCalibrator
from dtp_scvi.train import InnerFolds, inner_folds, read_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import scipy.sparse as sp

    from dtp_scvi.data import Scale
    from dtp_scvi.model._classifier import ExpressionClassifier


@dataclass(frozen=True)
class TrainingData:
    """Rows in memory with their classes, donors and inner folds."""

    which: np.ndarray
    """Positions in the AnnData."""
    matrix: sp.csr_matrix
    """Expression on the scale of the input, all genes."""
    total: np.ndarray
    """Sum of each row on the linear scale, float64."""
    codes: np.ndarray
    """Class of each row."""
    donors: np.ndarray | None
    """Donor of each row."""
    inner: InnerFolds
    """Folds of the donors; of the rows where there are too few donors."""
    scale: Scale

    @property
    def groups(self) -> list[str] | None:
        """Donor of each row as a list."""
        return None if self.donors is None else self.donors.tolist()

    def donors_of(self, rows: np.ndarray) -> np.ndarray | None:
        """Donors of held-out rows; ``None`` for one donor, or where donors were not kept whole."""
        if self.donors is None or self.inner.unit != "donor":
            return None
        found = self.donors[rows]
        return found if len(set(found)) > 1 else None

    def protocol(self, n_held_out: int) -> dict[str, Any]:
        """What a model that held out so many rows says of its training."""
        return {
            "held_out": self.inner.unit,
            "n_rows": len(self.which),
            "n_donors": None if self.donors is None else len(set(self.donors)),
            "threshold_rows": n_held_out,
        }


def read_training_data(
    model: ExpressionClassifier, indices: np.ndarray | None, seed: int
) -> TrainingData:
    """Read the rows at ``indices``, all by default, of the data a model was set up with."""
    adata = model._own_adata()
    reg = type(model).registration(adata)
    which = np.arange(len(reg.labels))
    which = which if indices is None else which[indices]
    codes = reg.codes[which]
    absent = [name for code, name in enumerate(reg.classes) if not (codes == code).any()]
    if absent:
        msg = problem(
            "every class among the rows to train on",
            f"no row of {', '.join(absent)} in {len(which):,} rows",
            "Choose other `indices`.",
        )
        raise ValueError(msg)
    donors = None if reg.donors is None else reg.donors[which]
    inner = inner_folds(reg.labels[which], donors, N_FOLDS, seed)
    matrix, total = read_rows(get_matrix(adata, reg.layer), reg.scale, which)
    return TrainingData(which, matrix, total, codes, donors, inner, reg.scale)


def held_out_rows(given: TrainingData, n_members: int) -> np.ndarray:
    """Rows that a member holds out, each once."""
    folds = given.inner.folds
    return np.concatenate([test for _, test in folds[:n_members]])


def check_calibration(kind: str, given: TrainingData, n_members: int) -> None:
    """Raise, before any fit, where too few rows will be held out for this kind of curve."""
    if kind != IsotonicCalibrator.kind:
        return
    rows = held_out_rows(given, n_members)
    by_donor = given.donors is not None and given.inner.unit == "donor"
    units = given.donors[rows] if given.donors is not None and by_donor else rows
    IsotonicCalibrator.check_enough(len(rows), len(set(units)))


def rule_arguments(
    arguments: Mapping[str, Any] | None, given: TrainingData, n_members: int
) -> dict[str, Any]:
    """Cut named negatives to the training rows; some must be held out by a member."""
    found = dict(arguments or {})
    if found.get("negatives") is None:
        found.pop("negatives", None)
        return found
    found["negatives"] = np.asarray(found["negatives"])[given.which]
    if not found["negatives"][held_out_rows(given, n_members)].any():
        msg = problem(
            "`negatives` among the rows that are held out for the threshold",
            f"all {int(found['negatives'].sum()):,} of them among the rows that are fitted",
            f"Name negatives of more donors, or set n_members={N_FOLDS}: all rows are then held out.",
        )
        raise ValueError(msg)
    return found
