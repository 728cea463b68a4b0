"""What training keeps of its rows, so that a score can be judged later."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dtp_scvi._constants import FEWEST_ROWS
from dtp_scvi._logging import warn
from dtp_scvi._validate import problem
from dtp_scvi.data import scale_kind
from dtp_scvi.module import sparse_batch
from dtp_scvi.stats import Calibration, ScoreReference, SpaceReference, choose_threshold

if TYPE_CHECKING:
    from collections.abc import Mapping

    import scipy.sparse as sp

    from dtp_scvi.data import Scale
    from dtp_scvi.module import StudentModule, TransformerModule

_STEP = 1024


def calibrate(
    logits: np.ndarray, labels: np.ndarray, donors: np.ndarray | None, kind: str, seed: int | None
) -> Calibration:
    """Fit the calibration on held-out rows; say so where there is no signal to fit."""
    n_boot = 200 if donors is None or len(set(donors)) > 1 else 0
    found = Calibration.fit(logits, labels, kind=kind, groups=donors, n_boot=n_boot, seed=seed)
    if found.calibrator is None:
        warn(
            f"No calibration: {found.reason} ({found.n_labels:,} rows). Probabilities are the "
            "plain sigmoid of the logit; do not read them as probabilities."
        )
    return found


def adopt_result(
    result: Mapping[str, Any],
) -> tuple[Calibration, ScoreReference | None, dict[str, Any]]:
    """Calibration, score reference and threshold from a stored cross-validation."""
    params, rule = result["params"], result["threshold"]
    if rule["rule"] == "fpr":
        msg = problem(
            "a threshold rule that needs no named negatives",
            "'fpr'",
            "Pass the threshold rule to train(); its negatives are not stored with the result.",
        )
        raise ValueError(msg)
    logits = np.asarray(result["scores"][params["model"]], dtype=np.float64)
    labels = np.asarray(result["label"], dtype=bool)
    named = np.asarray(result["group"]).astype(str)
    donors = named if len(set(named)) > 1 else None
    seed = int(params.get("seed", 0))
    calibration = calibrate(logits, labels, donors, "platt", seed)
    if params.get("optimistic", False):
        # Split by cell: donors are known, and none was left out.
        calibration = replace(calibration, unit="cell")
    extra: dict[str, Any] = {"target": float(rule["target"])} if "target" in rule else {}
    if rule["rule"] == "fixed":
        extra = {"fixed": float(rule["value"])}
    threshold = choose_threshold(
        labels, calibration.transform(logits), rule=rule["rule"], groups=donors, seed=seed, **extra
    )
    return calibration, score_reference(logits, labels, donors), threshold.to_dict()


def score_reference(
    logits: np.ndarray, labels: np.ndarray, donors: np.ndarray | None
) -> ScoreReference | None:
    """Summarise held-out logits; ``None`` where quantiles would be single cells."""
    fewest = min(int(labels.sum()), int((~labels).sum()))
    if fewest < FEWEST_ROWS or np.ptp(logits) == 0:
        return None
    return ScoreReference.from_scores(logits, labels, donors)


@torch.inference_mode()
def space_reference(
    module: TransformerModule | StudentModule,
    matrix: sp.csr_matrix,
    total: np.ndarray,
    scale: Scale,
    codes: np.ndarray,
    donors: np.ndarray | None,
) -> SpaceReference | None:
    """Summarise where training rows lie in program space; ``None`` for a handful of rows."""
    module.eval()
    parts = []
    for start in range(0, matrix.shape[0], _STEP):
        rows = slice(start, start + _STEP)
        batch = sparse_batch(matrix[rows], total[rows], scale_kind(scale))
        parts.append(module.inference(batch)["space"].numpy())
    if matrix.shape[0] < FEWEST_ROWS:
        return None
    return SpaceReference.from_rows(np.concatenate(parts), codes, donors)
