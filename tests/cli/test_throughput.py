"""The benchmark runs; how fast is no matter of tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "throughput.py"
RATIOS = ("train_vs_scanvi", "predict_vs_scanvi", "score_vs_read", "score_vs_logreg")


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=cwd,
    )


def test_bad_options_end_before_any_work(tmp_path):
    done = run("--json", "nowhere/x.json", cwd=tmp_path)
    assert done.returncode == 2
    assert "no folder" in done.stderr
    assert run("--scanvi-epochs", "1", cwd=tmp_path).returncode == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_it_prints_and_writes_every_ratio(tmp_path):
    sizes = {"cells": 300, "genes": 200, "donors": 4, "panel": 40, "threads": 1, "repeats": 2}
    options = [f"--{name}={value}" for name, value in sizes.items()]
    done = run(*options, "--epochs=1", "--scanvi-epochs=2", "--json=x.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "x.json").read_text())
    speed = found["cells_per_second"]
    assert found["train_vs_scanvi"] == speed["teacher_train"] / speed["scanvi_train"]
    assert found["score_vs_logreg"] == pytest.approx(speed["score"] / speed["logreg"])
    assert found["score_vs_read"] == pytest.approx(speed["read"] / speed["read_and_score"])
    assert found["score_vs_read"] > 1
    assert found["data"]["simulated"] is True
    for name in RATIOS:
        assert found[name] > 0
        assert name in done.stdout
    assert [item.name for item in tmp_path.iterdir()] == ["x.json"]
