"""What the demo found, as JSON and on the screen."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from dtp_scvi._constants import (
    KEY_ADDED,
    LOGIT_SUFFIX,
    RANK_SUFFIX,
    SCORE_SUFFIX,
    SIMULATION_KEY,
    STUDENT,
)
from dtp_scvi.cli import _screen as screen
from dtp_scvi.cli._demo_steps import DONOR, LABELS, POSITIVE
from dtp_scvi.cli._results import evaluation_content, show_evaluation

if TYPE_CHECKING:
    from pathlib import Path

    from dtp_scvi.cli._demo_steps import Done

_PACKAGES: Final = ("scanpy", "pandas", "scipy")


def summarise(done: Done) -> dict[str, Any]:
    """Return the content of summary.json."""
    content = evaluation_content(done.cells.uns)
    fits = content.pop("timings")
    student = {
        "n_genes": len(done.student.genes_),
        **content.pop("student"),
        "panel": done.student.stability_,
    }
    truth = done.cells.uns[SIMULATION_KEY]
    data = {
        **content.pop("data"),
        "generator": truth["generator"],
        "seed": truth["seed"],
        "parameters": truth["parameters"],
        "oracle_auroc": truth["oracle_auroc"],
    }
    packages = {name: version(name) for name in _PACKAGES}
    return {
        "simulated": True,
        **content,
        "student": student,
        # Of the saved models: on the probabilities that their cross-validated calibration gives.
        "threshold": dict(done.student.threshold_),
        "new_donors": new_donors(done),
        "cohort": new_cohort(done),
        "timings": {**done.timings, "cross_validation_fits": fits},
        "settings": asdict(done.sizes),
        "data": data,
        "versions": {**content["versions"], **packages},
    }


def new_donors(done: Done) -> dict[str, Any]:
    """Judge the student on the cells of another study, with intervals over its donors."""
    from dtp_scvi import stats

    obs = done.query.obs
    metrics, _ = stats.bootstrap_metrics(
        (obs[LABELS] == POSITIVE).to_numpy(),
        {STUDENT: obs[f"{KEY_ADDED}{LOGIT_SUFFIX}"].to_numpy()},
        {STUDENT: obs[f"{KEY_ADDED}{SCORE_SUFFIX}"].to_numpy()},
        float(done.student.threshold_["value"]),
        obs[DONOR].to_numpy(),
        n_boot=done.sizes.n_boot,
        seed=done.seed,
    )
    found = {
        row.metric: {"value": row.value, "low": row.low, "high": row.high}
        for row in metrics.itertuples()
    }
    oracle = done.query.uns[SIMULATION_KEY]["oracle_auroc"]
    return {"n_cells": done.query.n_obs, "student": found, "oracle_auroc": oracle}


def new_cohort(done: Done) -> dict[str, Any]:
    """Correlate the score of bulk samples with the hidden share of drug-tolerant cells."""
    pair = done.cohort.obs[[f"{KEY_ADDED}{RANK_SUFFIX}", "true_persister_fraction"]]
    rho = pair.corr(method="spearman").iloc[0, 1]
    return {"n_samples": done.cohort.n_obs, "spearman_persister_fraction": float(rho)}


def show(done: Done, summary: dict[str, Any], out: Path) -> None:
    """Print the results and where they were written."""
    show_evaluation(done.cells.uns)
    auroc = summary["new_donors"]["student"]["auroc"]
    seconds = ", ".join(f"{name} {value:.0f}" for name, value in done.timings.items())
    rows = [
        (
            "new donors",
            f"AUROC {auroc['value']:.3f} [{auroc['low']:.3f}, {auroc['high']:.3f}] of the student; "
            f"the truth itself reaches {summary['new_donors']['oracle_auroc']:.3f}",
        ),
        (
            "bulk cohort",
            f"Spearman {summary['cohort']['spearman_persister_fraction']:.3f} of the rank with the "
            "hidden share of drug-tolerant cells",
        ),
        ("seconds", seconds),
    ]
    screen.findings("SIMULATED data: this shows the software, not biology", rows)
    names = ["summary.json", "overview.png", "teacher/", "student/"]
    screen.say(
        f"Wrote {out}/ with {', '.join(names)}, scored_cells.h5ad, scored_cohort.h5ad",
        style="bold",
    )
