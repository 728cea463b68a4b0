"""Student against teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from dtp_scvi._constants import FIDELITY_KEY
from dtp_scvi._docs import docs
from dtp_scvi.pl._source import entry, need_columns, stored
from dtp_scvi.pl._style import BLUE, DARK, GREY, SMALL, VERMILLION, caution, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

_TOOL = "dtp.tl.cross_validate or model.distill"
_MANY = 3000


@docs.dedent
def fidelity(data: Any, *, key: str = FIDELITY_KEY, ax: Axes | None = None) -> Axes:
    """
    Draw the student's logit against the teacher's on cells that neither was trained on.

    Parameters
    ----------
    data
        AnnData that holds the evaluation of a student, or the stored result.
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes. Dashed lines are the two thresholds: cells in the shaded corners are called
    differently. Above 3,000 cells hexagons count them.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> result = {
    ...     "table": pd.DataFrame({"teacher_logit": [-1.0, 2.0], "student_logit": [-0.8, 1.5]}),
    ...     "summary": {"spearman": 1.0, "agreement": 1.0, "kappa": 1.0, "n": 2},
    ...     "teacher_threshold": 0.0,
    ...     "student_threshold": 0.0,
    ... }
    >>> dtp.pl.fidelity(result).get_xlabel()
    'Teacher (logit)'
    """
    result = stored(data, key, _TOOL)
    columns = ("teacher_logit", "student_logit")
    table = need_columns(entry(result, "table", _TOOL), columns, "the stored 'table'")
    summary = entry(result, "summary", _TOOL)
    cut_x = float(entry(result, "teacher_threshold", _TOOL))
    cut_y = float(entry(result, "student_threshold", _TOOL))
    x, y = (table[name].to_numpy(dtype=np.float64) for name in columns)
    ax = new_axes(ax, 3.4, 3.2)
    low, high = _limits(np.concatenate([x, y, [cut_x, cut_y]]))
    ax.set(xlim=(low, high), ylim=(low, high))
    for left, right, bottom, top in ((low, cut_x, cut_y, high), (cut_x, high, low, cut_y)):
        corner = ([left, right], [bottom, bottom], [top, top])
        ax.fill_between(*corner, color=GREY, alpha=0.15, linewidth=0, zorder=0)
    if len(x) > _MANY:
        extent = (low, high, low, high)
        hexes = ax.hexbin(
            x, y, gridsize=45, extent=extent, mincnt=1, bins="log", cmap="cividis_r", linewidths=0
        )
        bar = ax.figure.colorbar(hexes, ax=ax, shrink=0.75, pad=0.02)
        bar.set_label("cells", fontsize=SMALL)
        bar.ax.tick_params(labelsize=SMALL - 1)
    else:
        ax.scatter(x, y, s=5, color=BLUE, alpha=0.4, linewidths=0, zorder=2, rasterized=True)
    ax.plot([low, high], [low, high], color=GREY, linewidth=0.8, zorder=1, label="equal")
    ax.axvline(cut_x, color=VERMILLION, linestyle="--", linewidth=1, zorder=3)
    ax.axhline(cut_y, color=VERMILLION, linestyle="--", linewidth=1, zorder=3)
    ax.set_aspect("equal", adjustable="box")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True))
    _write_numbers(ax, summary)
    dress(ax, "Teacher (logit)", "Student (logit)")
    caution(ax, result.get("params", {}), data)
    return ax


def _limits(values: Any) -> tuple[float, float]:
    low, high = float(np.min(values)), float(np.max(values))
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _write_numbers(ax: Axes, summary: Mapping[str, Any]) -> None:
    names = {"spearman": "Spearman", "agreement": "Agreement", "kappa": "κ"}
    lines = [
        f"{text} {float(summary[name]):.3f}" for name, text in names.items() if name in summary
    ]
    if "n" in summary:
        lines.append(f"n = {int(summary['n']):,}")
    ax.text(
        0.03,
        0.97,
        "\n".join(lines),
        transform=ax.transAxes,
        fontsize=SMALL,
        color=DARK,
        ha="left",
        va="top",
        zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
    )
