"""Null of the recovery test: does a shuffled score recover known targets more often than it should?

Scores of simulated samples are shuffled, genes are ranked by each of them, and the same eight
"known targets" are looked for. Printed are, for both nulls of ``dtp.tl.target_recovery``, the
share of p at or below 0.05 (0.05 is right) and the p of Kolmogorov and Smirnov's test that p is
uniform, in four settings: genes that are independent; mixtures of cells, where genes go up and
down together, with targets picked anywhere or from one programme; and the latter with evidence
that no shuffle touches (abundance) in the ranking.

Run: ``python benchmarks/target_recovery.py [--json FILE]``
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from planted import read, report
from scipy.stats import kstest

import dtp_scvi as dtp

NULLS = ("matched_genes", "shuffled_score")
N_TARGETS = 8


@dataclass(frozen=True)
class Setting:
    """Samples, the genes that count as known, and the weights of components."""

    samples: ad.AnnData
    targets: list[str]
    weights: dict[str, float]


def independent(n: int, n_genes: int, rng: np.random.Generator) -> ad.AnnData:
    """Counts of genes that vary on their own."""
    mean = np.exp(rng.normal(3, 1, n_genes) + 0.5 * rng.normal(size=(n, n_genes)))
    names = dtp.datasets.simulate_dependencies(n_genes).var_names
    obs = pd.DataFrame({"score": rng.normal(size=n)}, index=[f"p{i}" for i in range(n)])
    counts = rng.poisson(mean).astype(np.float32)
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=names))


def mixtures(n: int, n_genes: int, seed: int) -> ad.AnnData:
    """Bulk samples, mixed from cells."""
    samples = dtp.datasets.simulate_cohort(n, n_genes=n_genes, n_drugs=4, seed=seed)
    samples.obs["score"] = samples.obs["true_persister_fraction"]
    return samples


def settings(given: argparse.Namespace) -> dict[str, Setting]:
    """The four settings, by what is said of them."""
    rng = np.random.default_rng(given.seed)
    alone = independent(given.samples, given.genes, rng)
    mixed = mixtures(given.samples, given.genes, given.seed)
    anywhere = list(rng.choice(mixed.var_names, N_TARGETS, replace=False))
    together = list(mixed.var_names[mixed.var["programme"] == "monocytic"][:N_TARGETS])
    score = {"abundance": 0.0}
    return {
        "independent genes": Setting(alone, list(alone.var_names[:N_TARGETS]), score),
        "mixtures, targets anywhere": Setting(mixed, anywhere, score),
        "mixtures, targets of one programme": Setting(mixed, together, score),
        "the same, with abundance": Setting(mixed, together, {}),
    }


def null_p(setting: Setting, n_shuffles: int, seed: int) -> dict[str, list[float]]:
    """P of both tests, for score after shuffled score."""
    rng, samples = np.random.default_rng(seed), setting.samples.copy()
    p: dict[str, list[float]] = {name: [] for name in NULLS}
    for _ in range(n_shuffles):
        samples.obs["shuffled"] = rng.permutation(setting.samples.obs["score"].to_numpy())
        drawn = int(rng.integers(2**31))
        dtp.tl.rank_targets(
            samples,
            score_key="shuffled",
            weights=setting.weights,
            surface_tier=None,
            min_detected=None,
            scale="counts",
            n_boot=1,
            n_shuffles=99,
            seed=drawn,
        )
        found = dtp.tl.target_recovery(
            samples, controls=setting.targets, n_random=199, top=(10,), seed=drawn
        )
        table = found["table"].set_index("test")
        for name in NULLS:
            p[name].append(float(table.loc[name, "p"]))
    return p


def main(arguments: list[str] | None = None) -> None:
    """Shuffle, rank, test, print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--json", type=Path, help="write the numbers to this file")
    options.add_argument("--shuffles", type=int, default=200)
    options.add_argument("--samples", type=int, default=80)
    options.add_argument("--genes", type=int, default=300)
    options.add_argument("--seed", type=int, default=0)
    given = read(options, arguments)
    rows: dict[str, dict[str, float]] = {}
    for name, setting in settings(given).items():
        rows[name] = {}
        for null, p in null_p(setting, given.shuffles, given.seed).items():
            rows[name][f"{null}, p <= 0.05"] = float(np.mean(np.array(p) <= 0.05))
            rows[name][f"{null}, KS p"] = float(kstest(p, "uniform").pvalue)
    for null in NULLS:
        shown = pd.DataFrame(rows).T.filter(like=null)
        print(f"{shown.to_string(float_format='{:.2g}'.format)}\n")
    asked = {name: value for name, value in vars(given).items() if name != "json"}
    about: dict[str, Any] = {"version": dtp.__version__, **asked}
    report(about, None)
    if given.json is not None:
        given.json.write_text(json.dumps({**about, "settings": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
