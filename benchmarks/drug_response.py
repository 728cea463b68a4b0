"""How often intervals over correlated drugs hold the truth, and how often a finding is false.

coverage
    Share of cohorts whose 95 % interval holds the planted correlation. Each patient is tested
    with one to eight drugs that share the patient, so pairs of patient and drug are not
    independent: ``naive_pairs`` takes them for independent, the others resample patients.
    ``width`` is the mean width of the interval.
null
    Share of cohorts without any effect in which p < 0.05: by permuting patients over all drugs at
    once, and by the naive test.
fdr
    Mean share of false findings at a false discovery rate of 10 % (Benjamini-Hochberg, 24
    drugs), where no drug is affected and where a quarter of them is.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from planted import read, report
from scipy.stats import false_discovery_control, norm, spearmanr

from dtp_scvi import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_DRUGS = 8
MANY_DRUGS = 24
RATE = 0.1


def draw(
    rng: np.random.Generator,
    n_patients: int,
    effect: NDArray[np.float64],
    shared: float,
    fewest: int,
    most: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Scores, and responses (patients x drugs) that correlate with them by ``effect``.

    Of what the score leaves of a response, the share ``shared`` belongs to the patient. Each
    patient is tested with ``fewest`` to ``most`` drugs, drawn at random. All are standard normal.
    """
    score = rng.standard_normal(n_patients)
    own = rng.standard_normal((n_patients, len(effect)))
    rest = np.sqrt(shared) * rng.standard_normal((n_patients, 1)) + np.sqrt(1 - shared) * own
    values = np.outer(score, effect) + np.sqrt(1 - effect**2) * rest
    n_drugs = rng.integers(fewest, most + 1, n_patients)
    order = rng.random(values.shape).argsort(axis=1).argsort(axis=1)
    values[order >= n_drugs[:, None]] = np.nan
    return score, values


def pearson_to_spearman(r: float) -> float:
    """Spearman's correlation of two normal numbers that correlate by ``r``."""
    return float(6 / np.pi * np.arcsin(r / 2))


def naive(score: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Interval and p of the correlation over all pairs, as if each were a patient."""
    who, what = np.nonzero(~np.isnan(values))
    found = spearmanr(score[who], values[who, what])
    reach = norm.ppf(0.975) / np.sqrt(len(who) - 3)
    middle = np.arctanh(found.statistic)
    return np.tanh(middle - reach), np.tanh(middle + reach), found.pvalue


def coverage(rng: np.random.Generator, chosen: argparse.Namespace, seed: int) -> dict[str, float]:
    """Whether each interval holds the truth, and its width, for one cohort."""
    effect = np.full(N_DRUGS, chosen.effect)
    score, values = draw(rng, chosen.patients, effect, chosen.shared, 1, N_DRUGS)
    truth = pearson_to_spearman(chosen.effect)
    pooled = stats.pooled_rank_correlation(
        score, values, n_boot=chosen.boot, n_permutations=1, seed=seed
    )
    n = np.count_nonzero(~np.isnan(values), axis=0)
    meta = stats.random_effects(pooled.drug_rho, n, pooled.draws)
    alone = stats.random_effects(pooled.drug_rho, n)
    who, what = np.nonzero(~np.isnan(values))
    mixed = stats.mixed_model(values[who, what], score[who], who, what)
    one = int(n.argmax())
    kept = ~np.isnan(values[:, one])
    single = stats.rank_correlation(score[kept], values[kept, one], n_boot=chosen.boot, seed=seed)
    ends = {
        "within_drug": (pooled.low, pooled.high, truth),
        "meta_analysis": (meta.low, meta.high, truth),
        "meta_analysis, drugs independent": (alone.low, alone.high, truth),
        "mixed_model": (mixed.low, mixed.high, chosen.effect),
        "one drug": (single.low, single.high, truth),
        "naive_pairs": (*naive(score, values)[:2], truth),
    }
    found = {f"coverage {name}": low <= true <= high for name, (low, high, true) in ends.items()}
    found |= {f"width {name}": high - low for name, (low, high, _) in ends.items()}
    return found | {"mixed_model converged": mixed.converged}


def null(rng: np.random.Generator, chosen: argparse.Namespace, seed: int) -> dict[str, float]:
    """Whether a cohort without any effect is called positive."""
    score, values = draw(rng, chosen.patients, np.zeros(N_DRUGS), chosen.shared, 1, N_DRUGS)
    pooled = stats.pooled_rank_correlation(
        score, values, n_boot=1, n_permutations=chosen.boot, seed=seed
    )
    return {
        "null within_drug": pooled.p < 0.05,
        "null naive_pairs": naive(score, values)[2] < 0.05,
    }


def false_findings(rng: np.random.Generator, chosen: argparse.Namespace) -> dict[str, float]:
    """Share of false findings among the findings of one cohort."""
    found = {}
    for name, n_affected in (("no drug affected", 0), ("a quarter affected", MANY_DRUGS // 4)):
        effect = np.where(np.arange(MANY_DRUGS) < n_affected, chosen.effect, 0.0)
        score, values = draw(
            rng, chosen.patients, effect, chosen.shared, MANY_DRUGS // 2, MANY_DRUGS
        )
        p = [
            stats.rank_correlation(score[kept], column[kept], n_boot=1).p
            for column in values.T
            for kept in [~np.isnan(column)]
        ]
        called = false_discovery_control(p) <= RATE
        found[f"fdr {name}"] = called[n_affected:].sum() / max(1, called.sum())
        if n_affected:
            found[f"power {name}"] = called[:n_affected].mean()
    return found


def main(given: list[str] | None = None) -> None:
    """Simulate, count, print."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--json", type=Path, help="write the numbers to this file")
    options.add_argument("--cohorts", type=int, default=200)
    options.add_argument("--patients", type=int, default=150)
    options.add_argument("--effect", type=float, default=0.3, help="correlation, from 0 to 1")
    options.add_argument("--shared", type=float, default=0.5, help="of the rest, by patient")
    options.add_argument("--boot", type=int, default=500)
    options.add_argument("--seed", type=int, default=0)
    chosen = read(options, given)
    rng = np.random.default_rng(chosen.seed)
    shares: dict[str, list[float]] = {}
    for seed in range(chosen.cohorts):
        found = coverage(rng, chosen, seed) | null(rng, chosen, seed)
        for name, value in (found | false_findings(rng, chosen)).items():
            shares.setdefault(name, []).append(float(value))
    result: dict[str, Any] = {
        "cohorts": chosen.cohorts,
        "patients": chosen.patients,
        "true rho": pearson_to_spearman(chosen.effect),
    }
    report(result | {name: float(np.mean(v)) for name, v in shares.items()}, chosen.json)


if __name__ == "__main__":
    main()
