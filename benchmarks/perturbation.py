"""Speed of XPert and PertDiT beside a plain loop, and DDIM beside DDPM.

    python benchmarks/perturbation.py [--device cpu|cuda] [--part rates|samplers] [--json FILE]

Rates: random log2 profiles of 978 genes; the laptop defaults, and the ``paper`` sizes for ten steps, once. *ours* is
what ``train`` runs a step (its plan under Lightning: batches from the AnnData, loss, clipping, AdamW, one
cycle, running mean of the weights), *plain* a hand-written loop over the same network and the same batches,
already tensors, with loss, clipping and AdamW alone, *compiled* the same loop after ``torch.compile``. They run
in turns. A rate is by wall time, a ratio by the processor time of the process on a CPU, which
other processes on the machine do not change, and by wall time on a GPU.

Samplers: one PertDiT on planted data (simulated). Correlation with the planted change of means of n samples, by
DDIM with 10 and 50 steps and by DDPM with 50, from several sets of n that share no noise; the standard error is that of
the sets. A mean of n samples keeps 1/n of their noise, so samplers are compared at one n.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import torch

import dtp_scvi as dtp
from dtp_scvi.model._perturbation_fit import PerturbationFit, fit_perturbation
from dtp_scvi.nn import RowNoise

N_GENES, N_ATOMS, ATOM_FEATURES, N_BITS = 978, 32, 64, 1024
# Rows a step and steps: small enough for a laptop's memory at the published sizes.
CASES: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "XPert": ("XPert", "default", {}, 16),
    "PertDiT cross": ("PertDiT", "default", {}, 16),
    "PertDiT direct": ("PertDiT", "default", {"objective": "direct"}, 16),
    "XPert paper": ("XPert", "paper", {}, 4),
    "PertDiT paper": ("PertDiT", "paper", {}, 4),
}
KEYS = {
    "drug_key": "drug",
    "dose_key": "dose",
    "time_key": "time",
    "cell_key": "cell",
    "control_label": "DMSO",
}


def profiles(n_rows: int) -> ad.AnnData:
    """Random profiles under random drugs; speed does not ask what they mean."""
    rng = np.random.default_rng(0)
    n_drugs, n_controls = 24, 8
    drug = ["DMSO"] * n_controls + [f"drug {i % n_drugs}" for i in range(n_rows)]
    part = ["control"] * n_controls + ["train"] * (n_rows - 2) + ["valid", "test"]
    obs = pd.DataFrame({"drug": drug, "split": part, "dose": 10.0, "time": 24.0, "cell": "A"})
    obs.index = obs.index.map("well {}".format)
    wells = ad.AnnData(rng.normal(8, 1, (len(obs), N_GENES)).astype("f4"), obs)
    mask = np.arange(N_ATOMS) < rng.integers(10, N_ATOMS + 1, n_drugs)[:, None]
    bits = (rng.random((n_drugs, N_BITS)) < 0.05).astype(np.uint8)
    wells.uns["drugs"] = {
        "table": pd.DataFrame(
            {"smiles": "", "status": "ok"}, index=[f"drug {i}" for i in range(n_drugs)]
        ),
        "bits": bits,
        "counts": bits,
        "atoms": rng.integers(0, 2, (n_drugs, N_ATOMS, ATOM_FEATURES)).astype(np.uint8),
        "atom_mask": mask,
        "params": {"fingerprint": "fcfp4", "n_bits": N_BITS, "salts": "keep"},
    }
    for cls in (dtp.model.XPert, dtp.model.PertDiT):
        cls.setup_anndata(wells, **KEYS)
    return wells


def clock(device: str) -> tuple[float, float]:
    """Wall and processor time, after the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def fit_steps(model: Any, data: Any, rows: np.ndarray, size: int, epochs: int, device: str):
    """Time of a fit as ``train`` does it, one row watched."""
    options = PerturbationFit(
        max_epochs=epochs,
        batch_size=size,
        lr=1e-3,
        weight_decay=0.01,
        patience=epochs,
        ema=0.999,
        n_watched=1,
        seed=0,
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        sampling={"n_steps": 1} if hasattr(model.module, "schedule") else {},
    )
    module = model._fresh(0)
    before = clock(device)
    fit_perturbation(module, data, rows[:-1], rows[-1:], options)
    return np.subtract(clock(device), before)


