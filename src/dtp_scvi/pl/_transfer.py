"""What a transfer check rests on."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.transforms import ScaledTranslation

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
# What a response model's check measures: shares of its genes.
_GENES: Final = {
    "shifted": "Off the training mean, as they are",
    "shifted_by_rank": "Off the training mean, after ranking",
    "missing": "Not found",
}
_CLEAN: Final = "Nothing measured speaks against it."
_HOLD: Final = "Values are on the training scale."
_OFF: Final = "Values are not on the training scale: read the rank."
# Points from the axis to the legend.
_BELOW: Final = 32
# Characters of the title that are as wide as the axes.
_WIDTH: Final = 46
# Colour and marker, so that either one tells the verdict.
_LOOKS: Final = {
    "calls": (BLUE, "o", "calls"),
    "recalibrate": (ORANGE, "s", "recalibrate"),
    "rank_only": (VERMILLION, "D", "rank only"),
}
_SIDES: Final = {
    False: (BLUE, "o", "as in training"),
    True: (VERMILLION, "D", "off"),
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

    Of a response model, the shares of its genes that lie off the training rows, as they are and
    after ranking, against the share up to which they count as alike; the title says which
    ``align`` of ``dtp.tl.score`` is warranted, which was used, and whether values hold.

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
    own = "verdict" in record or "warranted" in record
    found = record if own else entry(record, "transfer", _TOOL)
    if "warranted" in found:
        return _draw_warranted(ax, found, record, data)
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
    _bare(ax)
    _legend(ax, tuple(_LOOKS.values()), "training")
    caution(ax, record, data)
    reasons = _reasons(found)
    _title(ax, [_verdict(found), reasons[0] if reasons else _CLEAN])
    return ax


def _draw_warranted(
    ax: Axes | None, found: Mapping[str, Any], record: Mapping[str, Any], data: Any
) -> Axes:
    """Draw what the check of a response model measured, and what it says about ``align``."""
    evidence = entry(found, "evidence", _TOOL)
    shares = {name: float(entry(evidence, name, _TOOL)) for name in ("shifted", "shifted_by_rank")}
    limit = float(entry(evidence, "shifted_from", _TOOL))
    ax = new_axes(ax, 5.4, 3.3)
    for height, value in enumerate(shares.values()):
        for off, low, high in ((False, 0.0, limit), (True, limit, 1.0)):
            color = _SIDES[off][0]
            ax.barh(height, high - low, 0.62, left=low, color=color, alpha=0.22, linewidth=0)
        ax.vlines(limit, height - 0.31, height + 0.31, color=DARK, linewidth=1.6)
        _point(ax, height, value, *_SIDES[value > limit][:2])
    # Missing genes take no part in the choice: no shade, no colour.
    missing = 1.0 - float(entry(evidence, "coverage", _TOOL))
    _point(ax, len(shares), missing, GREY, "o")
    ax.set_yticks(range(len(_GENES)), labels=list(_GENES.values()))
    ax.set(xlim=(-0.02, 1.02), ylim=(len(_GENES) - 0.5, -0.5))
    dress(ax, "Share of the model's genes (worse to the right)", "")
    _bare(ax)
    _legend(ax, tuple(_SIDES.values()), f"limit, {limit:.0%}")
    caution(ax, record, data)
    warranted, used = (str(entry(found, name, _TOOL)) for name in ("warranted", "align"))
    holds = bool(entry(found, "values_hold", _TOOL))
    head = f"Warranted: align {warranted}; used: {used}"
    # Each reason is a clause that starts small.
    reasons = [f"{text[:1].upper()}{text[1:].rstrip('.')}." for text in _reasons(found)]
    _title(ax, [head, _HOLD if holds else _OFF, *reasons])
    return ax


def _bare(ax: Axes) -> None:
    """Take away the ticks and spine of an axis of names."""
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


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
    _point(ax, height, value, *_LOOKS[str(item["verdict"])][:2])


def _point(ax: Axes, height: int, value: float, color: str, marker: str) -> None:
    """Mark a value on its row, at the end where it lies beyond, and write it at the right."""
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


def _legend(ax: Axes, looks: tuple[tuple[str, str, str], ...], mark: str) -> None:
    handles = [
        ax.plot([], [], marker, color=color, markeredgecolor="white", markersize=8, label=text)[0]
        for color, marker, text in looks
    ]
    handles.append(
        ax.plot([], [], "|", color=DARK, markersize=9, markeredgewidth=1.6, label=mark)[0]
    )
    # In points below the axis, so that it clears the label however high the axes are.
    down = ScaledTranslation(0, -_BELOW / 72, ax.figure.dpi_scale_trans)
    ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=ax.transAxes + down,
        ncols=4,
        fontsize=SMALL,
        frameon=False,
        handletextpad=0.2,
        columnspacing=1.2,
    )


def _verdict(found: Mapping[str, Any]) -> str:
    """Name the verdict, and the one found where it was overridden."""
    verdict, measured = (str(entry(found, name, _TOOL)) for name in ("verdict", "found"))
    head = f"Verdict: {verdict.replace('_', ' ')}"
    return (
        f"{head} (override; found {measured.replace('_', ' ')})" if "override" in found else head
    )


def _reasons(found: Mapping[str, Any]) -> list[str]:
    return [str(reason) for reason in entry(found, "reasons", _TOOL)]


def _title(ax: Axes, sentences: list[str]) -> None:
    """Write the verdict in one line, and below it what led to it."""
    lines = [sentences[0], *textwrap.wrap(" ".join(sentences[1:]), _WIDTH)]
    if ax.get_title("right"):
        lines.append("")  # the note on the data stands in this line
    ax.set_title("\n".join(lines), loc="left", fontsize=LABEL, color=DARK)
