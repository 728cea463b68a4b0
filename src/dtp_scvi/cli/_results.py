"""Tables of a cross-validation for the screen, and the same numbers as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from rich.table import Table

_COMPARED: Final = ("auroc", "auprc", "mcc", "brier")
_SHORT: Final = {"balanced_accuracy": "bal. acc."}
# Columns that a name, a number with its interval below, and a difference take.
_NAME_WIDTH: Final = 22
_NUMBER_WIDTH: Final = 14
_DIFFERENCE_WIDTH: Final = 27
_DATA: Final = (
    "n_cells",
    "n_genes",
    "n_donors",
    "n_folds",
    "labels_key",
    "positive",
    "prevalence",
    "donor_key",
    "batch_key",
    "layer",
    "scale",
    "seed",
    "n_boot",
)


def jsonable(value: Any) -> Any:
    """Turn numpy and nested values into what JSON has; NaN and infinities become ``None``."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write strict JSON, readable by eye."""
    text = json.dumps(jsonable(content), indent=2, allow_nan=False, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def metrics_json(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Return ``{model: {metric: {"value", "low", "high"}}}``."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in table.itertuples():
        numbers = {"value": row.value, "low": row.low, "high": row.high}
        found.setdefault(str(row.model), {})[str(row.metric)] = numbers
    return found


def differences_json(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Return ``{"teacher - baseline": {metric: {"value", "low", "high"}}}``."""
    pairs = table["model"].astype(str) + " - " + table["baseline"].astype(str)
    return metrics_json(table.assign(model=pairs))


def metrics_tables(table: pd.DataFrame, *, main: str, width: int) -> list[Table]:
    """Lay out models by metrics, the interval under each value; more tables where it is narrow."""
    metrics = [str(name) for name in dict.fromkeys(table["metric"])]
    fit = max(1, (width - _NAME_WIDTH) // _NUMBER_WIDTH)
    return [
        _metrics_table(table, metrics[start : start + fit], main)
        for start in range(0, len(metrics), fit)
    ]


def _metrics_table(table: pd.DataFrame, metrics: list[str], main: str) -> Table:
    from rich.text import Text

    from dtp_scvi.stats import HIGHER_IS_BETTER

    heads = [
        _SHORT.get(name, name) + ("" if HIGHER_IS_BETTER.get(name, True) else " ↓")
        for name in metrics
    ]
    grid = new_table("model", heads)
    by_model = table.set_index(["model", "metric"])
    for model in dict.fromkeys(table["model"]):
        style = "bold" if model == main else ""
        cells = [Text(str(model), style=style)]
        for metric in metrics:
            value, low, high = by_model.loc[(model, metric), ["value", "low", "high"]]
            under = f"\n{_number(low)}–{_number(high)}"
            cells.append(Text.assemble((_number(value), style), (under, "dim")))
        grid.add_row(*cells)
    return grid


def differences_tables(table: pd.DataFrame, *, main: str, width: int) -> list[Table]:
    """Lay out paired differences, bold and starred where the interval leaves out 0."""
    table = table[table["model"] == main]
    metrics = [name for name in _COMPARED if (table["metric"] == name).any()]
    fit = max(1, (width - _NAME_WIDTH) // _DIFFERENCE_WIDTH)
    return [
        _differences_table(table, metrics[start : start + fit], main)
        for start in range(0, len(metrics), fit)
    ]


def _differences_table(table: pd.DataFrame, metrics: list[str], main: str) -> Table:
    from rich.text import Text

    grid = new_table(f"{main} minus", metrics)
    by_model = table.set_index(["baseline", "metric"])
    for baseline in dict.fromkeys(table["baseline"]):
        cells = [Text(str(baseline))]
        for metric in metrics:
            value, low, high = by_model.loc[(baseline, metric), ["value", "low", "high"]]
            clear = low > 0 or high < 0
            span = f" [{_number(low, signed=True)}, {_number(high, signed=True)}]"
            star = "*" if clear else " "
            number = (_number(value, signed=True), "bold" if clear else "")
            cells.append(Text.assemble(number, (span, "dim"), star))
        grid.add_row(*cells)
    return grid


def new_table(first: str, columns: list[str]) -> Table:
    """Make an empty table: names on the left, numbers to the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _number(value: float, *, signed: bool = False) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:{'+' if signed else ''}.3f}".replace("-", "−")


def evaluation_content(uns: Mapping[str, Any]) -> dict[str, Any]:
    """Turn what tl.cross_validate stored into the content of a JSON file."""
    from dtp_scvi._constants import CV_KEY, FIDELITY_KEY

    result = uns[CV_KEY]
    params = result["params"]
    content = {
        "simulated": bool(params["simulated"]),
        "protocol": params["protocol"],
        "optimistic": bool(params["optimistic"]),
        "intervals": params["interval"],
        "cv": metrics_json(result["metrics"]),
        "differences": differences_json(result["differences"]),
        "threshold": dict(result["threshold"]),
        "warnings": list(params["warnings"]),
        "timings": dict(params["seconds"]),
        "data": {name: params[name] for name in _DATA if name in params},
        "versions": dict(params["versions"]),
    }
    if "audit" in result:
        content["audit"] = result["audit"].to_dict("records")
    if FIDELITY_KEY in uns:
        content["student"] = dict(uns[FIDELITY_KEY]["summary"])
    return content


def show_evaluation(uns: Mapping[str, Any]) -> None:
    """Print the tables of a cross-validation and what they rest on."""
    from dtp_scvi._constants import CV_KEY, FIDELITY_KEY
    from dtp_scvi.cli import _screen as screen
    from dtp_scvi.cli._audit import show_audit
    from dtp_scvi.cli._describe import fidelity_text, threshold_text

    result = uns[CV_KEY]
    params = result["params"]
    main = str(params["model"])
    simulated = "SIMULATED DATA, " if params["simulated"] else ""
    screen.say(
        f"\n{simulated}{params['protocol']}; 95 % intervals: {params['interval']}", style="bold"
    )
    width = screen.console().width
    for table in metrics_tables(result["metrics"], main=main, width=width):
        screen.show(table)
    screen.say("Paired differences on the same resamples; * where the interval leaves out 0")
    for table in differences_tables(result["differences"], main=main, width=width):
        screen.show(table)
    rows = [("threshold", threshold_text(result["threshold"]))]
    if FIDELITY_KEY in uns:
        rows.append(("student", fidelity_text(uns[FIDELITY_KEY]["summary"])))
    screen.findings("On held-out rows", rows)
    if "audit" in result:
        show_audit(result["audit"])
    if params["optimistic"]:
        screen.say(
            "OPTIMISTIC: cells of one donor are in training and test data. "
            "This says nothing about cells of a new donor.",
            style="bold yellow",
        )
