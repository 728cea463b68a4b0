"""What a transfer check rests on."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi._constants import KEY_ADDED
from dtp_scvi._docs import docs
from dtp_scvi.pl._source import entry, stored
from dtp_scvi.pl._style import (
    BLUE,
    DARK,
    GREY,
    LABEL,
    ORANGE,
    SMALL,
    VERMILLION,
    caution,
    dress,
    new_axes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

_TOOL = "dtp.tl.transfer_check or dtp.tl.score"
_ROWS: Final = {
    "missing": "Importance on missing genes",
    "far": "Rows out of distribution",
    "alike": "Rows alike (1 − spread)",
    "domain": "AUROC, query against training",
    "shift": "Shift of score quantiles",
    "high": "Probabilities above 0.95",
    "low": "Probabilities below 0.05",
}
# Characters of the title that are as wide as the axes.
_WIDTH: Final = 46
# Colour and marker, so that either one tells the verdict.
_LOOKS: Final = {
    "calls": (BLUE, "o", "calls"),
    "recalibrate": (ORANGE, "s", "recalibrate"),
    "rank_only": (VERMILLION, "D", "rank only"),
}


@docs.dedent
def transfer(data: Any, *, key: str = KEY_ADDED, ax: Axes | None = None) -> Axes:
    """
    Draw the evidence of a transfer check, one measurement a row, worse to the right.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.transfer_check`` or ``dtp.tl.score`` wrote to, what the former
        returned, or the stored record.
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes, verdict and first reason in the title. The shades behind a point are what the
    verdict would be there; its colour and shape are what it is. The vertical mark is what is
    usual among the training rows or donors.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or no transfer check.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> limits = {"usual": 0.0, "recalibrate_from": 0.2, "rank_only_from": 0.5}
    >>> found = {
    ...     "verdict": "recalibrate",
    ...     "found": "recalibrate",
    ...     "reasons": ["30% of the rows lie far away."],
    ...     "measures": {"far": {"value": 0.3, "verdict": "recalibrate", **limits}},
    ... }
    >>> dtp.pl.transfer(found).get_title("left").splitlines()
    ['Verdict: recalibrate', '30% of the rows lie far away.']
    """
    record = stored(data, key, _TOOL)
    found = record if "verdict" in record else entry(record, "transfer", _TOOL)
    measures = entry(found, "measures", _TOOL)
    ax = new_axes(ax, 5.4, 3.5)
    for height, name in enumerate(_ROWS):
        if name in measures:
            _draw_row(ax, height, measures[name])
        else:
            ax.text(0.0, height, "not measured", color=GREY, fontsize=SMALL, va="center")
    ax.set_yticks(range(len(_ROWS)), labels=list(_ROWS.values()))
    ax.set(xlim=(-0.02, 1.02), ylim=(len(_ROWS) - 0.5, -0.5))
    dress(ax, "Share or distance (worse to the right)", "")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    _legend(ax)
    caution(ax, record, data)
    _title(ax, found)
    return ax


def _draw_row(ax: Axes, height: int, item: Mapping[str, Any]) -> None:
    """Shade the limits of one measurement and place it among them."""
    ends = [0.0, *np.clip([float(item[f"{n}_from"]) for n in ("recalibrate", "rank_only")], 0, 1)]
    for verdict, low, high in zip(_LOOKS, ends, [*ends[1:], 1.0], strict=True):
        if high > low:
            color = _LOOKS[verdict][0]
            ax.barh(height, high - low, 0.62, left=low, color=color, alpha=0.22, linewidth=0)
    usual, value = float(item["usual"]), float(item["value"])
    if usual > 0:
        ax.vlines(min(usual, 1.0), height - 0.31, height + 0.31, color=DARK, linewidth=1.6)
    color, marker, _ = _LOOKS[str(item["verdict"])]
    ax.plot(
        min(max(value, 0.0), 1.0),
        height,
        marker,
        color=color,
        markeredgecolor="white",
        markersize=8,
        zorder=4,
        clip_on=False,
    )
    place: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center"}
    text = f"{value:.2f}".replace("-", "−")
    ax.text(1.03, height, text, fontsize=SMALL, color=DARK, **place)


def _legend(ax: Axes) -> None:
    handles = [
        ax.plot([], [], marker, color=color, markeredgecolor="white", markersize=8, label=text)[0]
        for color, marker, text in _LOOKS.values()
    ]
    handles.append(
        ax.plot([], [], "|", color=DARK, markersize=9, markeredgewidth=1.6, label="training")[0]
    )
    ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.19),
        ncols=4,
        fontsize=SMALL,
        frameon=False,
        handletextpad=0.2,
        columnspacing=1.2,
    )


def _title(ax: Axes, found: Mapping[str, Any]) -> None:
    """Verdict, how it came about, and the first reason."""
    verdict, measured = (str(entry(found, name, _TOOL)) for name in ("verdict", "found"))
    head = f"Verdict: {verdict.replace('_', ' ')}"
    if "override" in found:
        head += f" (override; found {measured.replace('_', ' ')})"
    reasons = [str(reason) for reason in entry(found, "reasons", _TOOL)]
    reason = reasons[0] if reasons else "Nothing measured speaks against it."
    lines = [head, *textwrap.wrap(reason, _WIDTH)]
    if ax.get_title("right"):
        lines.append("")  # the note on the data stands in this line
    ax.set_title("\n".join(lines), loc="left", fontsize=LABEL, color=DARK)
