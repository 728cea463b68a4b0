from __future__ import annotations

import io
import json
import math

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from dtp_scvi.cli import _results as results

METRICS = ["auroc", "auprc", "mcc", "f1", "balanced_accuracy", "brier", "ece"]


@pytest.fixture
def metrics() -> pd.DataFrame:
    rows = [
        {"model": model, "metric": metric, "value": 0.5 + 0.01 * i, "low": -0.25, "high": 0.75}
        for model in ("teacher", "lsc17")
        for i, metric in enumerate(METRICS)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def differences() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": "teacher",
            "baseline": ["lsc17", "lsc17"],
            "metric": ["auroc", "mcc"],
            "value": [0.125, 0.25],
            "low": [0.0625, -0.5],
            "high": [0.1875, 0.5],
        }
    )


def printed(tables, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    for table in tables:
        console.print(table)
    return console.export_text()


def test_numpy_becomes_json_and_nan_becomes_null(tmp_path):
    content = {
        "a": np.float32(0.5),
        "b": [np.int64(3), math.nan, np.inf],
        "c": np.array([1.0, np.nan]),
        "d": {"e": np.bool_(True), 7: "text", "f": None},
    }
    results.write_json(tmp_path / "x.json", content)

    def refuse(name):
        raise AssertionError(name)

    found = json.loads((tmp_path / "x.json").read_text(), parse_constant=refuse)
    assert found == {
        "a": 0.5,
        "b": [3, None, None],
        "c": [1.0, None],
        "d": {"e": True, "7": "text", "f": None},
    }


def test_metrics_are_nested_by_model_and_metric(metrics):
    found = results.metrics_json(metrics)
    assert list(found) == ["teacher", "lsc17"]
    assert list(found["lsc17"]) == METRICS
    assert found["teacher"]["mcc"] == {"value": 0.52, "low": -0.25, "high": 0.75}


def test_differences_name_both_models(differences):
    found = results.differences_json(differences)
    assert found == {
        "teacher - lsc17": {
            "auroc": {"value": 0.125, "low": 0.0625, "high": 0.1875},
            "mcc": {"value": 0.25, "low": -0.5, "high": 0.5},
        }
    }


@pytest.mark.parametrize(("width", "n_tables"), [(132, 1), (80, 2), (30, 7)])
def test_tables_fit_the_width_and_lose_nothing(metrics, width, n_tables):
    tables = results.metrics_tables(metrics, main="teacher", width=width)
    assert len(tables) == n_tables
    text = printed(tables, max(width, 36))
    assert "…" not in text
    for metric in ("auroc", "bal. acc.", "brier ↓", "ece ↓"):
        assert text.count(metric) == 1
    assert text.count("−0.250–0.750") == 2 * len(METRICS)


def test_a_star_marks_an_interval_without_zero(differences):
    text = printed(results.differences_tables(differences, main="teacher", width=132), 132)
    (line,) = [line for line in text.splitlines() if line.strip().startswith("lsc17")]
    assert "+0.125 [+0.062, +0.188]*" in line
    assert "+0.250 [−0.500, +0.500] " in line


def test_what_does_not_exist_is_a_dash(metrics):
    metrics.loc[0, ["value", "low", "high"]] = np.nan
    assert "–––" in printed(results.metrics_tables(metrics, main="teacher", width=132), 132)
