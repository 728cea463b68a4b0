"""What each threshold would cost and gain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dtp_scvi._constants import CV_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import near_matches, problem
from dtp_scvi.pl._place import label_lines
from dtp_scvi.pl._source import entry, need_columns, stored
from dtp_scvi.pl._style import (
    BLUE,
    DARK,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    SMALL,
    VERMILLION,
    caution,
    display,
    dress,
    new_axes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

_TOOL = "dtp.tl.cross_validate"
_LOOKS = (
    (BLUE, "-"),
    (GREEN, "--"),
    (DARK, "-"),
    (PURPLE, "-."),
    (ORANGE, ":"),
    (SKY, (0, (4, 1, 1, 1, 1, 1))),
)


@docs.dedent
def threshold_sweep(
    data: Any,
    *,
    key: str = CV_KEY,
    metrics: Sequence[str] = ("recall", "specificity", "f1", "mcc"),
    ax: Axes | None = None,
) -> Axes:
    """
    Draw recall, specificity and other metrics over all thresholds, and the chosen one.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.cross_validate`` wrote to, or its stored result.
    key
        The entry of ``uns`` to draw.
    metrics
        Up to six columns of the stored sweep: recall, specificity, precision, f1, mcc, youden,
        called_positive (share of cells called positive).
    %(ax)s

    Returns
    -------
    The axes. The vertical line is the chosen threshold, its band the bootstrap interval.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or a metric isn't in the sweep.
    ValueError
        No metric, or more than six.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> labels, p = [0, 0, 1, 1], [0.1, 0.4, 0.6, 0.8]
    >>> result = {
    ...     "threshold_sweep": dtp.stats.threshold_sweep(labels, p),
    ...     "threshold": {"value": 0.5, "rule": "youden"},
    ...     "params": {},
    ... }
    >>> dtp.pl.threshold_sweep(result).get_xlabel()
    'Threshold on the probability'
    """
    result = stored(data, key, _TOOL)
    table = entry(result, "threshold_sweep", _TOOL)
    need_columns(table, ("threshold",), f"{_TOOL}'s 'threshold_sweep'")
    if not 0 < len(metrics) <= len(_LOOKS):
        msg = problem("1 to 6 `metrics`", f"{len(metrics)}", "Draw the others on another axes.")
        raise ValueError(msg)
    for name in metrics:
        if name not in table:
            columns = [column for column in table if column != "threshold"]
            msg = problem("`metrics` of the sweep", repr(name), near_matches(name, columns))
            raise KeyError(msg)
    ax = new_axes(ax, 3.4, 2.8)
    lines = []
    for name, (color, style) in zip(metrics, _LOOKS, strict=False):
        lines += ax.plot(
            table["threshold"],
            table[name],
            color=color,
            linestyle=style,
            linewidth=1.5,
            label=display(name),
            zorder=3,
        )
    lowest = float(min(table[name].min() for name in metrics))
    ax.set(xlim=(0, 1), ylim=(min(-0.02, lowest - 0.02), 1.1))
    band = _draw_chosen(ax, entry(result, "threshold", _TOOL))
    label_lines(ax, lines, avoid=band)
    dress(ax, "Threshold on the probability", "Value")
    caution(ax, entry(result, "params", _TOOL), data)
    return ax


def _draw_chosen(ax: Axes, threshold: Mapping[str, Any]) -> tuple[float, float]:
    """Draw the chosen threshold with its interval and return the span that they take."""
    value = float(threshold["value"])
    band = (value, value)
    if "low" in threshold and "high" in threshold:
        band = (float(threshold["low"]), float(threshold["high"]))
        ax.axvspan(*band, color=VERMILLION, alpha=0.15, linewidth=0, zorder=1)
    ax.axvline(value, color=VERMILLION, linewidth=1.2, zorder=2)
    rule = f" ({threshold['rule']})" if "rule" in threshold else ""
    ax.text(
        value + (0.015 if value < 0.5 else -0.015),
        1.09,
        f"threshold {value:.2f}{rule}",
        fontsize=SMALL,
        color=VERMILLION,
        ha="left" if value < 0.5 else "right",
        va="top",
    )
    return band
