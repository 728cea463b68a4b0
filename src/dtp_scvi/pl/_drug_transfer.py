"""Transfer from bulk to cells: each method with its interval, beside chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi._constants import PREVALENCE, TRANSFER_COMPARISON_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_one_of
from dtp_scvi.pl._source import entry, need_columns, pick_models, stored
from dtp_scvi.pl._style import (
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
    from collections.abc import Sequence

    from matplotlib.axes import Axes

_TOOL: Final = "dtp.tl.compare_transfer"
_METRICS: Final = ("auroc", "auprc", "macro_f1", "mcc")
_COLUMNS: Final = ("model", "metric", "value", "low", "high")


@docs.dedent
def drug_transfer(
    data: Any,
    *,
    metric: str = "auroc",
    models: Sequence[str] | None = None,
    key: str = TRANSFER_COMPARISON_KEY,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw one metric of every method on the cells, with intervals and what a constant gets.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.compare_transfer`` wrote to, or its stored result.
    metric
        One of auroc, auprc, macro_f1, mcc.
    %(models)s
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes, best method at the top: models that were passed in red, comparators in black; filled
    where the cells, unlabelled, had a part in the method (transductive). The dashed line is what
    a constant score gets: for auprc the share of positive cells.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or a model is not in it.
    ValueError
        Unknown metric.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> lines, cells = dtp.datasets.simulate_drug_transfer(100, 80, n_genes=60)
    >>> _ = dtp.tl.compare_transfer(lines, cells, drug="simulated drug", n_boot=50)
    >>> ax = dtp.pl.drug_transfer(cells)
    >>> len(ax.get_yticklabels())
    6
    """
    check_one_of(metric, _METRICS, "metric")
    result = stored(data, key, _TOOL)
    table = need_columns(entry(result, "metrics", _TOOL), _COLUMNS, f"{_TOOL}'s 'metrics'")
    params = entry(result, "params", _TOOL)
    rows = table[table["metric"] == metric].set_index("model")
    constant = float(rows.loc[PREVALENCE, "value"])
    chosen = [n for n in pick_models(table, models, "") if n != PREVALENCE]
    drawn = rows.loc[chosen].dropna(subset=["value"])
    drawn = drawn.sort_values("value", ascending=False, kind="stable")
    ax = new_axes(ax, 4.6, 1.0 + 0.27 * len(drawn))
    ax.axvline(constant, color=GREY, linewidth=0.9, linestyle="--", zorder=1)
    word = f"prevalence {constant:.2f}" if metric == "auprc" else "constant"
    ax.text(constant, -0.75, f" {word}", color=GREY, fontsize=SMALL - 1, va="center")
    given, moved = (set(map(str, params[name])) for name in ("models", "transductive"))
    for height, (name, row) in enumerate(drawn.iterrows()):
        color = VERMILLION if name in given else DARK
        face = color if name in moved else "white"
        ax.plot([row["low"], row["high"]], [height, height], color=color, linewidth=1.4, zorder=2)
        ax.plot(
            row["value"], height, "o", color=color, markerfacecolor=face, markersize=5, zorder=3
        )
    ax.set_yticks(range(len(drawn)), labels=[display(name) for name in drawn.index])
    ax.set_ylim(len(drawn) - 0.4, -1.1)
    ax.margins(x=0.08)
    _name(ax, metric, params)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    caution(ax, params, data)
    return ax


def _name(ax: Axes, metric: str, params: Any) -> None:
    n_positive = int(np.round(float(params["prevalence"]) * int(params["n_cells"])))
    about = f"{n_positive} of {int(params['n_cells'])} cells {params['positive']}"
    dress(ax, f"{display(metric)}, 95 %\n{about}; filled: adapted", "")
