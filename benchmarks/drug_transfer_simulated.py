"""A planted shift between bulk lines and cells: which adaptation undoes it, over many seeds.

    python benchmarks/drug_transfer_simulated.py [--seeds 20] [--json FILE]

Lines and cells are simulated. A residual autoencoder is pretrained on the lines, a head is fitted on
their labels, and the same head is applied to cells under three shifts: none; a scale and an offset
for each gene (affine); and one that no map of single genes undoes (a programme that only cells have,
a power for each gene's rate, counts of a finite depth). Comparators are those of
``dtp.tl.compare_transfer``. All sizes and settings were fixed on seeds of 100 and above.

One row a method: mean over seeds with a 95 % t interval, and the mean difference to the same model
without adaptation, paired by seed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t

import dtp_scvi as dtp

DRUG = "simulated drug"
SHIFTS = ("none", "affine", "nonaffine")
ADAPTATIONS = (None, "adain", "mmd", "coral")
NAME = "drug_sensitivity"
SIZES = {"encoder": (128,), "n_latent": 32, "decoder": (128,)}
EPOCHS = 200


def fitted(lines):
    """Pretrain on the lines and fit the head on their labels."""
    dtp.model.ResVAE.setup_anndata(lines, scale="as_is")
    vae = dtp.model.ResVAE(lines, **SIZES)
    vae.train(max_epochs=EPOCHS, verbose=False)
    model = dtp.model.DrugSensitivity.from_vae(vae)
    model.fit_bulk(lines, DRUG, scale="as_is", verbose=False)
    return model


def one_seed(seed: int) -> pd.DataFrame:
    """All methods under all shifts, on one simulation."""
    lines, _ = dtp.datasets.simulate_drug_transfer(seed=seed)
    # One fixed change of units for lines and cells; it hides no shift.
    mean, sd = lines.X.mean(axis=0), lines.X.std(axis=0)
    lines.X = (lines.X - mean) / sd
    model, parts = fitted(lines), []
    for shift in SHIFTS:
        _, cells = dtp.datasets.simulate_drug_transfer(seed=seed, shift=shift)
        cells.X = (cells.X - mean) / sd
        predicted = {}
        for method in ADAPTATIONS:
            model.adapt(cells, method, scale="as_is")
            predicted[f"{NAME}_{method or 'none'}"] = model.predict(cells, scale="as_is")
        predicted["hidden response"] = cells.obs["true_response"]
        table = dtp.tl.compare_transfer(
            lines,
            cells,
            drug=DRUG,
            models=predicted,
            scale="as_is",
            bulk_scale="as_is",
            n_boot=2,
            seed=seed,
        )
        parts.append(table[["model", "metric", "value"]].assign(shift=shift, seed=seed))
    return pd.concat(parts, ignore_index=True)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and interval over seeds, and the difference to no adaptation of the same model."""
    lines = []
    wide = table.pivot_table(index="seed", columns=["shift", "metric", "model"], values="value")
    for shift, metric, model in wide.columns:
        values = wide[shift, metric, model].dropna()
        line = {"shift": shift, "metric": metric, "model": model, **interval(values, "")}
        base = (shift, metric, f"{model.rsplit('_', 1)[0]}_none")
        if base in wide.columns and base[2] != model:
            line |= interval(wide[shift, metric, model] - wide[base], "gain_")
        lines.append(line)
    return pd.DataFrame(lines)


def interval(values: pd.Series, prefix: str) -> dict[str, float]:
    """Mean with its 95 % t interval."""
    n, mean = len(values), float(values.mean())
    reach = float(t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    return {f"{prefix}mean": mean, f"{prefix}low": mean - reach, f"{prefix}high": mean + reach}


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore", UserWarning)
    start, parts = time.perf_counter(), []
    for seed in range(given.first, given.first + given.seeds):
        parts.append(one_seed(seed))
        print(f"seed {seed}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    table = summary(pd.concat(parts, ignore_index=True))
    print(f"simulated; {given.seeds} seeds; mean [95 %], gain over no adaptation [95 %]")
    for (shift, metric), rows in table.groupby(["shift", "metric"], sort=False):
        if metric not in ("auroc", "mcc"):
            continue
        print(f"\nshift {shift}: {metric}")
        for row in rows.sort_values("mean", ascending=False).itertuples():
            gain = (
                ""
                if np.isnan(row.gain_mean)
                else (f"   {row.gain_mean:+.3f} [{row.gain_low:+.3f}, {row.gain_high:+.3f}]")
            )
            print(f"  {row.model:<28} {row.mean:.3f} [{row.low:.3f}, {row.high:.3f}]{gain}")
    if given.json:
        given.json.write_text(json.dumps(table.to_dict("records"), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
