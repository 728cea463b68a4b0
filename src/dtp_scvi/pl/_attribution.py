"""What each gene contributes to a model's prediction, by gene and by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dtp_scvi._constants import ATTRIBUTION_SUFFIX, KEY_ADDED
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_positive_int
from dtp_scvi.pl._source import entry, need_columns, stored
from dtp_scvi.pl._style import BLUE, DARK, GREY, SMALL, VERMILLION, caution, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

TOOL: Final = "dtp.tl.attribute"
ATTRIBUTION_KEY: Final = f"{KEY_ADDED}{ATTRIBUTION_SUFFIX}"
_COLUMNS: Final = ("mean_abs", "residual_abs", "direction", "rank")
_BAR: Final = 0.72
# As many donors can be told apart as points; of more, their middle 80 % is drawn.
_MOST_POINTS: Final = 20
# Correlation of a gene's value with its contribution from which the gene has a direction.
_ONE_WAY: Final = 0.5


@docs.dedent
def attribution(
    data: Any, *, n_genes: int = 20, key: str = ATTRIBUTION_KEY, ax: Axes | None = None
) -> Axes:
    """
    Draw the genes that contribute most to a prediction, with the spread over donors.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.attribute`` wrote to, or ``Attribution.to_dict()``.
    n_genes
        Genes to draw, at most 30.
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes, largest mean absolute contribution at the top. Red bars: more of the gene raises the
    prediction, blue: lowers it, grey: either, depending on other genes (``direction`` within
    ±0.5). The dark bar inside is the residual's absolute part. Points are
    donors; of more than 20, a line spans their middle 80 %. The title says which share of the
    prediction's variance the linear part carries.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> samples = dtp.datasets.simulate_cohort(60)
    >>> model = dtp.model.ResponseModel().fit(samples, "true_persister_fraction")
    >>> found = model.attribute(samples)
    >>> ax = dtp.pl.attribution(found.to_dict(), n_genes=5)
    >>> len(ax.get_yticklabels())
    5
    """
    check_positive_int(n_genes, "n_genes")
    result = stored(data, key, TOOL)
    table = need_columns(entry(result, "table", TOOL), _COLUMNS, f"{TOOL}'s 'table'")
    donors = entry(result, "donors", TOOL)
    genes = [str(gene) for gene in donors["genes"][:n_genes]]
    rows = table.loc[genes]
    ax = new_axes(ax, 3.8, 1.1 + 0.19 * len(rows))
    height = np.arange(len(rows))
    way = rows["direction"].to_numpy()
    colors = np.select([way >= _ONE_WAY, way <= -_ONE_WAY], [VERMILLION, BLUE], GREY)
    ax.barh(height, rows["mean_abs"], _BAR, color=colors, alpha=0.75, zorder=2)
    residual = bool((rows["residual_abs"] > 0).any())
    if residual:
        ax.barh(height, rows["residual_abs"], 0.22, color=DARK, zorder=3)
    spread = _draw_donors(ax, height, np.asarray(donors["mean_abs"])[:, : len(rows)])
    ax.set_yticks(height, labels=genes)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(left=0)
    params = entry(result, "params", TOOL)
    dress(ax, axis_label("Mean |contribution|", params), "")
    ax.tick_params(axis="y", length=0)
    _legend(ax, colors, spread, residual=residual)
    _note_shares(ax, result)
    caution(ax, params, data)
    return ax


def _draw_donors(ax: Axes, height: np.ndarray, by_donor: np.ndarray) -> str | None:
    """Draw donors as points, or the range of most of them; say which."""
    n_donors = len(by_donor)
    if n_donors < 2:
        return None
    if n_donors > _MOST_POINTS:
        low, high = np.quantile(by_donor, (0.1, 0.9), axis=0)
        ax.hlines(height, low, high, color="black", linewidth=1.0, zorder=4)
        return f"80 % of {n_donors:,} donors"
    offset = np.linspace(-0.25, 0.25, n_donors)
    for place, values in zip(height, by_donor.T, strict=True):
        ax.scatter(
            values,
            place + offset,
            s=9,
            facecolor="white",
            edgecolor="black",
            linewidths=0.6,
            zorder=4,
        )
    return f"donor (n = {n_donors})"


def _legend(ax: Axes, colors: np.ndarray, spread: str | None, *, residual: bool) -> None:
    words = {VERMILLION: "more raises", BLUE: "more lowers", GREY: "either way"}
    handles: list[Any] = [
        Patch(color=color, alpha=0.75, label=word)
        for color, word in words.items()
        if color in colors
    ]
    if residual:
        handles.append(Patch(color=DARK, label="residual part"))
    if spread is not None:
        marker = {"marker": "o", "markerfacecolor": "white", "markersize": 3, "linewidth": 0}
        style: dict[str, Any] = marker if spread.startswith("donor") else {"linewidth": 1.0}
        handles.append(Line2D([], [], color="black", label=spread, **style))
    ax.legend(
        handles=handles,
        fontsize=SMALL - 1,
        loc="lower right",
        framealpha=0.9,
        edgecolor="none",
        borderpad=0.2,
    ).set_zorder(5)


def _note_shares(ax: Axes, result: Mapping[str, Any]) -> None:
    shares = entry(result, "shares", TOOL)["variance"]
    linear = float(shares["linear"])
    if np.isfinite(linear):
        ax.set_title(
            f"linear part: {linear:.0%} of the variance", loc="left", fontsize=SMALL, color=DARK
        )


def axis_label(what: str, params: Mapping[str, Any]) -> str:
    """Name the axis with units where these are short enough."""
    units = str(params.get("units", ""))
    units = "log-odds" if units.startswith("log-odds") else units.split(",")[0]
    return f"{what} ({units})" if 0 < len(units) <= 40 else what


@docs.dedent
def attribution_beeswarm(
    data: Any,
    *,
    n_genes: int = 15,
    cmap: str = "cividis",
    key: str = ATTRIBUTION_KEY,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw each row's contributions of the first genes, coloured by expression.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.attribute`` wrote to, or ``Attribution.to_dict()``.
    n_genes
        Genes to draw, at most 30.
    cmap
        Colour map; the default is readable with any colour vision.
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes: a point is a cell or sample of a sample of at most 500, its place the contribution of
    the gene to its prediction against the baseline, its colour the gene's expression from the
    2nd to the 98th percentile of the rows drawn. The colour bar takes some of the room of the
    axes.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> samples = dtp.datasets.simulate_cohort(60)
    >>> model = dtp.model.ResponseModel().fit(samples, "true_persister_fraction")
    >>> found = model.attribute(samples)
    >>> ax = dtp.pl.attribution_beeswarm(found.to_dict(), n_genes=5)
    >>> len(ax.collections)
    5
    """
    check_positive_int(n_genes, "n_genes")
    result = stored(data, key, TOOL)
    cells = entry(result, "cells", TOOL)
    genes = [str(gene) for gene in cells["genes"][:n_genes]]
    values, expression = np.asarray(cells["attribution"]), np.asarray(cells["expression"])
    ax = new_axes(ax, 4.2, 1.1 + 0.24 * len(genes))
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    span = float(np.ptp(values[:, : len(genes)])) or 1.0
    for place in range(len(genes)):
        x, color = values[:, place], _scaled(expression[:, place])
        points = ax.scatter(
            x,
            place + _swarm(x, span),
            c=color,
            cmap=cmap,
            vmin=0,
            vmax=1,
            s=5,
            linewidths=0,
            zorder=2,
            rasterized=True,
        )
    ax.set_yticks(range(len(genes)), labels=genes)
    ax.set_ylim(len(genes) - 0.4, -0.6)
    params = entry(result, "params", TOOL)
    dress(ax, axis_label("Contribution", params), "")
    ax.tick_params(axis="y", length=0)
    bar = ax.figure.colorbar(points, ax=ax, pad=0.02, aspect=40, ticks=[0, 1])
    bar.ax.set_yticklabels(["low", "high"], fontsize=SMALL - 1)
    bar.set_label("Expression", fontsize=SMALL, labelpad=-8)
    bar.outline.set_visible(False)  # type: ignore[operator]
    caution(ax, params, data)
    return ax


def _scaled(expression: np.ndarray) -> np.ndarray:
    """Bring most of the values to 0 to 1; a few extreme ones would take all colours."""
    low, high = np.quantile(expression, (0.02, 0.98))
    if high <= low:
        low, high = float(expression.min()), float(expression.max())
    if high <= low:
        return np.full(len(expression), 0.5)
    return np.clip((expression - low) / (high - low), 0, 1)


def _swarm(x: np.ndarray, span: float) -> np.ndarray:
    """Place points that would overlap beside each other, the more the denser they lie."""
    bins = np.floor((x - x.min()) / span * 80).astype(int)
    counts = np.bincount(bins)
    order = np.argsort(bins, kind="stable")
    rank = np.empty(len(x))
    rank[order] = np.arange(len(x)) - np.repeat(np.cumsum(counts) - counts, counts)
    # 0, 1, -1, 2, -2 ... steps from the middle of the row.
    steps = np.where(rank % 2 == 1, (rank + 1) // 2, -(rank // 2))
    widest = max(1.0, counts.max() / 2)
    return steps * min(0.08, 0.4 / widest)