def plain_steps(module: Any, batches: list[Any], n: int, device: str, *, compiled: bool):
    """Time of a loop without anything else, and of its first step."""
    module = module.to(device).train()
    loss_of = torch.compile(module.batch_loss) if compiled else module.batch_loss
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=0.01)

    def step(batch):
        optimiser.zero_grad()
        loss_of(batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()

    before = clock(device)
    step(batches[0])
    first = np.subtract(clock(device), before)
    before = clock(device)
    for i in range(n):
        step(batches[i % len(batches)])
    return np.subtract(clock(device), before), first


def rate(name: str, n_steps: int, repeats: int, device: str, *, compile_too: bool):
    """Training and prediction rates of one case."""
    cls, kind, options, size = CASES[name]
    wells = profiles(2 * size + 2)
    of = getattr(dtp.model, cls)
    model = of.paper(wells, **options) if kind == "paper" else of(wells, **options)
    data = model._rows(wells, model.drugs_, values=True, seed=0)
    rows = np.flatnonzero((wells.obs["dtp_control_role"] == "treated").to_numpy())[: 2 * size + 1]
    batches = [
        {k: v.to(device) for k, v in data.batch(rows[i * size : (i + 1) * size]).items()}
        for i in range(2)
    ]
    epochs = max(1, n_steps // 2)
    # A step of the published sizes takes seconds on a CPU.
    repeats = 1 if kind == "paper" else repeats
    found = []
    for _ in range(repeats):
        short = fit_steps(model, data, rows, size, 1, device)
        ours = (fit_steps(model, data, rows, size, 1 + epochs, device) - short) / (2 * epochs)
        plain, _ = plain_steps(model._fresh(0), batches, 2 * epochs, device, compiled=False)
        found.append([*ours, *(plain / (2 * epochs))])
    ours_wall, _, plain_wall, plain_cpu = np.median(found, axis=0)
    x = np.asarray(found)
    by = x[:, 3] / x[:, 1] if device == "cpu" else x[:, 2] / x[:, 0]
    module = model._fresh(0).to(device).eval()
    draw = RowNoise(batches[0]["noise"].tolist(), N_GENES, torch.device(device))
    before = clock(device)
    with torch.inference_mode():
        diffuses = hasattr(module, "schedule") and module.objective != "direct"
        sampling = {"n_samples": 1, "n_steps": 10} if diffuses else {}
        module.predict_delta(batches[0], draw=draw, **sampling)
    predicted = np.subtract(clock(device), before)[0] * (4 if diffuses else 1)
    out = {
        "case": name,
        "device": device,
        "parameters": sum(p.numel() for p in module.parameters()),
        "batch": size,
        "steps": 2 * epochs * repeats,
        "train": size / ours_wall,
        "plain": size / plain_wall,
        "ratio": float(np.median(by)),
        "low": float(by.min()),
        "high": float(by.max()),
        "predict": size / predicted,
    }
    if compile_too:
        try:
            compiled, first = plain_steps(
                model._fresh(0), batches, 2 * epochs, device, compiled=True
            )
        except (RuntimeError, ImportError, OSError) as error:  # what a compiler refuses
            out["compiled"] = f"failed: {type(error).__name__}"
        else:
            out["compiled"] = size * 2 * epochs / compiled[0]
            out["compile_seconds"] = float(first[0])
            column = 1 if device == "cpu" else 0
            spent = (plain_wall, plain_cpu)[column] * 2 * epochs
            out["compiled_over_plain"] = float(spent / compiled[column])
    print(
        f"{name:15s} {out['parameters'] / 1e6:5.2f} M, batch {size:2d}, {out['steps']} steps: "
        f"train {out['train']:.2f}/s, plain {out['plain']:.2f}/s, ratio {out['ratio']:.3f} "
        f"[{out['low']:.3f}, {out['high']:.3f}], predict {out['predict']:.2f}/s, "
        f"compiled {out.get('compiled', 'left out')} "
        f"(x {out.get('compiled_over_plain', float('nan')):.2f} of plain, first step "
        f"{out.get('compile_seconds', float('nan')):.0f} s)",
        flush=True,
    )
    return out


def no_compiler() -> str:
    """Say why ``torch.compile`` can't run, or nothing."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++")):
        return "no C++ compiler"
    return ""


def correlation(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean correlation over rows."""
    return float(dtp.stats.profile_correlation(truth, predicted)[0].mean())


def samplers(epochs: int, n_samples: int, n_sets: int, n_drugs: int) -> dict[str, Any]:
    """DDIM beside DDPM on planted data, at equal numbers of samples."""
    wells = dtp.datasets.simulate_perturbation(
        2, n_drugs=n_drugs, n_genes=50, doses=(1.0, 10.0), times=(24.0,)
    )
    keys = {**KEYS, "smiles_key": "smiles", "plate_key": "plate"}
    dtp.model.PertDiT.setup_anndata(wells, **keys)
    dtp.pp.split_perturbation(wells, "drug")
    model = dtp.model.PertDiT(wells, d_model=32, d_hidden=64)
    model.train(epochs, lr=3e-3, patience=epochs, accelerator="cpu")
    test = wells[wells.obs["split"] == "test"].copy()
    truth = np.asarray(test.layers["truth"], np.float64)
    ways = {
        "DDIM-10": {"n_steps": 10},
        "DDIM-50": {"n_steps": 50},
        "DDPM-50": {"sampler": "ddpm"},
    }
    print(f"\n{len(test)} rows of unseen drugs; error in watched rows {model.evaluation_}")
    found: dict[str, Any] = {}
    for name, how in ways.items():
        drawn = [
            model.predict(test, n_samples=4, seed=seed, **how).to_numpy(np.float64)
            for seed in range(n_sets * n_samples // 4)
        ]
        single = model.predict(test, n_samples=4, return_std=True, **how)[1]
        found[name] = {"sd_of_samples": float(np.square(single).to_numpy().mean() ** 0.5)}
        for n in (4, n_samples):
            sets = [
                np.mean(drawn[i : i + n // 4], axis=0)
                for i in range(0, len(drawn) - n // 4 + 1, n // 4)
            ]
            values = [correlation(truth, one) for one in sets]
            error = float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
            found[name][f"n={n}"] = {"pcc": float(np.mean(values)), "se": error, "sets": len(sets)}
        found[name]["all"] = correlation(truth, np.mean(drawn, axis=0))
        print(f"{name}: {found[name]}", flush=True)
    key = f"n={n_samples}"
    difference = found["DDIM-10"][key]["pcc"] - found["DDPM-50"][key]["pcc"]
    error = np.hypot(*(found[k][key]["se"] or np.nan for k in ("DDIM-10", "DDPM-50")))
    found["difference"] = {"pcc": difference, "se": float(error), "n_samples": n_samples}
    print(f"DDIM-10 - DDPM-50 at {n_samples} samples: {difference:+.4f} (SE {error:.4f})")
    return found


def main() -> None:
    """Run both parts and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--part", choices=("both", "rates", "samplers"), default="both")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--epochs", type=int, default=50, help="of the model that is sampled")
    parser.add_argument("--drugs", type=int, default=240, help="of the data that it is sampled on")
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--sets", type=int, default=4)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.json is not None and not given.json.absolute().parent.is_dir():
        parser.error(f"no folder {given.json.absolute().parent} to write --json into")
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("no GPU here")
    warnings.simplefilter("ignore")
    devices = [given.device] if given.device else ["cpu"]
    if not given.device and torch.cuda.is_available():
        devices.append("cuda")
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} thread(s), load {os.getloadavg()}"
    )
    reason = "asked not to" if given.no_compile else no_compiler()
    if reason:
        print(f"torch.compile left out: {reason}")
    if "cuda" not in devices:
        print("GPU left out: " + ("not asked for" if torch.cuda.is_available() else "none here"))
    found: dict[str, Any] = {"rates": []}
    for device in devices if given.part != "samplers" else ():
        for name in given.cases.split(","):
            found["rates"].append(
                rate(name, given.steps, given.repeats, device, compile_too=not reason)
            )
    if given.part != "rates":
        found["samplers"] = samplers(given.epochs, given.samples, given.sets, given.drugs)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
