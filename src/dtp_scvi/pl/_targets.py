"""Evidence on the best targets, and how sure their ranks are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from dtp_scvi._constants import TARGETS_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_positive_int, problem
from dtp_scvi.pl._source import entry, need_columns, stored
from dtp_scvi.pl._style import DARK, GREY, SMALL, VERMILLION, caution, display, dress, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_TOOL: Final = "dtp.tl.rank_targets"
_PREFIX: Final = "quantile_"
# Width of the panel of ranks and of the gap before it, in columns of the heat map.
_PANEL, _GAP = 4.0, 0.35


@docs.dedent
def targets(
    data: Any,
    *,
    n_top: int = 20,
    key: str = TARGETS_KEY,
    cmap: str = "cividis",
    ax: Axes | None = None,
) -> Axes:
    """
    Draw the evidence on the best targets as a heat map, rank intervals at its side.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.rank_targets`` wrote to, or the table that it returned.
    n_top
        Number of targets to draw, best first.
    key
        The entry of ``uns`` to draw.
    cmap
        Colour map; the default is readable with any colour vision.
    %(ax)s

    Returns
    -------
    The axes: a gene a row, a component a column, coloured by the gene's quantile among all
    candidates. A hatched white cell is evidence that is missing, not low. To the right, the rank
    (disc) with its 95 % interval over resamples of donors, where there are any, and the rank by
    robust rank aggregation (open diamond). The colour bar takes some of the room of the axes.

    Raises
    ------
    KeyError, TypeError
        Nothing is stored under ``key``, or it is no table of targets.
    ValueError
        Nothing is ranked.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> bulk = dtp.datasets.simulate_cohort(60, n_genes=300, n_drugs=4)
    >>> options = {"surface_tier": None, "n_boot": 50, "n_shuffles": 20}
    >>> table = dtp.tl.rank_targets(bulk, score_key="true_persister_fraction", **options)
    >>> ax = dtp.pl.targets(table, n_top=10)
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['Association', 'Abundance']
    """
    check_positive_int(n_top, "n_top")
    is_table = isinstance(data, pd.DataFrame)
    result: Any = data.attrs.get(TARGETS_KEY, {}) if is_table else stored(data, key, _TOOL)
    table = data if is_table else entry(result, "table", _TOOL)
    table = need_columns(table, ("rank", "rra_rank"), f"what {_TOOL} returned")
    columns = [name for name in table if str(name).startswith(_PREFIX)]
    ranked = table[table["rank"].notna()].sort_values("rank", kind="stable")
    if ranked.empty or not columns:
        msg = problem("a ranked gene with evidence", "none", f"Run {_TOOL} again.")
        raise ValueError(msg)
    shown = ranked.head(n_top)
    ax = new_axes(ax, 2.6 + 0.3 * (len(columns) + _PANEL), 1.5 + 0.19 * len(shown))
    image = _heat_map(ax, shown[columns], cmap)
    _rank_panel(ax, shown, len(columns))
    ax.set_xticks(range(len(columns)), [display(str(c).removeprefix(_PREFIX)) for c in columns])
    ax.set_yticks(range(len(shown)), [str(name) for name in shown.index])
    dress(ax, f"Evidence; {len(shown):,} of {len(ranked):,} candidates", "")
    ax.tick_params(axis="x", labelrotation=90)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    _draw_bar(ax, image)
    caution(ax, result.get("params", {}), data)
    return ax


def _heat_map(ax: Axes, quantiles: pd.DataFrame, cmap: str) -> AxesImage:
    values = quantiles.to_numpy(dtype=np.float64)
    image = ax.imshow(
        np.ma.masked_invalid(values), aspect="auto", cmap=cmap, vmin=0, vmax=1, zorder=2
    )
    for row, column in np.argwhere(np.isnan(values)):
        ax.add_patch(
            Rectangle(
                (column - 0.5, row - 0.5),
                1,
                1,
                facecolor="white",
                edgecolor=GREY,
                hatch="////",
                linewidth=0,
                zorder=3,
            )
        )
    ax.set_xlim(-0.5, values.shape[1] - 0.5 + _GAP + _PANEL)
    return image


def _rank_panel(ax: Axes, shown: pd.DataFrame, n_columns: int) -> None:
    """Draw ranks in the room to the right of the heat map."""
    width = n_columns + _GAP + _PANEL
    panel = ax.inset_axes(((n_columns + _GAP) / width, 0.0, _PANEL / width, 1.0), sharey=ax)
    heights = np.arange(len(shown))
    has_interval = {"rank_low", "rank_high"} <= set(shown.columns)
    if has_interval:
        panel.hlines(
            heights, shown["rank_low"], shown["rank_high"], color=DARK, linewidth=1.2, zorder=2
        )
    panel.plot(shown["rra_rank"], heights, "D", color=GREY, markerfacecolor="white", markersize=4)
    panel.plot(shown["rank"], heights, "o", color=VERMILLION, markersize=3.5, zorder=4)
    panel.set_xscale("log")
    largest = shown[[c for c in ("rank", "rra_rank", "rank_high") if c in shown]].max(axis=None)
    panel.set_xlim(0.8, max(float(largest), 10.0) * 1.25)
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.xaxis.set_minor_locator(NullLocator())
    first = "● rank, 95 %" if has_interval else "● rank"
    dress(panel, f"{first}\n◇ robust aggregation", "")
    panel.tick_params(axis="y", left=False, labelleft=False)
    panel.spines["left"].set_visible(False)
    panel.grid(axis="x", color=GREY, linewidth=0.4, alpha=0.5)


def _draw_bar(ax: Axes, image: AxesImage) -> None:
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, aspect=18)
    bar.set_label("Quantile among candidates (hatched: no evidence)", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL - 1)
    bar.outline.set_visible(False)  # type: ignore[operator]
