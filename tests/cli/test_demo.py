from __future__ import annotations

import json
import warnings

import anndata as ad
import matplotlib.image
import numpy as np
import pytest

import dtp_scvi as dtp
from dtp_scvi.cli import _demo_figures as figures

FIGURES = {
    "audit",
    "benchmark",
    "calibration",
    "coverage",
    "decision_curve",
    "fidelity",
    "history",
    "overview",
    "pr",
    "program_attention",
    "roc",
    "scores",
    "scores_bulk",
    "threshold_sweep",
    "threshold_transfer",
    "transfer",
    "transfer_bulk",
}


def test_bulk_samples_are_grouped_by_what_is_hidden_in_them():
    cells = dtp.datasets.simulate_cells(1500, 150)
    cohort = dtp.datasets.simulate_cohort(30, cells=cells)
    grouped = figures.by_share(cohort)
    column = grouped.obs.columns.difference(cohort.obs.columns)
    (groups,) = (grouped.obs[name] for name in column)
    share = cohort.obs["true_persister_fraction"]
    assert groups.value_counts().tolist() == [10, 10, 10]
    assert share[groups == "low share"].max() < share[groups == "high share"].min()
    assert column[0] not in cohort.obs


def test_the_demo_is_never_written_over_something_else(dtp_command, tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.txt").write_text("mine")
    for options in ([], ["--overwrite"]):
        done = dtp_command("demo", "--out", tmp_path / "demo", "--quick", *options)
        assert done.code == 2
        assert "thesis.txt" in done.text
    assert [item.name for item in tmp_path.rglob("*")] == ["demo", "thesis.txt"]


@pytest.mark.slow
def test_the_quick_demo_writes_all_it_promises(dtp_command, tmp_path):
    out = tmp_path / "demo"
    with warnings.catch_warnings():
        # So few cells teach the Transformer nothing, and the demo says so.
        warnings.simplefilter("default")
        done = dtp_command("demo", "--out", out, "--quick", "--seed", 3, "--quiet")
    assert done.code == 0, done.text
    assert "SIMULATED" in done.text
    found = json.loads((out / "summary.json").read_text(), parse_constant=pytest.fail)
    assert found["simulated"] is True
    assert {"teacher", "student", "logistic_regression", "gradient_boosting", "random_forest",
            "mean_expression", "lsc17"} == set(found["cv"])  # fmt: skip
    for metrics in found["cv"].values():
        assert {"auroc", "auprc", "mcc", "f1", "balanced_accuracy", "brier", "ece"} == set(metrics)
        for entry in metrics.values():
            assert entry["low"] <= entry["high"]
    assert found["student"]["n_genes"] == 100
    assert 0 < found["student"]["agreement"] <= 1
    assert found["threshold"]["rule"] == "youden"
    assert found["data"]["seed"] == 3
    steps = {"simulate", "cross_validate", "train", "distil", "score", "figures"}
    assert steps < set(found["timings"])
    assert found["timings"]["total"] >= sum(found["timings"][step] for step in steps)
    for name in ("scored_cells", "scored_cohort"):
        scored = ad.read_h5ad(out / f"{name}.h5ad")
        assert scored.obs["dtp_score"].between(0, 1).all()
        assert scored.uns["dtp_simulation"]["simulated"]
    for name, cls in (("teacher", "DTPTransformer"), ("student", "DTPStudent")):
        model = dtp.model.load_model(out / name)
        assert type(model).__name__ == cls
        # Both models carry what the cross-validation found for them.
        assert model.evaluation_["column"] == {"DTPTransformer": "teacher"}.get(cls, "student")
        assert (out / name / "card.md").is_file()
    assert model.threshold_ == found["threshold"]
    assert {path.stem for path in out.glob("*.png")} == FIGURES
    for path in out.glob("*.png"):
        pixels = matplotlib.image.imread(path)
        assert min(pixels.shape[:2]) > 200
        assert np.ptp(pixels[..., :3]) > 0.5
    assert [item.name for item in tmp_path.iterdir()] == ["demo"]
