"""From held-out log-odds to the stored result."""

from __future__ import annotations

from dataclasses import asdict, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._constants import CTL, IFNG, LSC17, SIMULATION_KEY, STUDENT
from dtp_scvi.stats import (
    Calibration,
    bootstrap_metrics,
    choose_threshold,
    conformal_coverage,
    decision_curve,
    fidelity_interval,
    pr_table,
    reliability_table,
    roc_table,
    threshold_sweep,
)
from dtp_scvi.tl._cv_run import OutOfFold, Task, fold_table
from dtp_scvi.tl._cv_study import add_within_study

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dtp_scvi.tl._cv_plan import Plan

_PACKAGES = ("anndata", "numpy", "scikit-learn", "scvi-tools", "torch")


def summarise(
    task: Task,
    plan: Plan,
    found: OutOfFold,
    rule: Mapping[str, Any],
    params: Mapping[str, Any],
    *,
    n_boot: int,
    seed: int | None,
) -> dict[str, Any]:
    """Tables, curves and settings under the names that ``dtp.pl`` reads."""
    labels, rows = task.reg.is_positive, task.adata.obs_names.to_numpy(dtype=str)
    logits = found.logits
    probabilities = found.probabilities
    draws: dict[str, Any] = {"n_boot": n_boot, "seed": seed}
    metrics, differences = bootstrap_metrics(
        labels,
        logits,
        probabilities,
        found.thresholds,
        plan.donors,
        reference=task.name,
        **draws,
    )
    metrics, by_study = add_within_study(metrics, labels, found, plan, draws)
    main = probabilities[task.name]
    threshold = choose_threshold(labels, main, groups=plan.donors, **rule, **draws)
    calibration = Calibration.fit(logits[task.name], labels, groups=plan.donors, **draws)
    if plan.by_cell:
        # Donors are resampled for the intervals; what was left out are cells.
        calibration = replace(calibration, unit="cell")
    no_group = np.full(len(labels), "", dtype=object)
    return {
        "metrics": metrics,
        "differences": differences,
        **({} if by_study.empty else {"within_study": by_study}),
        "threshold": threshold.to_dict(),
        "threshold_sweep": threshold_sweep(labels, main),
        "calibration": calibration.to_dict(),
        "roc": roc_table(labels, logits),
        "pr": pr_table(labels, logits),
        "reliability": reliability_table(labels, probabilities, plan.donors, **draws),
        "decision_curve": decision_curve(labels, probabilities, groups=plan.donors, **draws),
        "coverage": _coverage(labels, main, plan, draws),
        "scores": pd.DataFrame(logits, index=rows),
        "probabilities": pd.DataFrame(probabilities, index=rows),
        "label": labels,
        "fold": found.fold,
        "group": no_group if task.reg.donors is None else task.reg.donors.astype(object),
        "folds": fold_table(found, plan, labels),
        "params": {**params, **describe(task, plan, found), **_given(seed=seed), "n_boot": n_boot},
    }


def _coverage(
    labels: np.ndarray, probabilities: np.ndarray, plan: Plan, draws: Mapping[str, Any]
) -> pd.DataFrame:
    """Coverage of conformal sets on donors left out; no number where cells were left out."""
    if not plan.by_cell or plan.donors is None:
        return conformal_coverage(labels, probabilities, plan.donors, **draws)
    table = conformal_coverage(labels, probabilities, None, **draws)
    return table.assign(reason="cells were held out, not donors")


