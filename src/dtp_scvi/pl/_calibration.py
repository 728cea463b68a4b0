"""Reliability of predicted probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._constants import CV_KEY
from dtp_scvi._docs import docs
from dtp_scvi.pl._source import entry, main_model, need_columns, pick_models, stored
from dtp_scvi.pl._style import DARK, GREY, SMALL, VERMILLION, caution, display, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes

_TOOL = "dtp.tl.cross_validate"
_COLUMNS = ("model", "bin_low", "bin_high", "mean_predicted", "observed", "low", "high", "n")


@docs.dedent
def calibration(
    data: Any,
    *,
    key: str = CV_KEY,
    model: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw the observed share of positives against the predicted probability.

    Read it so: of the cells with a predicted probability near 0.7, the height of the line says
    how many were positive. On the diagonal the probability can be taken at its word, below it the
    model promises too much.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.cross_validate`` wrote to, or its stored result.
    key
        The entry of ``uns`` to draw.
    model
        The model to draw; default the one that was cross-validated.
    %(ax)s

    Returns
    -------
    The axes, with the bootstrap band and, in a strip above, the number of cells in each bin.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or ``model`` isn't in it.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> bins = pd.DataFrame(
    ...     {
    ...         "model": "teacher",
    ...         "bin_low": [0.0, 0.5],
    ...         "bin_high": [0.5, 1.0],
    ...         "mean_predicted": [0.2, 0.8],
    ...         "observed": [0.25, 0.7],
    ...         "low": [0.2, 0.6],
    ...         "high": [0.3, 0.8],
    ...         "n": [300, 120],
    ...     }
    ... )
    >>> ax = dtp.pl.calibration({"reliability": bins, "params": {"model": "teacher"}})
    >>> ax.get_ylabel()
    'Observed share of positives'
    """
    result = stored(data, key, _TOOL)
    table = need_columns(entry(result, "reliability", _TOOL), _COLUMNS, f"{_TOOL}'s 'reliability'")
    name = main_model(result, _TOOL) if model is None else model
    pick_models(table, [name], name)
    bins = table[table["model"] == name].sort_values("bin_low")
    ax = new_axes(ax, 3.4, 3.5)
    x, y = bins["mean_predicted"].to_numpy(), bins["observed"].to_numpy()
    low, high = bins["low"].to_numpy(), bins["high"].to_numpy()
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, zorder=1, label="perfect")
    ax.fill_between(x, low, high, color=VERMILLION, alpha=0.2, linewidth=0, zorder=2)
    ax.plot(
        x, y, "o-", color=VERMILLION, linewidth=1.6, markersize=4, zorder=4, label=display(name)
    )
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.set_aspect("equal", adjustable="box")
    # The numbers stand on the side of the diagonal that the curve leaves free.
    above = float(np.average(y - x, weights=bins["n"])) > 0
    place: dict[str, Any] = {"x": 0.99, "y": 0.02, "ha": "right", "va": "bottom"}
    if not above:
        place = {"x": 0.01, "y": 0.98, "ha": "left", "va": "top"}
    ax.text(s=_summary(result, name), fontsize=SMALL, color=DARK, **place)
    dress(ax, "Predicted probability", "Observed share of positives")
    _counts(ax, bins)
    caution(ax, entry(result, "params", _TOOL), data)
    return ax


def _summary(result: Mapping[str, Any], model: str) -> str:
    lines = [display(model)]
    if "metrics" in result:
        table = result["metrics"]
        rows = table[table["model"] == model].set_index("metric")
        for metric, text in (("ece", "ECE"), ("brier", "Brier")):
            if metric in rows.index:
                row = rows.loc[metric]
                lines.append(f"{text} {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")
    return "\n".join(lines)


def _counts(ax: Axes, bins: pd.DataFrame) -> None:
    """Bars of cells per bin in a strip above the axes."""
    strip = ax.inset_axes((0.0, 1.03, 1.0, 0.16), sharex=ax)
    width = (bins["bin_high"] - bins["bin_low"]).to_numpy()
    strip.bar(bins["bin_low"], bins["n"], width=width * 0.92, align="edge", color="#B8B8B8")
    most = int(bins["n"].max())
    strip.set_yticks([0, most], labels=["0", f"{most:,}"])
    strip.set_ylim(0, most * 1.05)
    strip.tick_params(labelsize=SMALL - 1, labelbottom=False, length=2)
    strip.spines[["top", "right"]].set_visible(False)
    strip.set_ylabel("n", fontsize=SMALL, rotation=0, va="center")
    strip.set_label("counts")
