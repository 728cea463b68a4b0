"""Survival of the groups of a score, with what the score itself is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi._constants import SURVIVAL_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import problem
from dtp_scvi.pl._place import legend
from dtp_scvi.pl._source import entry, need_columns, stored
from dtp_scvi.pl._style import (
    BLUE,
    DARK,
    GREY,
    SMALL,
    VERMILLION,
    caution,
    display,
    dress,
    new_axes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_TOOL = "dtp.tl.survival"
# Colour and dash, so that either one tells the group.
_LOOKS: Final[dict[str, tuple[str, Any]]] = {
    "high": (VERMILLION, "-"),
    "middle": (GREY, "-."),
    "low": (BLUE, (0, (5, 1.5))),
}
_COLUMNS: Final = ("group", "time", "survival", "low", "high", "at_risk", "censored")
# Points below the axes where the table of numbers at risk begins, and from row to row.
_BELOW, _STEP = 36, 11


@docs.dedent
def survival(data: Any, *, key: str = SURVIVAL_KEY, ax: Axes | None = None) -> Axes:
    """
    Draw Kaplan-Meier curves of the prespecified groups, with the hazard ratio per SD.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.survival`` wrote to, or the stored result.
    key
        The ``key_added`` of ``dtp.tl.survival``.
    %(ax)s

    Returns
    -------
    The axes: a curve a group with its 95 % band and marks where patients were lost, the numbers
    at risk below the axis, and in a corner the hazard ratio per SD of the score (adjusted where
    there are covariates) with interval and p, and the p of the log-rank test, the one within
    strata where there are any.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or the result lacks a part.
    ValueError
        No split was made; the message says why.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(1000, 300)
    >>> bulk = dtp.datasets.simulate_cohort(150, cells=cells, n_drugs=4)
    >>> table = dtp.tl.survival(bulk, score_key="true_persister_fraction", n_boot=50)
    >>> dtp.pl.survival(bulk).get_xlabel()
    'Time'
    """
    result = stored(data, key, _TOOL)
    params, table = entry(result, "params", _TOOL), entry(result, "table", _TOOL)
    km = need_columns(entry(result, "km", _TOOL), _COLUMNS, f"the `km` of {_TOOL}")
    if km.empty:
        reason = str(entry(params, "no_split", _TOOL))
        msg = problem("groups to draw", "no split", reason)
        raise ValueError(msg)
    ax = new_axes(ax, 4.4, 3.6)
    lines = [_draw_group(ax, name, km) for name in _LOOKS if (km["group"] == name).any()]
    ax.set(xlim=(0, float(km["time"].max())), ylim=(0, 1.02))
    # Named after the column of the user, who knows the unit.
    dress(ax, display(params["time_key"]), "Survival (Kaplan–Meier)")
    _at_risk(ax, km, [str(line.get_label()) for line in lines])
    title = _numbers(need_columns(table, ("term", "estimate", "p"), f"the `table` of {_TOOL}"))
    for line in lines:
        line.set_label(_name(str(line.get_label()), params))
    legend(ax, lines, grow=False, title=title)
    caution(ax, result, data)
    return ax


def _draw_group(ax: Axes, name: str, km: pd.DataFrame) -> Line2D:
    rows = km[km["group"] == name]
    color, dash = _LOOKS[name]
    time = rows["time"].to_numpy()
    ax.fill_between(
        time,
        rows["low"].to_numpy(),
        rows["high"].to_numpy(),
        step="post",
        color=color,
        alpha=0.15,
        linewidth=0,
    )
    lost = rows[rows["censored"] > 0]
    ax.plot(lost["time"], lost["survival"], "|", color=color, markersize=4, markeredgewidth=0.7)
    (line,) = ax.step(
        time,
        rows["survival"].to_numpy(),
        where="post",
        color=color,
        linestyle=dash,
        linewidth=1.6,
        label=name,
        zorder=3,
    )
    return line


def _at_risk(ax: Axes, km: pd.DataFrame, groups: list[str]) -> None:
    """Write below each tick how many patients of each group are still followed."""
    end = ax.get_xlim()[1]
    ticks = [float(tick) for tick in ax.get_xticks() if 0 <= tick <= end]
    ax.set_xticks(ticks)
    look: dict[str, Any] = {"fontsize": SMALL - 1, "va": "center", "textcoords": "offset points"}
    look["annotation_clip"] = False
    ax.annotate(
        "At risk", (0, 0), (-24, -_BELOW), xycoords="axes fraction", color=DARK, ha="right", **look
    )
    for row, name in enumerate(groups, start=1):
        rows = km[km["group"] == name]
        below = -_BELOW - row * _STEP
        color = _LOOKS[name][0]
        ax.annotate(
            name, (0, 0), (-24, below), xycoords="axes fraction", color=color, ha="right", **look
        )
        at_risk = rows["at_risk"].to_numpy()
        # The count at the first time that is not before the tick.
        place = np.searchsorted(rows["time"].to_numpy(), ticks, side="left")
        for tick, where in zip(ticks, place, strict=True):
            n = int(at_risk[where]) if where < len(at_risk) else 0
            ax.annotate(
                f"{n:,}",
                (tick, 0),
                (0, below),
                xycoords=("data", "axes fraction"),
                color=DARK,
                ha="center",
                **look,
            )


def _numbers(table: pd.DataFrame) -> str:
    """Hazard ratio per SD and log-rank p, for the corner."""
    rows = table.set_index("term")
    adjusted = "hazard_ratio_adjusted" in rows.index
    ratio = rows.loc["hazard_ratio_adjusted" if adjusted else "hazard_ratio"]
    name = "HR per SD, adjusted" if adjusted else "HR per SD"
    return (
        f"{name}: {ratio['estimate']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f}), "
        f"{_p(ratio['p'])}\n{_test(rows)}"
    )


def _test(rows: pd.DataFrame) -> str:
    """The log-rank test that fits: within strata where there are any and it exists."""
    plain = _p(rows.loc["logrank", "p"])
    if "logrank_stratified" not in rows.index:
        return f"Log-rank {plain}"
    within = float(rows.loc["logrank_stratified", "p"])
    return (
        f"Log-rank, unstratified {plain}"
        if np.isnan(within)
        else f"Stratified log-rank {_p(within)}"
    )


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _name(group: str, params: Mapping[str, Any]) -> str:
    """Say of a group where it was cut: "high (≥ 0.52)"."""
    cuts = [
        f"{float(value):.3g}".replace("-", "−") for value in np.atleast_1d(params["cut_values"])
    ]
    if group == "high":
        return f"high (≥ {cuts[-1]})"
    return f"low (< {cuts[0]})" if group == "low" else group
