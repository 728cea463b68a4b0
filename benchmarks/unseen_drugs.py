"""Drugs that were never seen: XPert, PertDiT and all baselines on public L1000 wells.

    python benchmarks/unseen_drugs.py --l1000 FILE [--models XPert,...] [--jobs 2] [--json FILE] [--quick]

FILE is PRnet's demonstration file: one cell line, 6 h, two plates, 978 genes. Drugs are divided into
60, 20 and 20 %; controls are plate means, half of the wells for the input, half for scoring. The
architectures are the laptop defaults. How many epochs a network gets was fixed beforehand by how long one takes,
and the validation part picks the epoch; nothing is chosen on the test part. Networks are fitted in
processes of their own, on one thread each.

The table has the best first, whatever it is: correlation of changes of single wells against independent
controls, its rivals by other rules beside it. ``drugs zeroed`` and ``drugs shuffled`` are the same
fitted model asked without a drug, and with another one's. Behind the table stands the difference of
each network to the baseline that is best on the test part, which favours the baseline. ``--quick`` fits for one epoch on every
eighth gene, to see that the script runs; its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import joblib
import numpy as np
import pandas as pd

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
# Epochs by what fits into 20 minutes on two cores; patience never ends one.
BUDGET: dict[str, tuple[str, dict[str, Any], int]] = {
    "XPert": ("XPert", {}, 5),
    "PertDiT direct": ("PertDiT", {"objective": "direct"}, 9),
    "PertDiT cross": ("PertDiT", {}, 4),
    "PertDiT ada": ("PertDiT", {"backbone": "ada"}, 4),
}
# Ten denoising passes a watched row cost as much as three training rows.
N_WATCHED = 32
# The default is 10 steps of 4 samples, which would take twice as long.
SAMPLING = {"n_steps": 5, "n_samples": 4}
GROUPINGS = ("drug", "drug_dose", "cov_drug", "cov_drug_dose", "per_sample")
MAIN = ("pearson_delta", "per_sample", "independent")
SUMMARY = {
    "independent": MAIN,
    "own": ("pearson_delta", "per_sample", "own"),
    "centred": ("pearson_centred", "per_sample", "training_mean"),
    "R2": ("r2", "per_sample", "none"),
    "centred, by drug": ("pearson_centred", "drug", "training_mean"),
    "discrimination": ("discrimination_l1", "cov_drug", "independent"),
    "retrieval rank": ("retrieval_rank", "cov_drug", "independent"),
    "up 50": ("precision_up_50", "per_sample", "independent"),
    "down 50": ("precision_down_50", "per_sample", "independent"),
}


class Kept:
    """A model that is asked with these options, and keeps what it says of the rows as they are."""

    def __init__(self, model: Any, options: dict[str, Any]) -> None:
        self.model, self.options = model, options
        self.first: pd.DataFrame | None = None

    def predict(self, rows: Any, *, return_delta: bool = True) -> pd.DataFrame:
        """Return predictions; the first ones asked for are of the true drugs."""
        found = self.model.predict(rows, return_delta=return_delta, **self.options)
        self.first = found if self.first is None else self.first
        return found


def read_wells(path: Path, *, quick: bool):
    """Read the file, encode and split the drugs, pair the controls."""
    wells = dtp.datasets.read_prnet(path)
    if quick:
        wells = wells[:, ::8].copy()
        del wells.obsm["X_ctl"]
    dtp.pp.encode_drugs(wells, smiles_key="smiles", dose_key="dose")
    dtp.pp.split_perturbation(wells, "drug")
    dtp.model.XPert.setup_anndata(wells, **KEYS)
    dtp.model.PertDiT.setup_anndata(wells, **KEYS)
    return wells


def evaluated(models: dict[str, Any], wells: Any, **options: Any) -> pd.DataFrame:
    """Every metric of these models on the unseen drugs."""
    return dtp.tl.evaluate_perturbation(
        models, wells, dose_key="dose", time_key="time", smiles_key="smiles", **options
    )


def run_model(name: str, path: Path, n_boot: int, *, quick: bool) -> dict[str, Any]:
    """Fit one network in this process and evaluate it."""
    warnings.simplefilter("ignore")
    start, used = time.perf_counter(), time.process_time()
    wells = read_wells(path, quick=quick)
    cls, options, epochs = BUDGET[name]
    model = getattr(dtp.model, cls)(wells, **options)
    epochs = 1 if quick else epochs
    model.train(epochs, patience=epochs, n_watched=N_WATCHED, accelerator="cpu")
    fitted = time.perf_counter()
    diffuses = cls == "PertDiT" and options.get("objective") != "direct"
    asked = Kept(model, SAMPLING if diffuses else {})
    table = evaluated({name: asked}, wells, baselines=None, n_boot=n_boot)
    done = time.perf_counter()
    return {
        "name": name,
        "table": table[table["kind"] != "ceiling"],
        "changes": asked.first,
        "epochs": epochs,
        "watched": model.evaluation_,
        "seconds": {
            "fit": fitted - start,
            "evaluate": done - fitted,
            "processor": time.process_time() - used,
        },
    }


def run_baselines(path: Path, n_boot: int, *, quick: bool) -> dict[str, Any]:
    """All baselines, and what replicates leave possible."""
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    wells = read_wells(path, quick=quick)
    table = evaluated({}, wells, n_boot=n_boot)
    seconds = {"fit and evaluate": time.perf_counter() - start}
    return {
        "name": "baselines",
        "table": table,
        "seconds": seconds,
        "sizes": wells.uns["dtp_splits"]["split"]["sizes"],
    }


def artefact(path: Path) -> dict[str, float]:
    """The mean of the controls, under the pairing with single wells that comes with the file."""
    wells = dtp.datasets.read_prnet(path)
    dtp.pp.pair_controls(
        wells,
        drug_key="drug",
        control_label="DMSO",
        cell_key="cell",
        control_index_key="paired_control_index",
    )
    treated = wells[wells.obs["dtp_control_role"] == "treated"]
    y, own, other = (
        np.asarray(part, np.float64)
        for part in (treated.X, treated.obsm["dtp_control"], treated.obsm["dtp_control_scoring"])
    )
    mean = np.unique(own, axis=0).mean(axis=0)
    return {
        name: float(dtp.stats.profile_correlation(y - c, mean - c)[0].mean())
        for name, c in (("own", own), ("other wells", other))
    }


def margins(path: Path, found: list[dict[str, Any]], n_boot: int, *, quick: bool) -> pd.DataFrame:
    """Difference of each network to the best baseline, rows of a drug resampled in pairs."""
    networks = {one["name"]: one["changes"] for one in found if "changes" in one}
    table = evaluated(
        networks,
        read_wells(path, quick=quick),
        values="delta",
        metrics=[MAIN[0]],
        groupby=[MAIN[1]],
        controls=[MAIN[2]],
        n_boot=n_boot,
    )
    return table[table["kind"] == "model"].set_index("model")


def cell(table: pd.DataFrame, model: str, where: tuple[str, str, str], *, interval: bool) -> str:
    """Show one value of a model, with its interval where there is one."""
    metric, grouping, control = where
    rows = table[(table["model"] == model) & (table["metric"] == metric)]
    rows = rows[(rows["grouping"] == grouping) & (rows["control"] == control)]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    constant = "*" if row["n_constant"] == row["n_groups"] else ""
    if not interval or not np.isfinite(row["low"]):
        return f"{row['value']:.3f}{constant}"
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]{constant}"


def ranked(table: pd.DataFrame) -> list[str]:
    """Names by the main metric, best first, the ceiling last."""
    metric, grouping, control = MAIN
    main = table[(table["metric"] == metric) & (table["grouping"] == grouping)]
    main = main[(main["control"] == control) & (main["kind"] != "ceiling")]
    names = main.sort_values("value", ascending=False, kind="stable")["model"].tolist()
    return [*names, *table.loc[table["kind"] == "ceiling", "model"].unique()]


def report(table: pd.DataFrame) -> str:
    """All ten metrics and the others, a row a model, as markdown."""
    names = ranked(table)
    blocks = [(SUMMARY, True)]
    ten = {f"R2 {g}": ("r2", g, "none") for g in GROUPINGS}
    for control in ("independent", "own"):
        ten |= {f"PCC {control} {g}": ("pearson_delta", g, control) for g in GROUPINGS}
    blocks.append((ten, False))
    lines = []
    for columns, interval in blocks:
        lines += ["| | " + " | ".join(columns) + " |", "|" + " --- |" * (len(columns) + 1)]
        for name in names:
            cells = [cell(table, name, where, interval=interval) for where in columns.values()]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def print_run(one: dict[str, Any]) -> None:
    """Say what a network was given and how long it took."""
    seconds, watched = one["seconds"], one.get("watched")
    if watched is None:
        print(f"{one['name']}: {seconds['fit and evaluate']:.0f} s")
        return
    print(
        f"{one['name']}: {one['epochs']} epochs, best {watched['epoch']} (-1: as it began), error in "
        f"{watched['n_rows']} validation rows {watched['delta_mse']:.3f} (mean change "
        f"{watched['mean_delta_mse']:.3f}); fit {seconds['fit']:.0f} s, predict and evaluate "
        f"{seconds['evaluate']:.0f} s; processor {seconds['processor']:.0f} s"
    )


def write(path: Path, found: list[dict[str, Any]], wall: float, load: tuple[float, ...]) -> None:
    """Write all numbers so far."""
    table = pd.concat([one["table"] for one in found], ignore_index=True)
    left = ("table", "sizes", "changes")
    out = {
        "table": table.to_dict("records"),
        "runs": [{k: v for k, v in one.items() if k not in left} for one in found],
        "seconds": wall,
        "load": load,
    }
    path.write_text(json.dumps(out, indent=1, default=float) + "\n")


def main() -> None:
    """Fit, evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--l1000", type=Path, required=True, help="PRnet's demonstration file")
    parser.add_argument("--models", default=",".join(BUDGET), help="names, with commas")
    parser.add_argument("--jobs", type=int, default=2, help="processes, of one thread each")
    parser.add_argument("--json", type=Path, help="write every number to this file")
    parser.add_argument("--quick", action="store_true", help="see that it runs")
    given = parser.parse_args()
    names = [name for name in given.models.split(",") if name]
    unknown = sorted(set(names) - set(BUDGET))
    if unknown or not given.l1000.exists():
        parser.error(f"unknown: {unknown}" if unknown else f"no file {given.l1000}")
    if given.json is not None and not given.json.absolute().parent.is_dir():
        parser.error(f"no folder {given.json.absolute().parent} to write --json into")
    warnings.simplefilter("ignore")
    start, load = time.perf_counter(), os.getloadavg()
    n_boot = 20 if given.quick else 500
    same = {"path": given.l1000, "n_boot": n_boot, "quick": given.quick}
    jobs = [joblib.delayed(run_baselines)(**same)]
    jobs += [joblib.delayed(run_model)(name, **same) for name in names]
    found = []
    for one in joblib.Parallel(n_jobs=given.jobs, return_as="generator_unordered")(jobs):
        found.append(one)
        wall = time.perf_counter() - start
        print(f"{one['name']} after {wall:.0f} s", file=sys.stderr, flush=True)
        if given.json is not None:
            # What is there is worth keeping when a later one is stopped.
            write(given.json, found, wall, load)
    wall = time.perf_counter() - start
    table = pd.concat([one["table"] for one in found], ignore_index=True)
    first = ranked(table)[0]
    print(f"First: {first}, {cell(table, first, MAIN, interval=True)}\n")
    print(report(table))
    print("* constant predictions, counted as 0\n")
    print(next(one["sizes"] for one in found if "sizes" in one).to_string())
    if names:
        for name, row in margins(given.l1000, found, n_boot, quick=given.quick).iterrows():
            print(
                f"{name} minus {row['best_baseline']}: {row['difference']:+.3f} "
                f"[{row['difference_low']:+.3f}, {row['difference_high']:+.3f}]"
            )
    shared = artefact(given.l1000)
    print(
        f"pairing of the file, single wells: mean of the controls {shared['own']:.2f} against its own "
        f"control, {shared['other wells']:.2f} against the other wells"
    )
    print(f"sampling of cross and ada: {SAMPLING}; batches of 32, learning rate 1e-3, one cycle")
    for one in found:
        print_run(one)
    wall = time.perf_counter() - start
    print(f"{wall:.0f} s with {given.jobs} processes; load before {load[0]:.1f}")


if __name__ == "__main__":
    main()
