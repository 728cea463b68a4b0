"""Cells per second beside what one would use instead.

One run on simulated counts (13,369 genes, 16,000 cells, about 1,800 genes a cell), CPU only, all in one
process:

train_vs_scanvi
    Cells/s of ``DTPTransformer.train`` over cells/s of ``SCANVI.train``. Ours counts everything:
    programs, linear part, epochs, threshold. scANVI's counts the epochs after the first, without
    set-up, which favours it.
predict_vs_scanvi
    ``DTPTransformer.predict_logits`` over ``SCANVI.predict``, cells/s, defaults, data in memory.
score_vs_read
    Time of ``read_h5ad`` and ``tl.score`` with a student over the time of ``read_h5ad`` alone. The
    file holds one uncompressed CSR matrix and is in the page cache. Scores alone
    (``transfer="skip"``); with the transfer check it is ``score_and_check_vs_read``.
score_vs_logreg
    ``tl.score`` in memory over normalise-and-predict of a logistic regression on all genes (copy,
    ``normalize_total``, ``log1p``, ``decision_function``), cells/s.

The last two are medians of interleaved repetitions.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anndata import AnnData

LABELS, POSITIVE, DONOR = "state", "drug_tolerant", "donor"
# Gives about 1,800 genes a cell where there are 13,369.
DEPTH = 4000.0
# At least, except for score_vs_read: at most.
TARGETS = {
    "train_vs_scanvi": 2.5,
    "predict_vs_scanvi": 1.0,
    "score_vs_read": 2.0,
    "score_vs_logreg": 1.0,
}
PACKAGES = ("scvi-tools", "torch", "anndata", "scanpy", "scikit-learn", "numpy", "scipy")


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; a bad output path ends it before any work."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--cells", type=int, default=16_000)
    parser.add_argument("--genes", type=int, default=13_369)
    parser.add_argument("--donors", type=int, default=8)
    parser.add_argument("--panel", type=int, default=1000, help="genes of the student")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, help="epochs of the teacher (default: its own)")
    parser.add_argument("--scanvi-epochs", type=int, default=4, help="the first is not timed")
    parser.add_argument(
        "--repeats", type=int, default=5, help="interleaved repetitions of scoring"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(given)
    if options.scanvi_epochs < 2:
        parser.error("--scanvi-epochs must be 2 or more: the first one is not timed")
    if options.json is not None and not options.json.absolute().parent.is_dir():
        parser.error(f"no folder {options.json.absolute().parent} to write --json into")
    return options


def limit_threads(n: int) -> None:
    """Set the number of threads, which numpy and torch read when they are imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(n)


def say(text: str) -> None:
    """Report progress beside the table."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Put the seconds of the block under ``name``."""
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start


