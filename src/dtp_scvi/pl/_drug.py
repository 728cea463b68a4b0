"""What the figures of drug response share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dtp_scvi._validate import near_matches, problem
from dtp_scvi.pl._source import entry, need_columns, stored
from dtp_scvi.pl._style import caution

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes

TOOL: Final = "dtp.tl.drug_response"
_COLUMNS: Final = ("drug", "tested", "n", "rho", "low", "high", "q")


def response_result(data: Any, key: str) -> tuple[Mapping[str, Any], pd.DataFrame]:
    """Return the stored result and its table, one drug a row."""
    result = stored(data, key, TOOL)
    table = need_columns(entry(result, "table", TOOL), _COLUMNS, f"{TOOL}'s 'table'")
    return result, table


def find_drug(table: pd.DataFrame, drug: str) -> pd.Series[Any]:
    """Return the row of a drug, whatever the case of its letters."""
    names = table["drug"].astype(str)
    exact = table[names == drug]
    found = exact if len(exact) else table[names.str.lower() == str(drug).lower()]
    if len(found) != 1:
        msg = problem("`drug` to name a drug of the result", repr(drug), near_matches(drug, names))
        raise KeyError(msg)
    return found.iloc[0]


def high_means(params: Mapping[str, Any]) -> str:
    """Say what a high value of the response means."""
    return "resistant" if str(params["direction"]) == "higher_is_resistant" else "sensitive"


def number(value: float) -> str:
    """Two digits, with a minus sign and not a hyphen."""
    return f"{value:.2f}".replace("-", "−")


def small(name: str, value: float) -> str:
    """A p or q as it is printed."""
    return f"{name} < 0.001" if value < 0.001 else f"{name} = {value:.2g}"


def warn_of_guards(ax: Axes, result: Mapping[str, Any], data: Any) -> None:
    """Write on the axes that the data are simulated, or what a guard found."""
    caution(ax, entry(result, "params", TOOL), data)
    levels = set(entry(result, "guards", TOOL)["level"].astype(str))
    if levels & {"error", "warning"}:
        before = ax.get_title("right")
        text = "provenance doubtful: see the guards"
        ax.set_title(
            " · ".join(filter(None, [before, text])), loc="right", fontsize=8, style="italic"
        )
