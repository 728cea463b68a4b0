"""What a query's rows say about whether a model's calibration and threshold hold for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._constants import FEWEST_ROWS
from dtp_scvi.stats import label_shift_test

if TYPE_CHECKING:
    from dtp_scvi.model import ExpressionClassifier, Query
    from dtp_scvi.stats import ScoreReference

_HIGH, _LOW = 0.95, 0.05
_MAD = 2.5


def collect(
    model: ExpressionClassifier,
    query: Query,
    logits: np.ndarray,
    space: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """
    Measure how a query differs from the training rows.

    Parameters
    ----------
    model
        Trained model.
    query
        What was scored.
    logits
        Log-odds of the positive class.
    space
        Program coordinates of the rows, or of a sample of them.
    groups
        Donor of each row of the query.
    seed
        Seed of the label-shift test.

    Returns
    -------
    Plain numbers; ``None`` where the model or the query has too little for a comparison.
    """
    alignment = query.alignment
    probability = model.calibrated(logits)
    evidence: dict[str, Any] = {
        "n_rows": len(logits),
        "coverage": alignment.coverage,
        "weighted_coverage": alignment.weighted_coverage(model.importance_),
        "scale": str(query.scale),
        "training_scale": model.scale_,
        "share_high": float((probability > _HIGH).mean()),
        "share_low": float((probability < _LOW).mean()),
        "entropy": _entropy(probability),
        "far_share": None,
        "spread": None,
        "mad_share": None,
        "domain_auroc": None,
        "donor_auroc": None,
        "training_high": 0.0,
        "training_low": 0.0,
        "shift": None,
        "label_shift": None,
        "label_shift_p": None,
        "prevalence": None,
        "training_prevalence": None,
    }
    reference = model.space_reference_
    if reference is not None and space.size:
        distance = reference.distance(space)
        evidence["far_share"] = float((distance > reference.farthest).mean())
        if len(space) >= FEWEST_ROWS:
            evidence["spread"] = reference.spread(space)
        limit = reference.median + _MAD * reference.mad
        evidence["mad_share"] = float((distance > limit).mean())
        evidence["domain_auroc"] = reference.domain_auroc(space)
        if len(reference.donor_auroc):
            evidence["donor_auroc"] = float(reference.donor_auroc.max())
    scores = model.score_reference_
    if scores is not None:
        evidence |= _scores(model, scores, logits, groups, seed)
    return evidence


def _scores(
    model: ExpressionClassifier,
    reference: ScoreReference,
    logits: np.ndarray,
    groups: np.ndarray | None,
    seed: int,
) -> dict[str, Any]:
    """Compare with the held-out logits of training."""
    share = reference.prevalence
    middle = np.sort(np.concatenate([reference.negative, reference.positive]))
    weight = _mixture(reference, middle, share)
    mass = np.diff(np.concatenate([[0.0], weight]))
    trained = model.calibrated(middle)
    found: dict[str, Any] = {
        "training_prevalence": share,
        "training_high": float(mass[trained > _HIGH].sum()),
        "training_low": float(mass[trained < _LOW].sum()),
    }
    if len(logits) < FEWEST_ROWS:
        return found
    here = np.searchsorted(np.sort(logits), middle, side="right") / len(logits)
    found["shift"] = float(np.abs(here - weight).max())
    test = label_shift_test(reference, logits, target_groups=groups, n_boot=200, seed=seed)
    found |= {
        "label_shift": test.accepted,
        "label_shift_p": test.p_value,
        "prevalence": test.prevalence,
    }
    return found


def _mixture(reference: ScoreReference, at: np.ndarray, share: float) -> np.ndarray:
    negative, positive = reference.cdf(at)
    return (1 - share) * negative + share * positive


def _entropy(probability: np.ndarray) -> float:
    """Mean binary entropy in bits, 0 to 1; 0 where every probability is 0 or 1."""
    p = np.clip(probability, 1e-12, 1 - 1e-12)
    return float(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)).mean())
