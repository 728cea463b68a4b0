"""One metric of all models, with intervals and paired differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._constants import CV_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_one_of
from dtp_scvi.pl._source import entry, main_model, need_columns, pick_models, stored
from dtp_scvi.pl._style import DARK, GREY, SMALL, VERMILLION, caution, display, dress, new_axes
from dtp_scvi.stats import HIGHER_IS_BETTER, METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

_TOOL = "dtp.tl.cross_validate"
_CHANCE = {"auroc": 0.5, "balanced_accuracy": 0.5, "mcc": 0.0}


@docs.dedent
def benchmark(
    data: Any,
    *,
    metric: str = "auroc",
    key: str = CV_KEY,
    models: Sequence[str] | None = None,
    differences: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw one metric of the model and its baselines, with donor-bootstrap intervals.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.cross_validate`` wrote to, or its stored result.
    metric
        One of auroc, auprc, mcc, f1, balanced_accuracy, brier, ece.
    key
        The entry of ``uns`` to draw.
    models
        Names of the models to draw; default all.
    differences
        Write at the right how much the main model exceeds each other one, paired on the same
        resamples, with the interval; bold where the interval leaves out 0.
    %(ax)s

    Returns
    -------
    The axes, best model at the top.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or a model isn't in it.
    ValueError
        Unknown metric.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> table = pd.DataFrame(
    ...     {
    ...         "model": ["lsc17", "teacher"],
    ...         "metric": "auroc",
    ...         "value": [0.6, 0.8],
    ...         "low": [0.5, 0.7],
    ...         "high": [0.7, 0.9],
    ...     }
    ... )
    >>> result = {"metrics": table, "params": {"model": "teacher"}}
    >>> ax = dtp.pl.benchmark(result, differences=False)
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['Teacher', 'LSC17']
    """
    check_one_of(metric, METRICS, "metric")
    result = stored(data, key, _TOOL)
    columns = ("model", "metric", "value", "low", "high")
    table = need_columns(entry(result, "metrics", _TOOL), columns, f"{_TOOL}'s 'metrics'")
    main = main_model(result, _TOOL)
    rows = table[table["metric"] == metric].set_index("model")
    better = HIGHER_IS_BETTER[metric]
    chosen = rows.loc[pick_models(table, models, main)].sort_values("value", ascending=not better)
    ax = new_axes(ax, 5.0 if differences else 3.4, 0.8 + 0.3 * len(chosen))
    params = entry(result, "params", _TOOL)
    chance = params.get("prevalence") if metric == "auprc" else _CHANCE.get(metric)
    if chance is not None:
        ax.axvline(float(chance), color=GREY, linewidth=0.8, linestyle="--", zorder=1)
        ax.text(float(chance), -0.6, " chance", color=GREY, fontsize=SMALL - 1, va="center")
    for height, (name, row) in enumerate(chosen.iterrows()):
        _draw_model(ax, height, row, strong=name == main)
    ax.set_yticks(range(len(chosen)), labels=[display(name) for name in chosen.index])
    ax.set_ylim(len(chosen) - 0.5, -0.6)
    ax.margins(x=0.08)
    dress(ax, display(metric) + ("" if better else " (lower is better)"), "")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    if differences:
        _write_differences(
            ax, entry(result, "differences", _TOOL), list(chosen.index), metric, main
        )
    caution(ax, params, data)
    return ax


def _draw_model(ax: Axes, height: int, row: pd.Series[Any], *, strong: bool) -> None:
    color = VERMILLION if strong else DARK
    ax.plot(
        [row["low"], row["high"]], [height, height], color=color, linewidth=2 if strong else 1.2
    )
    ax.plot(row["value"], height, "o", color=color, markersize=6 if strong else 4.5, zorder=4)


def _write_differences(
    ax: Axes, table: pd.DataFrame, order: list[Any], metric: str, main: str
) -> None:
    need_columns(table, ("baseline", "metric", "value", "low", "high"), f"{_TOOL}'s 'differences'")
    rows = table[(table["metric"] == metric) & (table["model"] == main)].set_index("baseline")
    place: dict[str, Any] = {
        "transform": ax.get_yaxis_transform(),
        "fontsize": SMALL,
        "va": "center",
    }
    ax.text(1.04, -0.6, f"{display(main)} − model", color=VERMILLION, **place)
    for height, name in enumerate(order):
        if name in rows.index:
            value, low, high = rows.loc[name, ["value", "low", "high"]].astype(float)
            clear = np.sign(low) == np.sign(high) != 0
            ax.text(
                1.04,
                height,
                f"{value:+.3f} [{low:+.3f}, {high:+.3f}]".replace("-", "−"),
                color=DARK,
                fontweight="bold" if clear else "normal",
                **place,
            )
