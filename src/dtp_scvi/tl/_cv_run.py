"""Fit everything in each fold and collect what it says of the held-out rows."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._constants import STUDENT, STUDY_ONLY
from dtp_scvi._logging import progress
from dtp_scvi.stats import Calibration, choose_threshold
from dtp_scvi.train import fit_baseline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import scipy.sparse as sp
    from anndata import AnnData

    from dtp_scvi.model import Registration
    from dtp_scvi.tl._cv_plan import Fold, Plan


@dataclass(frozen=True)
class Task:
    """What to fit in each fold."""

    adata: AnnData
    reg: Registration
    model_cls: Any
    name: str
    model_kwargs: Mapping[str, Any]
    train_kwargs: Mapping[str, Any]
    distill: Mapping[str, Any] | None
    baselines: tuple[str, ...]
    matrix: sp.csr_matrix | None
    """log1p CP10k of all rows, for the baselines."""
    negatives: np.ndarray | None
    """Rows that the false-positive rate is about, where that is the rule."""
    studies: sp.csr_matrix | None = None
    """What the comparator reads that knows the study alone."""
    resample: str | None = None
    """How the training rows of baselines are balanced."""
    with_model: bool = True
    """Whether the model itself is fitted, or baselines alone."""

    @property
    def names(self) -> list[str]:
        """All that is fitted, the model first."""
        ours = [self.name] if self.with_model else []
        return [*ours, *([] if self.distill is None else [STUDENT]), *self.baselines]


@dataclass(frozen=True)
class Fit:
    """What one model says of one fold."""

    logits: np.ndarray
    probabilities: np.ndarray
    """Calibrated on training rows that were held out inside the fold."""
    threshold: float
    """On the probability; chosen among the training rows."""
    seconds: float
    details: Mapping[str, Any]


@dataclass
class OutOfFold:
    """Held-out log-odds of all rows, and for each row the threshold of its fold."""

    logits: dict[str, np.ndarray]
    probabilities: dict[str, np.ndarray]
    thresholds: dict[str, np.ndarray]
    fold: np.ndarray
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    details: dict[str, list[Mapping[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, fit: Fit, test: np.ndarray) -> None:
        """Take in the rows of one fold."""
        self.logits[name][test] = fit.logits
        self.probabilities[name][test] = fit.probabilities
        self.thresholds[name][test] = fit.threshold
        self.seconds[name] += fit.seconds
        self.details[name].append(fit.details)


def run_folds(task: Task, plan: Plan, *, seed: int | None, verbose: bool) -> OutOfFold:
    """Fit model, student and baselines on the training rows of each fold."""
    n = len(task.reg.labels)
    logits, probabilities, thresholds = (
        {name: np.full(n, np.nan) for name in task.names} for _ in range(3)
    )
    found = OutOfFold(logits, probabilities, thresholds, np.full(n, -1, dtype=np.int64))
    seeds = np.random.default_rng(seed).integers(2**31, size=len(plan.folds)).tolist()
    total = len(task.names) * len(plan.folds)
    with progress(total, "cross-validation", verbose=verbose, unit="fits") as bar:
        for number, (fold, fold_seed) in enumerate(zip(plan.folds, seeds, strict=True)):
            found.fold[fold.test] = number
            for name, fit in _fit_fold(task, plan, fold, fold_seed):
                found.add(name, fit, fold.test)
                bar.set_postfix_str(f"fold {number + 1}: {name}")
                bar.update()
    return found


def _fit_fold(task: Task, plan: Plan, fold: Fold, seed: int) -> Iterator[tuple[str, Fit]]:
    """Yield one fit after the other; none of them sees a test row."""
    rule: dict[str, Any] = {"rule": "youden"}
    if task.with_model:
        start = time.perf_counter()
        model = task.model_cls(task.adata, **task.model_kwargs)
        model.train(indices=fold.train, seed=seed, **task.train_kwargs)
        rule = _rule_of(model.threshold_, task.negatives, fold.train)
        yield task.name, _predict(model, task, fold, start, rule["rule"])
        if task.distill is not None:
            start = time.perf_counter()
            student = model.distill(seed=seed, **task.distill)
            yield STUDENT, _predict(student, task, fold, start, rule["rule"])
    for name in task.baselines:
        yield name, _fit_baseline(name, task, plan, fold, seed, rule)


def _fit_baseline(
    name: str, task: Task, plan: Plan, fold: Fold, seed: int, rule: Mapping[str, Any]
) -> Fit:
    start = time.perf_counter()
    matrix: Any = task.studies if name == STUDY_ONLY else task.matrix
    labels = task.reg.is_positive[fold.train]
    groups = None if plan.inner is None else plan.inner[fold.train]
    fitted = fit_baseline(
        name,
        matrix[fold.train],
        is_positive=labels,
        groups=groups,
        genes=task.reg.genes,
        seed=seed,
        resample=task.resample,
    )
    curve = Calibration.fit(fitted.out_of_fold, labels, groups=groups, n_boot=0)
    inside = curve.transform(fitted.out_of_fold)
    cut = choose_threshold(labels, inside, n_boot=0, **rule).value
    logits = fitted.logit(matrix[fold.test])
    seconds = time.perf_counter() - start
    return Fit(logits, curve.transform(logits), cut, seconds, fitted.details)


def _predict(model: Any, task: Task, fold: Fold, start: float, rule: str) -> Fit:
    logits = model.predict_logits(indices=fold.test)[task.reg.positive].to_numpy()
    seconds = time.perf_counter() - start
    cut = float(model.threshold_["value"])
    details = {"threshold_rule": rule, "settings": getattr(model, "settings_", None)}
    return Fit(logits, model.calibrated(logits), cut, seconds, details)


def _rule_of(
    threshold: Mapping[str, Any], negatives: np.ndarray | None, train: np.ndarray
) -> dict[str, Any]:
    """Arguments of the rule that a model followed, for its comparators to follow it too."""
    rule: dict[str, Any] = {"rule": str(threshold["rule"])}
    if rule["rule"] == "fixed":
        rule["fixed"] = float(threshold["value"])
    if rule["rule"] in ("recall", "fpr"):
        rule["target"] = float(threshold["target"])
    if rule["rule"] == "fpr" and negatives is not None:
        rule["negatives"] = negatives[train]
    return rule


def fold_table(found: OutOfFold, plan: Plan, is_positive: np.ndarray) -> pd.DataFrame:
    """One row per fold: its sizes and the threshold that each model chose inside it."""
    rows = []
    for number, fold in enumerate(plan.folds):
        sizes = {
            "n_train": len(fold.train),
            "n_test": len(fold.test),
            "n_positive": int(is_positive[fold.test].sum()),
        }
        cuts = {
            f"threshold_{name}": float(cut[fold.test[0]]) for name, cut in found.thresholds.items()
        }
        rows.append({"fold": number, "held_out": fold.held_out, **sizes, **cuts})
    return pd.DataFrame(rows)
