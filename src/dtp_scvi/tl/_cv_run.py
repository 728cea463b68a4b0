"""Fit everything in each fold and collect what it says of the held-out rows."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._constants import STUDENT
from dtp_scvi._logging import progress
from dtp_scvi.stats import RULES, choose_threshold, sigmoid
from dtp_scvi.train import fit_baseline

if TYPE_CHECKING:
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


@dataclass
class OutOfFold:
    """Held-out log-odds, the thresholds of each fold, and what it took."""

    logits: dict[str, np.ndarray]
    thresholds: dict[str, np.ndarray]
    """Threshold on the probability that applies to each row: the one of its fold."""
    fold: np.ndarray
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    details: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    rule: str = ""
    """Rule of the thresholds inside the folds."""

    def add(self, name: str, fit: Fit, test: np.ndarray) -> None:
        """Take in what one model says of one fold."""
        self.logits[name][test] = fit.logits
        self.thresholds[name][test] = fit.threshold
        self.seconds[name] += fit.seconds
        self.details[name].append(fit.details)


@dataclass(frozen=True)
class Fit:
    """Log-odds of the test rows and the threshold of the training rows."""

    logits: np.ndarray
    threshold: float
    seconds: float
    details: dict[str, Any]


def run_folds(task: Task, plan: Plan, *, seed: int | None, verbose: bool) -> OutOfFold:
    """Fit model, student and baselines on the training rows of each fold."""
    names = [task.name, *([] if task.distill is None else [STUDENT]), *task.baselines]
    n = len(task.reg.labels)
    found = OutOfFold(
        {name: np.full(n, np.nan) for name in names},
        {name: np.full(n, np.nan) for name in names},
        np.full(n, -1, dtype=np.int64),
    )
    seeds = np.random.default_rng(seed).integers(2**31, size=len(plan.folds))
    total = len(names) * len(plan.folds)
    with progress(total, "cross-validation", verbose=verbose, unit="fits") as bar:

        def step(name: str, fit: Callable[[], Fit], test: np.ndarray) -> None:
            bar.set_postfix_str(name)
            found.add(name, fit(), test)
            bar.update()

        for number, (fold, fold_seed) in enumerate(zip(plan.folds, seeds.tolist(), strict=True)):
            found.fold[fold.test] = number
            model, rule = _run_model(task, fold, fold_seed, step)
            found.rule = str(rule["rule"])
            del model
            _run_baselines(task, plan, fold, fold_seed, rule, step)
    return found


def _run_model(
    task: Task, fold: Fold, seed: int, step: Callable[..., None]
) -> tuple[Any, dict[str, Any]]:
    """Fit the model and its student; return the model and the rule of its threshold."""
    model: Any = None

    def fit_model() -> Fit:
        nonlocal model
        start = time.perf_counter()
        model = task.model_cls(task.adata, **task.model_kwargs)
        model.train(indices=fold.train, seed=seed, **{"verbose": False, **task.train_kwargs})
        return _predict(model, task, fold, start)

    def fit_student() -> Fit:
        start = time.perf_counter()
        return _predict(model.distill(seed=seed, **(task.distill or {})), task, fold, start)

    step(task.name, fit_model, fold.test)
    if task.distill is not None:
        step(STUDENT, fit_student, fold.test)
    return model, _rule_of(model.threshold_)


def _predict(model: Any, task: Task, fold: Fold, start: float) -> Fit:
    logits = model.predict_logits(indices=fold.test)[task.reg.positive].to_numpy()
    seconds = time.perf_counter() - start
    return Fit(logits, float(model.threshold_["value"]), seconds, {})


def _rule_of(threshold: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the rule that a model followed, for its comparators to follow it too."""
    rule = str(threshold.get("rule", ""))
    if rule not in RULES:
        return {"rule": "youden"}
    if rule == "fixed":
        return {"rule": rule, "fixed": float(threshold["value"])}
    if rule in ("recall", "fpr"):
        return {"rule": rule, "target": float(threshold["target"])}
    return {"rule": rule}


def _run_baselines(
    task: Task, plan: Plan, fold: Fold, seed: int, rule: dict[str, Any], step: Callable[..., None]
) -> None:
    if task.matrix is None:
        return
    rows, new = task.matrix[fold.train], task.matrix[fold.test]
    labels = task.reg.is_positive[fold.train]
    groups = None if plan.inner is None else plan.inner[fold.train]
    for name in task.baselines:

        def fit(name: str = name) -> Fit:
            start = time.perf_counter()
            fitted = fit_baseline(
                name, rows, is_positive=labels, groups=groups, genes=task.reg.genes, seed=seed
            )
            inside = sigmoid(fitted.out_of_fold)
            cut = choose_threshold(labels, inside, n_boot=0, **rule).value
            logits = fitted.logit(new)
            return Fit(logits, cut, time.perf_counter() - start, fitted.details)

        step(name, fit, fold.test)


def fold_table(found: OutOfFold, plan: Plan, is_positive: np.ndarray) -> pd.DataFrame:
    """One row per fold: its sizes and the threshold that each model chose inside it."""
    rows = []
    for number, fold in enumerate(plan.folds):
        first = fold.test[0]
        cuts = {f"threshold_{name}": row[first] for name, row in found.thresholds.items()}
        sizes = {"n_train": len(fold.train), "n_test": len(fold.test)}
        positive = {"n_positive": int(is_positive[fold.test].sum())}
        rows.append({"fold": number, "held_out": fold.held_out, **sizes, **positive, **cuts})
    return pd.DataFrame(rows)
