"""What is left of a metric when only rows of one study are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi.stats import stratified_auroc_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dtp_scvi.tl._cv_plan import Plan
    from dtp_scvi.tl._cv_run import OutOfFold

WITHIN_STUDY: Final = "auroc_within_study"
WITHIN_FIT: Final = "auroc_within_study_and_fold"
_ALL = "(all)"
_COLUMNS = ["model", "metric", "value", "low", "high", "n_boot"]


def strata(studies: np.ndarray, fold: np.ndarray) -> dict[str, np.ndarray]:
    """
    Rows that are compared with one another, for each metric within studies.

    Scores of two folds come from two fits. A fit that lacks the positives of a study in its test
    fold expects fewer of them there, so pairs across folds pull a model that knows the study
    alone below 0.5; pairs of one fold do not.
    """
    both = np.array([f"{name} | {number}" for name, number in zip(studies, fold, strict=True)])
    return {WITHIN_STUDY: studies, WITHIN_FIT: both}


def add_within_study(
    metrics: pd.DataFrame,
    labels: np.ndarray,
    found: OutOfFold,
    plan: Plan,
    draws: Mapping[str, Any],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the metrics with those within studies after each model's own, and each study's AUROC."""
    if plan.studies is None:
        return metrics, pd.DataFrame()
    parts, by_study = [metrics], pd.DataFrame()
    for name, stratum in strata(plan.studies, found.fold).items():
        table = stratified_auroc_table(labels, found.logits, stratum, plan.donors, **draws)
        whole = table["stratum"] == _ALL
        parts.append(table[whole].assign(metric=name)[_COLUMNS])
        if name == WITHIN_STUDY:
            by_study = table[~whole].rename(columns={"stratum": "study"}).reset_index(drop=True)
    joined = pd.concat(parts, ignore_index=True)
    place = {name: number for number, name in enumerate(found.logits)}
    order = joined["model"].map(place).argsort(kind="stable")
    return joined.iloc[order].reset_index(drop=True), by_study
