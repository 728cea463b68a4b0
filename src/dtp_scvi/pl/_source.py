"""Find what a figure draws, or say which function has to run first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dtp_scvi._validate import near_matches, problem, shorten


def stored(data: Any, key: str, tool: str) -> Mapping[str, Any]:
    """Return ``data.uns[key]``, or ``data`` where it is such a result itself."""
    if isinstance(data, Mapping):
        return data
    if not hasattr(data, "uns"):
        msg = problem("an AnnData or the stored result", type(data).__name__, f"Run {tool} first.")
        raise TypeError(msg)
    if key not in data.uns:
        found = f"no such key ({shorten(data.uns)})"
        msg = problem(f"`adata.uns[{key!r}]`", found, f"Run {tool} first, or pass `key`.")
        raise KeyError(msg)
    return data.uns[key]


def entry(result: Mapping[str, Any], name: str, tool: str) -> Any:
    """Return one entry of a stored result."""
    if name not in result:
        todo = f"Run {tool} again with this version of the package."
        msg = problem(f"the result to hold {name!r}", shorten(result), todo)
        raise KeyError(msg)
    return result[name]


def need_columns(table: Any, columns: tuple[str, ...], source: str) -> pd.DataFrame:
    """Return ``table`` if it is a DataFrame with these columns."""
    if not isinstance(table, pd.DataFrame):
        msg = problem(f"a DataFrame ({source})", type(table).__name__, "Pass that table.")
        raise TypeError(msg)
    missing = [name for name in columns if name not in table]
    if missing:
        msg = problem(
            f"a table with columns {shorten(columns, 10)}",
            f"none called {shorten(missing)}",
            f"Pass {source}.",
        )
        raise KeyError(msg)
    return table


def main_model(result: Mapping[str, Any], tool: str) -> str:
    """Return the name of the model that was cross-validated."""
    return str(entry(entry(result, "params", tool), "model", tool))


def pick_models(table: pd.DataFrame, models: Any, main: str) -> list[str]:
    """Return the models to draw: those asked for, or all; the main one first."""
    available = list(dict.fromkeys(table["model"].astype(str)))
    chosen = available if models is None else [str(name) for name in models]
    for name in chosen:
        if name not in available:
            msg = problem(
                "`models` to name models of the result", repr(name), near_matches(name, available)
            )
            raise KeyError(msg)
    return sorted(chosen, key=lambda name: name != main)
