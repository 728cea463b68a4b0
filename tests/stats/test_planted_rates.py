"""Promised rates over 200 simulated cohorts, as the scripts in benchmarks report them."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def run(script: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER / script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
        cwd=cwd,
    )


def rates(script: str, folder: Path) -> dict:
    done = run(script, "--json=x.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "x.json").read_text())


@pytest.mark.parametrize("script", ["label_shift.py", "interval_coverage.py", "drug_response.py"])
def test_bad_options_end_before_any_work(script, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(sys, "argv", [script, "--json", "nowhere/x.json"])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(FOLDER / script), run_name="__main__")
    assert "no folder" in capsys.readouterr().err


@pytest.mark.slow
def test_label_shift_is_told_from_covariate_shift(tmp_path):
    found = rates("label_shift.py", tmp_path)
    assert found["cohorts"] == 200
    assert found["accepted_clean"] >= 0.9
    assert min(found["refused"].values()) >= 0.9
    for method in ("em", "bbse"):
        assert found[f"recovered_{method}_pure"] >= 0.9
        assert found[f"mean_error_{method}_pure"] < 0.015


@pytest.mark.slow
def test_sets_and_intervals_hold_what_they_promise(tmp_path):
    found = rates("interval_coverage.py", tmp_path)
    assert found["cohorts"] == 200
    for level in (0.8, 0.9, 0.95):
        assert found[f"conformal one_per_donor {level:g}"] == pytest.approx(level, abs=0.02)
        assert found[f"conformal pooled {level:g}"] >= level - 0.01
    for model in ("calibrated", "too sure"):
        for metric in ("ece", "auroc"):
            # 0.92 to 0.98, and one standard error of a rate over 200 cohorts at the upper end.
            assert 0.92 <= found[f"{metric} {model}"] <= 0.99


@pytest.mark.slow
def test_intervals_over_drugs_hold_the_truth_and_the_naive_one_does_not(tmp_path):
    found = rates("drug_response.py", tmp_path)
    assert found["cohorts"] == 200
    for name in ("within_drug", "meta_analysis", "mixed_model", "one drug"):
        assert 0.92 <= found[f"coverage {name}"] <= 0.98, name
    assert found["coverage naive_pairs"] < 0.8
    assert found["coverage meta_analysis, drugs independent"] < 0.8
    # 200 cohorts know a rate of 5 % to 1.5 %, one of 10 % to 2.1 %.
    assert found["null within_drug"] <= 0.08
    assert found["null naive_pairs"] > 0.2
    assert found["fdr no drug affected"] <= 0.14
    assert found["fdr a quarter affected"] <= 0.1
    assert found["mixed_model converged"] == 1
