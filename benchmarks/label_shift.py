"""How often label shift is recognised, and how well its prevalence is recovered.

Each simulated cohort has a source (labelled, the score's home) and targets: one clean one whose
prevalence alone differs, and one for each planted covariate shift. The test reads only the
stored summary of the source.

accepted_clean
    Share of clean targets that ``label_shift_test`` accepts (level 0.05).
refused
    Share of targets refused, by planted shift.
recovered
    Share of clean targets whose prevalence EM (after Platt) and BBSE find to within 0.03, and the
    mean absolute error. ``_pure``: donors that don't differ, so p(score | class) is the same.
"""

from __future__ import annotations

import numpy as np
from planted import Cohort, draw_cohort, parser, read, report

from dtp_scvi import stats

# As a bulk score (compressed, moved), another platform (moved) or batch (stretched) would do.
SHIFTS = {
    "moved up": {"shift": 1.5},
    "moved down": {"shift": -1.5},
    "compressed": {"stretch": 0.5},
    "stretched": {"stretch": 1.6},
    "compressed and moved": {"stretch": 0.3, "shift": 1.5},
}


def errors(source: Cohort, target: Cohort) -> dict[str, float]:
    """Error of the prevalence by EM and BBSE; NaN where one gives up."""
    platt = stats.fit_calibrator("platt", source.score, source.label, source="held_out")
    truth, found = target.label.mean(), {}
    for name in ("em", "bbse"):
        try:
            if name == "em":
                p = platt.transform(target.score)
                value = stats.saerens_em(p, float(source.label.mean())).prevalence
            else:
                value = stats.bbse(source.label, source.score > 0, target.score > 0).prevalence
        except RuntimeError:
            value = np.nan
        found[name] = float(value - truth)
    return found


def main(given: list[str] | None = None) -> None:
    """Simulate, test, print."""
    options = parser(__doc__.split("\n")[0])
    options.add_argument("--source-donors", type=int, default=20)
    options.add_argument("--target-donors", type=int, default=10)
    options.add_argument("--boot", type=int, default=500)
    chosen = read(options, given)
    rng = np.random.default_rng(chosen.seed)
    sizes = {"source": (chosen.source_donors, chosen.cells)}
    sizes["target"] = (chosen.target_donors, chosen.cells)
    test = {"n_boot": chosen.boot, "seed": chosen.seed}
    accepted, refused = [], {name: [] for name in SHIFTS}
    apart: dict[str, list[float]] = {}
    for _ in range(chosen.cohorts):
        prevalence = rng.uniform(0.05, 0.6)
        vary = {"donor_sd": chosen.donor_sd}
        source = draw_cohort(rng, *sizes["source"], **vary)
        reference = stats.ScoreReference.from_scores(source.score, source.label, source.donor)
        vary["prevalence"] = prevalence
        clean = draw_cohort(rng, *sizes["target"], **vary)
        found = stats.label_shift_test(reference, clean.score, target_groups=clean.donor, **test)
        accepted.append(found.accepted)
        for name, planted in SHIFTS.items():
            moved = draw_cohort(rng, *sizes["target"], **vary, **planted)
            found = stats.label_shift_test(
                reference, moved.score, target_groups=moved.donor, **test
            )
            refused[name].append(not found.accepted)
        alike = [
            draw_cohort(rng, *sizes[side], donor_sd=0.0, prevalence=p)
            for side, p in (("source", 0.3), ("target", prevalence))
        ]
        for name, pair in (("", (source, clean)), ("_pure", alike)):
            for method, error in errors(*pair).items():
                apart.setdefault(method + name, []).append(error)
    rates = {name: float(np.mean(values)) for name, values in refused.items()}
    result = {
        "cohorts": chosen.cohorts,
        "accepted_clean": float(np.mean(accepted)),
        "refused_mean": float(np.mean(list(rates.values()))),
        "refused": rates,
    }
    for name, values in apart.items():
        size = np.abs(values)
        result[f"recovered_{name}"] = float(np.mean(size <= 0.03))
        result[f"mean_error_{name}"] = float(np.nanmean(size))
    report(result, chosen.json)


if __name__ == "__main__":
    main()
