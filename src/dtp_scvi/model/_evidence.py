"""What training keeps of its rows, so that a score can be judged later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from dtp_scvi._constants import FEWEST_ROWS
from dtp_scvi._logging import warn
from dtp_scvi._validate import problem
from dtp_scvi.data import scale_kind
from dtp_scvi.model._plain import plain
from dtp_scvi.module import sparse_batch
from dtp_scvi.stats import (
    Calibration,
    MondrianConformal,
    ScoreReference,
    SpaceReference,
    choose_threshold,
    fewest_donors,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import scipy.sparse as sp

    from dtp_scvi.data import Scale
    from dtp_scvi.module import StudentModule, TransformerModule

CONFORMAL_LEVEL: Final = 0.9
_STEP: Final = 1024


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


def conformal_sets(
    probability: np.ndarray, labels: np.ndarray, donors: np.ndarray | None
) -> MondrianConformal | None:
    """Fit sets on held-out rows; ``None`` where too few donors were held out for any promise."""
    if donors is None:
        return None
    held_out = min(len(set(donors[labels])), len(set(donors[~labels])))
    if held_out < fewest_donors(CONFORMAL_LEVEL):
        return None
    return MondrianConformal.fit(probability, labels, groups=donors, level=CONFORMAL_LEVEL)


@dataclass(frozen=True)
class Evidence:
    """
    What held-out rows say of a model's log-odds.

    Attributes
    ----------
    calibration
        From log-odds to probability.
    conformal
        Sets of classes, or ``None`` where too few donors were held out.
    score_reference
        Quantiles of the log-odds by class, or ``None`` where these would be single rows.
    threshold
        Threshold on the probability, as ``Threshold.to_dict`` gives it.
    """

    calibration: Calibration
    conformal: MondrianConformal | None
    score_reference: ScoreReference | None
    threshold: dict[str, Any]


def held_out_evidence(
    logits: np.ndarray,
    labels: np.ndarray,
    donors: np.ndarray | None,
    rule: Mapping[str, Any],
    *,
    kind: str,
    seed: int | None,
) -> Evidence:
    """
    Fit calibration, sets, reference and threshold on held-out rows.

    Parameters
    ----------
    logits
        Log-odds of the positive class, by fits that have not seen the row.
    labels
        Whether each row is in the positive class.
    donors
        Donor of each row; ``None`` for fewer than two.
    rule
        Arguments of :func:`dtp_scvi.stats.choose_threshold`.
    kind
        One of ``dtp_scvi.stats.CALIBRATORS``.
    seed
        Seed of the intervals.
    """
    calibration = calibrate(logits, labels, donors, kind, seed)
    probability = calibration.transform(logits)
    threshold = choose_threshold(labels, probability, groups=donors, seed=seed, **rule)
    return Evidence(
        calibration,
        conformal_sets(probability, labels, donors),
        score_reference(logits, labels, donors),
        threshold.to_dict(),
    )


def adopt_result(result: Mapping[str, Any], column: str) -> tuple[Evidence, dict[str, Any]]:
    """Evidence and evaluation from a stored cross-validation, for the model of one column."""
    params, rule = result["params"], result["threshold"]
    if rule["rule"] == "fpr":
        msg = problem(
            "a threshold rule that needs no named negatives",
            "'fpr'",
            "Pass the threshold rule to train(); its negatives are not stored with the result.",
        )
        raise ValueError(msg)
    named = np.asarray(result["group"]).astype(str)
    extra: dict[str, Any] = {"target": float(rule["target"])} if "target" in rule else {}
    if rule["rule"] == "fixed":
        extra = {"fixed": float(rule["value"])}
    evidence = held_out_evidence(
        np.asarray(result["scores"][column], dtype=np.float64),
        np.asarray(result["label"], dtype=bool),
        named if len(set(named)) > 1 else None,
        {"rule": str(rule["rule"]), **extra},
        kind="platt",
        seed=int(params.get("seed", 0)),
    )
    if params.get("optimistic", False):
        # Split by cell: donors are known, and none was left out.
        by_cell = replace(evidence.calibration, unit="cell")
        evidence = replace(evidence, calibration=by_cell, conformal=None)
    tables = ("metrics", "differences", "audit")
    found = {name: result[name].to_dict("records") for name in tables if name in result}
    return evidence, plain({"column": column, **found, "params": params})


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
