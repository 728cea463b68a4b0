"""Planted drug effects: do networks read structure, dose and time, and what do shared controls fake?

    python benchmarks/planted_perturbation.py [--seeds 5] [--first 10] [--epochs 30] [--jobs 2] [--json FILE]

All data are simulated (``datasets.simulate_perturbation``); the change that was planted is known. Networks are
small (width 32, 50 genes); baselines choose what they choose on the validation part.

structure
    Unseen drugs; correlation of changes of single wells, against independent controls. The same with
    every drug under the structure of another one, in training as well: nothing can be learned of it.
dose, time
    A level between others is held out. Correlation and squared error of the predicted change
    against the planted one; beside the observed change of the same drug and line at the nearest
    level, and at the two levels around it, weighted by the distance in logarithms.
controls
    The mean of the controls as a prediction, under pairing with single wells: own controls, and others.

Rows of ``seeds`` are means over seeds, with the 95 % interval of the mean (Student's t) or, of fewer
than three seeds, the range.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import joblib
import numpy as np
import pandas as pd
from scipy import stats as st

import dtp_scvi as dtp

KEYS = {
    "drug_key": "drug",
    "smiles_key": "smiles",
    "dose_key": "dose",
    "time_key": "time",
    "cell_key": "cell",
    "plate_key": "plate",
    "control_label": "DMSO",
}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "XPert": ("XPert", {"d_model": 32}),
    "PertDiT": ("PertDiT", {"d_model": 32, "d_hidden": 64}),
    "PertDiT direct": ("PertDiT", {"d_model": 32, "d_hidden": 64, "objective": "direct"}),
}
DRUG_FREE = (
    "copy_control",
    "cell_control_mean",
    "mean_delta",
    "cell_mean_delta",
    "drug_free_mlp",
)
STRUCTURAL = ("ridge", "tanimoto_knn")
UNSEEN = {"n_drugs": 240, "doses": (1.0, 10.0), "times": (24.0,)}
DOSES = {"n_drugs": 80, "doses": (0.1, 0.3, 1.0, 3.0, 10.0), "times": (24.0,)}
TIMES = {"n_drugs": 80, "doses": (10.0,), "times": (3.0, 6.0, 12.0, 24.0, 48.0)}
LR = 3e-3


def simulated(seed: int, by: str, sizes: dict[str, Any], **options: Any) -> Any:
    """Simulate wells, split them, and register them for both classes."""
    wells = dtp.datasets.simulate_perturbation(2, n_genes=50, seed=seed, **sizes, **options)
    dtp.pp.encode_drugs(wells, smiles_key="smiles", dose_key="dose")
    dtp.pp.split_perturbation(wells, by, interpolate=by in ("dose", "time"), seed=seed)
    dtp.model.XPert.setup_anndata(wells, **KEYS)
    dtp.model.PertDiT.setup_anndata(wells, **KEYS)
    return wells


def fitted(wells: Any, names: list[str], epochs: int, seed: int) -> dict[str, Any]:
    """Fit these networks."""
    models = {}
    for name in names:
        cls, options = NETWORKS[name]
        model = getattr(dtp.model, cls)(wells, **options)
        model.train(epochs, patience=epochs, lr=LR, seed=seed, accelerator="cpu")
        models[name] = model
    return models


def structure(seed: int, epochs: int, names: list[str], *, shuffled: bool) -> dict[str, float]:
    """Correlation against independent controls on unseen drugs, by model."""
    wells = simulated(seed, "drug", UNSEEN, shuffle_smiles=shuffled)
    table = dtp.tl.evaluate_perturbation(
        fitted(wells, names, epochs, seed),
        wells,
        dose_key="dose",
        time_key="time",
        smiles_key="smiles",
        groupby=["per_sample"],
        metrics=["pearson_delta"],
        baselines=[*DRUG_FREE, *STRUCTURAL],
        n_boot=2,
    )
    main = table[(table["control"] == "independent") & (table["metric"] == "pearson_delta")]
    return {str(k): float(v) for k, v in zip(main["model"], main["value"], strict=True)}


def around(wells: Any, key: str, *, both: bool) -> pd.DataFrame:
    """Observed change of the drug in its line at the nearest level, or between two levels."""
    part = wells.obs["split"].astype(str).to_numpy()
    change = np.asarray(wells.X) - wells.obsm["dtp_control"]
    obs = wells.obs.assign(level=np.log10(wells.obs[key].clip(lower=1e-9)))
    obs["row"] = np.arange(len(obs))
    known = obs[part == "train"].groupby(["drug", "cell"], observed=True)
    rows = obs[part == "test"]
    found = []
    for row in rows.itertuples():
        near = known.get_group((row.drug, row.cell))
        levels = np.unique(near["level"])
        below, above = levels[levels < row.level], levels[levels > row.level]
        ends = sorted({below.max(), above.min()}, key=lambda x: abs(x - row.level))
        means = [change[near.loc[near["level"] == x, "row"]].mean(axis=0) for x in ends]
        share = (row.level - ends[0]) / (ends[1] - ends[0]) if both else 0.0
        found.append((1 - share) * means[0] + share * means[1])
    return pd.DataFrame(found, rows.index, wells.var_names)


def level(seed: int, epochs: int, names: list[str], by: str) -> dict[str, dict[str, float]]:
    """Predicted against planted change at a level that was held out."""
    wells = simulated(seed, by, DOSES if by == "dose" else TIMES)
    test = wells[wells.obs["split"] == "test"].copy()
    truth = np.asarray(test.layers["truth"], np.float64)
    predicted = {
        name: model.predict(test) for name, model in fitted(wells, names, epochs, seed).items()
    }
    for name in ("mean_delta", "drug_mean_delta", "ridge"):
        model = dtp.model.PerturbationBaseline(name, dose_key="dose", time_key="time").fit(wells)
        predicted[name] = model.predict(test, return_delta=True)
    predicted["nearest level"] = around(wells, by, both=False)
    predicted["between levels"] = around(wells, by, both=True)
    return {
        name: {
            "pcc": float(
                dtp.stats.profile_correlation(truth, frame.to_numpy(np.float64))[0].mean()
            ),
            "mse": float(np.square(frame.to_numpy() - truth).mean()),
        }
        for name, frame in predicted.items()
    }


def controls(seed: int) -> dict[str, float]:
    """The mean of the controls under single-well pairing."""
    wells = dtp.datasets.simulate_perturbation(2, n_genes=200, seed=seed, **UNSEEN)
    dtp.pp.split_perturbation(wells, "drug", seed=seed)
    pairing = ("drug_key", "cell_key", "plate_key", "control_label")
    dtp.pp.pair_controls(wells, how="well", **{name: KEYS[name] for name in pairing})
    table = dtp.tl.evaluate_perturbation(
        {},
        wells,
        groupby=["per_sample"],
        metrics=["pearson_delta"],
        baselines=["cell_control_mean", "mean_delta"],
        n_boot=2,
    )
    main = table[(table["kind"] == "baseline")]
    names = main["model"] + ", " + main["control"]
    return {str(k): float(v) for k, v in zip(names, main["value"], strict=True)}


def one_seed(seed: int, epochs: int, names: list[str], parts: list[str]) -> dict[str, Any]:
    """Run these parts for one seed, in a process of its own."""
    warnings.simplefilter("ignore")
    one: dict[str, Any] = {"seed": seed}
    if "structure" in parts:
        one["structure"] = structure(seed, epochs, names, shuffled=False)
        one["shuffled"] = structure(seed, epochs, names, shuffled=True)
    for by in ("dose", "time"):
        if by in parts:
            one[by] = level(seed, epochs, names, by)
    if "controls" in parts:
        one["controls"] = controls(seed)
    return one


def summary(values: list[float]) -> str:
    """Mean over seeds with its interval, or with the range where seeds are few."""
    x = np.asarray(values)
    if len(x) < 3:
        return f"{x.mean():.3f} ({x.min():.3f} to {x.max():.3f})"
    half = st.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return f"{x.mean():.3f} [{x.mean() - half:.3f}, {x.mean() + half:.3f}]"


def show(title: str, runs: list[dict[str, float]]) -> None:
    """Print one table, best first."""
    names = sorted(runs[0], key=lambda n: -np.mean([run[n] for run in runs]))
    print(f"\n{title}; {len(runs)} seed(s)\n\n| | value |\n| --- | --- |")
    for name in names:
        print(f"| {name} | {summary([run[name] for run in runs])} |")


def main() -> None:
    """Run all parts for each seed and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=10, help="the first seed")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=2, help="processes, of one thread each")
    parser.add_argument("--models", default="XPert,PertDiT,PertDiT direct")
    parser.add_argument("--parts", default="structure,dose,time,controls")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.json is not None and not given.json.absolute().parent.is_dir():
        parser.error(f"no folder {given.json.absolute().parent} to write --json into")
    names, parts = given.models.split(","), given.parts.split(",")
    start, found = time.perf_counter(), []
    seeds = range(given.first, given.first + given.seeds)
    jobs = (joblib.delayed(one_seed)(seed, given.epochs, names, parts) for seed in seeds)
    for one in joblib.Parallel(n_jobs=given.jobs, return_as="generator")(jobs):
        found.append(one)
        print(f"seed {one['seed']}: {time.perf_counter() - start:.0f} s", flush=True)
        if given.json is not None:
            given.json.write_text(json.dumps(found, indent=1) + "\n")
    if "structure" in parts:
        show("Unseen drugs, PCC independent", [one["structure"] for one in found])
        show("Structures exchanged, PCC independent", [one["shuffled"] for one in found])
    for by in ("dose", "time"):
        for metric in ("pcc", "mse") if by in parts else ():
            runs = [{k: v[metric] for k, v in one[by].items()} for one in found]
            show(f"Held-out {by}, {metric} to the planted change", runs)
    if "controls" in parts:
        show("Single-well pairing, PCC", [one["controls"] for one in found])
    print(f"\n{time.perf_counter() - start:.0f} s, {given.epochs} epochs at {LR:g}")


if __name__ == "__main__":
    main()
