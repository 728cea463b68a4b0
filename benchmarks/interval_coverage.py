"""How often conformal sets and bootstrap intervals hold what they promise to hold.

conformal
    Mean coverage in new donors of sets calibrated on as many donors, by level: donors count
    alike, both classes are averaged. ``pooled`` is the method with a proof.
ece, auroc
    Share of cohorts whose 95 % donor-bootstrap interval (``bootstrap_metrics``) holds the value of
    the population of donors; ``percentile`` is the plain percentile interval of the same
    resamples. One model is nearly calibrated, one is too sure and too high.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from planted import Cohort, draw_cohort, parser, read, report

from dtp_scvi import stats

LEVELS = (0.8, 0.9, 0.95)
# Slope and intercept of the logit that the model claims, on a score whose own are 1.9 and -0.8.
MODELS = {"calibrated": (1.95, -0.8), "too sure": (2.8, -0.3)}
POPULATION = 20_000


def claim(cohort: Cohort, model: str) -> np.ndarray:
    """Probabilities that a model claims."""
    slope, level = MODELS[model]
    return stats.sigmoid(slope * cohort.score + level)


def conformal(rng: np.random.Generator, size: tuple[int, int], options: dict[str, Any]) -> dict:
    """Coverage by method and level, and donors used."""
    known, new = (draw_cohort(rng, *size, **options) for _ in range(2))
    found = {}
    for method in ("one_per_donor", "pooled"):
        for level in LEVELS:
            sets = stats.MondrianConformal.fit(
                claim(known, "too sure"),
                known.label,
                groups=known.donor,
                level=level,
                method=method,
            ).predict(claim(new, "too sure"))
            table = stats.coverage_table(new.label, sets, new.donor)
            found[f"{method} {level:g}"] = table["coverage"].mean()
    return found


def intervals(cohort: Cohort, truth: dict[str, dict[str, float]], n_boot: int, seed: int) -> dict:
    """Whether each interval holds the truth."""
    claims = {model: claim(cohort, model) for model in MODELS}
    table, _ = stats.bootstrap_metrics(
        cohort.label, claims, claims, 0.5, cohort.donor, n_boot=n_boot, seed=seed
    )
    table = table.set_index(["model", "metric"])
    found = {}
    for model, p in claims.items():
        one = stats.WeightedMetrics(cohort.label, p, probabilities=p, threshold=0.5)
        draws = stats.cluster_bootstrap_weights(cohort.donor, n_boot, seed=seed)
        numbers = [one.values(weights) for weights in draws]
        low, high = stats.interval([row for row in numbers if row is not None])
        for metric in ("auroc", "ece"):
            value, row = truth[model][metric], table.loc[(model, metric)]
            at = stats.METRICS.index(metric)
            found[f"{metric} {model}"] = row["low"] <= value <= row["high"]
            found[f"{metric} {model} percentile"] = low[at] <= value <= high[at]
    return found


def main(given: list[str] | None = None) -> None:
    """Simulate, count, print."""
    options = parser(__doc__.split("\n")[0])
    options.add_argument("--donors", type=int, default=24)
    options.add_argument("--boot", type=int, default=300)
    chosen = read(options, given)
    rng = np.random.default_rng(chosen.seed)
    vary, size = {"donor_sd": chosen.donor_sd}, (chosen.donors, chosen.cells)
    everyone = draw_cohort(rng, POPULATION, 100, **vary)
    truth = {
        model: stats.classification_metrics(everyone.label, p, probabilities=p, threshold=0.5)
        for model in MODELS
        for p in [claim(everyone, model)]
    }
    shares: dict[str, list[float]] = {}
    for seed in range(chosen.cohorts):
        for name, value in conformal(rng, size, vary).items():
            shares.setdefault(f"conformal {name}", []).append(value)
        cohort = draw_cohort(rng, *size, **vary)
        for name, value in intervals(cohort, truth, chosen.boot, seed).items():
            shares.setdefault(name, []).append(value)
    result: dict[str, Any] = {"cohorts": chosen.cohorts, "donors": chosen.donors}
    for model, values in truth.items():
        result |= {f"true {name} {model}": values[name] for name in ("auroc", "ece")}
    report(result | {name: float(np.mean(v)) for name, v in shares.items()}, chosen.json)


if __name__ == "__main__":
    main()