def describe(task: Task, plan: Plan, found: OutOfFold) -> dict[str, Any]:
    """Say what the numbers rest on; only what h5ad can hold."""
    reg = task.reg
    params = {
        "model": task.name,
        "model_class": task.model_cls.__name__,
        "protocol": plan.protocol,
        "optimistic": plan.optimistic,
        "interval": plan.interval,
        "n_folds": len(plan.folds),
        "n_cells": len(reg.labels),
        "n_genes": len(reg.genes),
        "labels_key": reg.labels_key,
        "positive": reg.positive,
        "prevalence": float(reg.is_positive.mean()),
        "scale": str(reg.scale),
        "simulated": SIMULATION_KEY in task.adata.uns,
        "fold_threshold_rule": str(found.details[task.name][0]["threshold_rule"]),
        "warnings": np.array(plan.warnings, dtype=object),
        "seconds": {name: round(value, 3) for name, value in found.seconds.items()},
        "versions": {"dtp_scvi": __version__} | {name: version(name) for name in _PACKAGES},
        **_given(
            donor_key=reg.donor_key,
            batch_key=reg.batch_key,
            layer=reg.layer,
            settings=found.details[task.name][0].get("settings"),
        ),
    }
    if reg.donors is not None:
        params["n_donors"] = len(set(reg.donors))
    if plan.reason:
        params["optimistic_reason"] = plan.reason
    if plan.studies is not None:
        params["n_studies"] = len(set(plan.studies))
    if plan.shared is not None:
        params["shared_rows"] = asdict(plan.shared)
    if task.resample is not None:
        params["resample"] = {
            "method": task.resample,
            "where": "training rows of each fold and inner fold, for the baselines on expression",
            "not_for": task.name,
        }
    for name in (LSC17, IFNG, CTL):
        if name in task.baselines:
            details = found.details[name][0]
            params[name] = {"n_found": details["n_found"], "missing": details["missing"]}
    return params


def _given(**values: Any) -> dict[str, Any]:
    """Leave out what is ``None``, which older readers of h5ad do not know."""
    return {name: value for name, value in values.items() if value is not None}


def _cuts_on_logits(found: OutOfFold, name: str) -> np.ndarray:
    """For each row the cut on its fold's logits that makes the calls of the threshold.

    The threshold is one on calibrated probabilities, which rise with the logit.
    """
    logits, called = found.logits[name], found.probabilities[name] >= found.thresholds[name]
    cuts = np.empty(len(logits))
    for number in np.unique(found.fold):
        rows = found.fold == number
        above, below = logits[rows & called], logits[rows & ~called]
        ends = [
            part
            for part in (above.min(initial=np.inf), below.max(initial=-np.inf))
            if np.isfinite(part)
        ]
        cuts[rows] = np.mean(ends) if len(ends) == 2 else ends[0] + (0 if len(above) else 1e-9)
    return cuts


def fidelity_result(
    task: Task,
    plan: Plan,
    found: OutOfFold,
    params: Mapping[str, Any],
    *,
    n_boot: int,
    seed: int | None,
) -> dict[str, Any]:
    """
    Compare each fold's student with its teacher on the rows that neither has seen.

    Calls are made at the two thresholds of each fold; as these differ between folds, agreement
    and kappa rest on the distance of a logit from its threshold. The stored thresholds are the
    medians over the folds.
    """
    raw = [found.logits[name] for name in (task.name, STUDENT)]
    cuts = [_cuts_on_logits(found, name) for name in (task.name, STUDENT)]
    settings: dict[str, Any] = {"teacher_threshold": 0.0, "student_threshold": 0.0}
    settings |= {"groups": plan.donors, "n_boot": n_boot, "seed": seed}
    ranks = fidelity_interval(raw[0], raw[1], **settings)
    calls = fidelity_interval(raw[0] - cuts[0], raw[1] - cuts[1], **settings)
    table = pd.concat([ranks.iloc[:2], calls.iloc[2:]])
    summary: dict[str, float] = {"n": len(raw[0])}
    for row in table.itertuples():
        summary |= {
            row.metric: row.value,
            f"{row.metric}_low": row.low,
            f"{row.metric}_high": row.high,
        }
    first = [fold.test[0] for fold in plan.folds]
    return {
        "table": pd.DataFrame(
            {
                "teacher_logit": raw[0],
                "student_logit": raw[1],
                "group": "" if task.reg.donors is None else task.reg.donors,
                "fold": found.fold,
            },
            index=task.adata.obs_names.to_numpy(dtype=str),
        ),
        "summary": summary,
        "teacher_threshold": float(np.median(cuts[0][first])),
        "student_threshold": float(np.median(cuts[1][first])),
        "params": dict(params),
    }