def make_file(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Write the data, counts in X only, as ``write_h5ad`` does by default."""
    from dtp_scvi import datasets

    cells = datasets.simulate_cells(
        options.cells, options.genes, n_donors=options.donors, depth=DEPTH, seed=options.seed
    )
    del cells.layers["counts"], cells.obsm["true_programmes"], cells.varm["true_loadings"]
    cells.write_h5ad(path)
    return {
        "n_cells": cells.n_obs,
        "n_genes": cells.n_vars,
        "genes_per_cell": float(cells.X.getnnz(axis=1).mean()),
        "file_megabytes": path.stat().st_size / 1e6,
        "simulated": True,
    }


def scanvi_speed(adata: AnnData, epochs: int) -> dict[str, float]:
    """Cells/s of scANVI's training loop, first epoch left out, and of its prediction."""
    from lightning.pytorch import Callback
    from scvi.model import SCANVI

    for name in ("scvi", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)

    class Stamps(Callback):
        starts: list[float]
        end: float

        def on_train_start(self, *_: Any) -> None:
            self.starts = []

        def on_train_epoch_start(self, *_: Any) -> None:
            self.starts.append(time.perf_counter())

        def on_train_end(self, *_: Any) -> None:
            self.end = time.perf_counter()

    SCANVI.setup_anndata(adata, labels_key=LABELS, unlabeled_category="unknown")
    model, stamps = SCANVI(adata), Stamps()
    model.train(
        max_epochs=epochs, callbacks=[stamps], enable_progress_bar=False, accelerator="cpu"
    )
    n_train = len(model.train_indices)
    seconds: dict[str, float] = {}
    with timed(seconds, "predict"):
        model.predict(adata)
    return {
        "train": n_train * (epochs - 1) / (stamps.end - stamps.starts[1]),
        "predict": adata.n_obs / seconds["predict"],
    }


def teacher_speed(
    adata: AnnData, epochs: int | None, seed: int
) -> tuple[Any, dict[str, float], dict[str, Any]]:
    """Cells/s of the teacher's training, whole and epochs alone, and of its prediction."""
    from dtp_scvi.model import DTPTransformer, _residuals

    fits: list[tuple[int, float]] = []
    run_plan = _residuals.run_plan

    def watched(model: Any, plan: Any, batches: Any, **more: Any) -> Any:
        start = time.perf_counter()
        table = run_plan(model, plan, batches, **more)
        fits.append((batches.n_train * len(table), time.perf_counter() - start))
        return table

    seconds: dict[str, float] = {}
    DTPTransformer.setup_anndata(adata, LABELS, positive=POSITIVE, donor_key=DONOR)
    teacher = DTPTransformer(adata)
    _residuals.run_plan = watched
    try:
        with timed(seconds, "train"):
            limits = {} if epochs is None else {"max_epochs": epochs}
            teacher.train(seed=seed, accelerator="cpu", verbose=False, **limits)
    finally:
        _residuals.run_plan = run_plan
    with timed(seconds, "predict"):
        teacher.predict_logits(adata)
    seen = sum(cells for cells, _ in fits)
    speed = {
        "train": seen / seconds["train"],
        "train_epochs_only": seen / sum(spent for _, spent in fits),
        "predict": adata.n_obs / seconds["predict"],
    }
    history = {
        "epochs": len(teacher.history_table_),
        "cells_per_epoch": seen // len(teacher.history_table_),
        "train_seconds": seconds["train"],
    }
    return teacher, speed, history


def logistic_regression(adata: AnnData, seed: int) -> Callable[[AnnData], Any]:
    """Return normalise-and-predict with a fitted logistic regression; the fit is not timed."""
    import numpy as np
    import scanpy as sc
    from sklearn.linear_model import LogisticRegression

    def normalise(cells: AnnData) -> AnnData:
        cells = cells.copy()
        sc.pp.normalize_total(cells, target_sum=1e4)
        sc.pp.log1p(cells)
        return cells

    rows = np.random.default_rng(seed).permutation(adata.n_obs)[:2000]
    part = normalise(adata[np.sort(rows)])
    model = LogisticRegression(C=0.01, max_iter=500).fit(part.X, part.obs[LABELS] == POSITIVE)
    return lambda cells: model.decision_function(normalise(cells).X)


def scoring_times(
    path: Path, student: Any, classify: Callable[[AnnData], Any], repeats: int
) -> dict[str, float]:
    """Median seconds of reading, reading and scoring, scoring, and logistic regression."""
    import anndata

    from dtp_scvi import tl

    adata = anndata.read_h5ad(path)

    def read_and_score() -> None:
        tl.score(anndata.read_h5ad(path), student, transfer="skip")

    def read_score_and_check() -> None:
        tl.score(anndata.read_h5ad(path), student)

    jobs: dict[str, Callable[[], Any]] = {
        "read": lambda: anndata.read_h5ad(path),
        "read_and_score": read_and_score,
        "read_score_and_check": read_score_and_check,
        "score": lambda: tl.score(adata, student, transfer="skip"),
        "logreg": lambda: classify(adata),
    }
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        # Interleaved, so that a busy moment of the machine meets all of them.
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            found[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in found.items()}


def measure(options: argparse.Namespace, path: Path) -> dict[str, Any]:
    """Run everything and return the content of the JSON file."""
    import anndata

    from dtp_scvi import __version__

    say("simulating ...")
    data = make_file(path, options)
    say("scANVI: training and prediction ...")
    scanvi = scanvi_speed(anndata.read_h5ad(path), options.scanvi_epochs)
    say("teacher: training and prediction ...")
    cells = anndata.read_h5ad(path)
    teacher, ours, history = teacher_speed(cells, options.epochs, options.seed)
    say("student: distillation (not timed) ...")
    student = teacher.distill(options.panel, max_epochs=5, accelerator="cpu", verbose=False)
    say("scoring, interleaved ...")
    classify = logistic_regression(cells, options.seed)
    del cells
    seconds = scoring_times(path, student, classify, options.repeats)
    n = data["n_cells"]
    return {
        "train_vs_scanvi": ours["train"] / scanvi["train"],
        "predict_vs_scanvi": ours["predict"] / scanvi["predict"],
        "score_vs_read": seconds["read_and_score"] / seconds["read"],
        "score_vs_logreg": seconds["logreg"] / seconds["score"],
        "score_and_check_vs_read": seconds["read_score_and_check"] / seconds["read"],
        "train_epochs_only_vs_scanvi": ours["train_epochs_only"] / scanvi["train"],
        "cells_per_second": {
            "scanvi_train": scanvi["train"],
            "scanvi_predict": scanvi["predict"],
            "teacher_train": ours["train"],
            "teacher_train_epochs_only": ours["train_epochs_only"],
            "teacher_predict": ours["predict"],
            **{name: n / value for name, value in seconds.items()},
        },
        "seconds": {**seconds, "teacher_train": history["train_seconds"]},
        "settings": {
            **{key: value for key, value in vars(options).items() if key != "json"},
            "teacher_epochs": history["epochs"],
            "teacher_cells_per_epoch": history["cells_per_epoch"],
            "student_genes": len(student.genes_),
        },
        "targets": TARGETS,
        "data": data,
        "machine": {"cpus": os.cpu_count(), "processor": platform.machine()},
        "versions": {
            "python": platform.python_version(),
            "dtp_scvi": __version__,
            **{name: version(name) for name in PACKAGES},
        },
    }


def show(found: dict[str, Any]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    speed, data = found["cells_per_second"], found["data"]
    rows = {
        "train_vs_scanvi": ("teacher_train", "scanvi_train"),
        "train_epochs_only_vs_scanvi": ("teacher_train_epochs_only", "scanvi_train"),
        "predict_vs_scanvi": ("teacher_predict", "scanvi_predict"),
        "score_vs_read": ("read_and_score", "read"),
        "score_and_check_vs_read": ("read_score_and_check", "read"),
        "score_vs_logreg": ("score", "logreg"),
    }
    table = Table(
        title=f"{data['n_cells']:,} simulated cells × {data['n_genes']:,} genes, "
        f"{data['genes_per_cell']:,.0f} genes a cell, {found['settings']['threads']} threads"
    )
    for name in ("ratio", "value", "wanted", "ours (cells/s)", "beside (cells/s)"):
        table.add_column(name, justify="left" if name == "ratio" else "right")
    for name, (ours, other) in rows.items():
        target = found["targets"].get(name)
        sign = "≤" if name == "score_vs_read" else "≥"
        met = target is None or (
            found[name] <= target if name == "score_vs_read" else found[name] >= target
        )
        table.add_row(
            name,
            f"{found[name]:.2f}",
            "" if target is None else f"{sign} {target:g} {'yes' if met else 'NO'}",
            f"{speed[ours]:,.0f}",
            f"{speed[other]:,.0f}",
        )
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def write(found: dict[str, Any], path: Path) -> None:
    """Write whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def main(given: list[str] | None = None) -> None:
    """Run the benchmark."""
    options = arguments(given)
    limit_threads(options.threads)
    # Other libraries announce what they will change; it is not about speed.
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as room:
        found = measure(options, Path(room) / "cells.h5ad")
    show(found)
    if options.json is not None:
        write(found, options.json)
        say(f"wrote {options.json}")


if __name__ == "__main__":
    main()
