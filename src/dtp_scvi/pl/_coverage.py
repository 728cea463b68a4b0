"""What conformal sets promise and what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.lines import Line2D

from dtp_scvi._constants import CV_KEY
from dtp_scvi._docs import docs
from dtp_scvi.pl._curve import TOOL
from dtp_scvi.pl._source import entry, need_columns, stored
from dtp_scvi.pl._style import BLUE, DARK, SMALL, VERMILLION, caution, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS: Final = ("level", "class", "coverage", "low", "high", "set_size", "reason")
# Class, where its points stand beside the middle of a level, colour and marker.
_SIDES: Final = ((1, -0.14, VERMILLION, "o"), (0, 0.14, BLUE, "s"))


@docs.dedent
def coverage(data: Any, *, key: str = CV_KEY, ax: Axes | None = None) -> Axes:
    """
    Draw the coverage of conformal sets by class against the level they promise.

    Sets are fitted on held-out probabilities of some donors and judged on others. A point on its
    line keeps the promise for new donors, one below it breaks it.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.cross_validate`` wrote to, or its stored result.
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes: coverage with its interval over donors, the promised level as a line, and in a
    strip above the mean number of classes in a set. A level for which there are too few
    donors has its reason instead.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or it holds no coverage.

    Examples
    --------
    >>> import numpy as np
    >>> import dtp_scvi as dtp
    >>> rng = np.random.default_rng(0)
    >>> labels, donors = rng.random(600) < 0.5, np.arange(600) % 12
    >>> p = dtp.stats.sigmoid(rng.normal(size=600) + 2 * labels - 1)
    >>> table = dtp.stats.conformal_coverage(labels, p, donors)
    >>> result = {"coverage": table, "params": {"positive": "tolerant"}}
    >>> ax = dtp.pl.coverage(result)
    >>> " ".join(ax.texts[0].get_text().split())
    'needs 19 donors of each class to fit on, 11 left'
    """
    result = stored(data, key, TOOL)
    table = need_columns(entry(result, "coverage", TOOL), _COLUMNS, f"{TOOL}'s 'coverage'")
    params = entry(result, "params", TOOL)
    levels = sorted(set(table["level"]))
    ax = new_axes(ax, max(3.4, 0.4 + 1.0 * len(levels)), 3.4)
    refused = table["reason"].astype(str) != ""
    strip = None if refused.all() else _strip(ax)
    for place, level in enumerate(levels):
        here = table["level"] == level
        if strip is None or refused[here].any():
            _say_why(ax, place, str(table.loc[here, "reason"].iloc[0]))
            continue
        ax.hlines(level, place - 0.34, place + 0.34, color=DARK, linewidth=1, linestyle="--")
        _draw_level(ax, strip, place, table[here].set_index("class"))
    ax.set_xlim(-0.5, len(levels) - 0.5)
    ax.set_xticks(range(len(levels)), labels=[f"{level:.4g}" for level in levels])
    dress(ax, "Promised coverage", "Coverage in donors left out")
    ax.tick_params(axis="x", length=0)
    if strip is None:
        ax.set_yticks([])
    else:
        shown = table.loc[~refused, ["level", "coverage", "low"]].to_numpy(dtype=np.float64)
        ax.set_ylim(max(-0.02, float(np.nanmin(shown)) - 0.08), 1.02)
        _name(ax, params)
    caution(ax, params, data)
    return ax


def _draw_level(ax: Axes, strip: Axes, place: int, rows: pd.DataFrame) -> None:
    for side, shift, color, marker in _SIDES:
        if side not in rows.index:
            continue
        row, x = rows.loc[side], place + shift
        ax.plot([x, x], [row["low"], row["high"]], color=color, linewidth=1.6)
        ax.plot(x, row["coverage"], marker, color=color, markersize=5.5, zorder=4)
        size = float(row["set_size"])
        strip.bar(x, size, width=0.24, color=color, alpha=0.35, linewidth=0)
        strip.text(x, 0.1, f"{size:.2f}", ha="center", va="bottom", fontsize=SMALL - 1)


def _say_why(ax: Axes, place: int, reason: str) -> None:
    words: list[str] = []
    for word in reason.split():
        if words and len(words[-1]) + len(word) < 12:
            words[-1] += f" {word}"
        else:
            words.append(word)
    ax.text(
        place,
        0.6,
        "\n".join(words),
        transform=ax.get_xaxis_transform(),
        ha="center",
        va="center",
        fontsize=SMALL,
        color=DARK,
    )


def _strip(ax: Axes) -> Axes:
    """Axes above for the mean number of classes in a set."""
    strip = ax.inset_axes((0.0, 1.03, 1.0, 0.15), sharex=ax)
    strip.set_ylim(0, 2)
    strip.set_yticks([0, 2])
    strip.tick_params(labelsize=SMALL - 1, labelbottom=False, length=2)
    strip.tick_params(axis="x", length=0)
    strip.spines[["top", "right"]].set_visible(False)
    strip.set_ylabel("set size", fontsize=SMALL)
    strip.set_label("set size")
    return strip


def _name(ax: Axes, params: Mapping[str, Any]) -> None:
    """Name the classes where the rising levels leave room."""
    positive = str(params.get("positive", "positive"))
    names = {1: positive, 0: f"not {positive}"}
    handles = [
        Line2D([], [], color=color, marker=marker, markersize=5, linewidth=1.6, label=names[side])
        for side, _, color, marker in _SIDES
    ]
    handles.append(Line2D([], [], color=DARK, linewidth=1, linestyle="--", label="promised"))
    ax.legend(
        handles=handles,
        loc="lower right",
        fontsize=SMALL - 1,
        framealpha=0.85,
        edgecolor="none",
        borderpad=0.2,
        labelspacing=0.25,
        handlelength=1.6,
    )
