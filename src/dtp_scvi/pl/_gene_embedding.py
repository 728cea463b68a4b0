"""Maps of a gene embedding, one panel a seed, with the edges of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection

from dtp_scvi._constants import GENE_MAP_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_range, near_matches, problem
from dtp_scvi.pl._label_points import label_points
from dtp_scvi.pl._source import need_columns
from dtp_scvi.pl._style import BLUE, DARK, GREY, SMALL, VERMILLION, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_COLUMNS: Final = ("seed", "gene", "x", "y")
_SOURCE: Final = "what dtp.tl.gene_map returned"
# From one panel to the next; a map is 1 wide and high.
_STEP: Final = 1.12
# Beyond this many edges, lines are so faint that more of them hide no point.
_MANY_EDGES: Final = 100


@docs.dedent
def gene_embedding(
    table: pd.DataFrame,
    *,
    genes: Sequence[str] | None = None,
    n_labels: int = 6,
    seeds: Sequence[int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw maps of a gene embedding side by side, one a seed, with the edges of a network.

    Parameters
    ----------
    table
        What ``dtp.tl.gene_map`` returned.
    genes
        Genes to label; by default the ``n_labels`` with most edges, and none without a network.
    n_labels
        Number of genes to label where ``genes`` is not given.
    seeds
        Seeds to draw; by default all.
    %(ax)s

    Returns
    -------
    The axes, with one map beside the other, each scaled to the same height. The same genes are red
    and labelled, where there is room, in all of them. The title says what share of nearest
    neighbours two maps have in common, and two maps of random vectors: where these are alike,
    neighbourhoods are not to be read. Axes of such maps have no units.

    Raises
    ------
    KeyError
        A column, a seed or one of ``genes`` is missing.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> noise = np.random.default_rng(0).normal(size=(30, 5))
    >>> vectors = pd.DataFrame(noise, [f"GENE{i}" for i in range(30)])
    >>> table = dtp.tl.gene_map(vectors, perplexity=5, seeds=(0, 1))
    >>> dtp.pl.gene_embedding(table, genes=["GENE0"]).get_xlabel()
    't-SNE, seeds 0 and 1'
    """
    table = need_columns(table, _COLUMNS, _SOURCE)
    check_range(n_labels, "n_labels", 0)
    record = table.attrs.get(GENE_MAP_KEY, {})
    chosen = _seeds(table, seeds)
    edges = record.get("edges", pd.DataFrame(columns=["first", "second"]))
    labelled = _labelled(table, genes, edges, n_labels)
    ax = new_axes(ax, 0.5 + 2.6 * len(chosen), 3.1)
    ax.set_xlim(-0.03, _STEP * (len(chosen) - 1) + 1.03)
    ax.set_ylim(-0.03, 1.03)
    names = ", ".join(map(str, chosen[:-1])) + " and " if len(chosen) > 1 else ""
    word = "seeds" if len(chosen) > 1 else "seed"
    dress(ax, f"t-SNE, {word} {names}{chosen[-1]}", "")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set_title(_sentence(record, edges), loc="left", fontsize=SMALL, color=DARK)
    panels = [_panel(table, seed, place) for place, seed in enumerate(chosen)]
    for panel in panels:
        _draw(ax, panel, edges, labelled)
    for place in range(1, len(chosen)):
        ax.axvline(_STEP * place - (_STEP - 1) / 2, color=GREY, linewidth=0.5)
    every = pd.concat(panels)
    for panel in panels:
        at = np.flatnonzero(every["seed"].eq(panel["seed"].iloc[0]) & every.index.isin(labelled))
        x, y = (every[name].to_numpy(dtype=np.float64) for name in ("x", "y"))
        label_points(ax, x, y, at, every.index[at].tolist())
    return ax


def _seeds(table: pd.DataFrame, seeds: Sequence[int] | None) -> list[int]:
    available = list(dict.fromkeys(table["seed"].tolist()))
    chosen = available if seeds is None else list(seeds)
    for seed in chosen:
        if seed not in available:
            msg = problem("`seeds` of the table", repr(seed), near_matches(str(seed), available))
            raise KeyError(msg)
    if not chosen:
        msg = problem("a seed to draw", "none", "Name one of the table's.")
        raise ValueError(msg)
    return chosen


def _labelled(
    table: pd.DataFrame, genes: Sequence[str] | None, edges: pd.DataFrame, n_labels: int
) -> list[str]:
    if genes is None:
        ends = pd.concat([edges["first"], edges["second"]])
        return [str(gene) for gene in ends.value_counts(sort=True).index[:n_labels]]
    chosen = [genes] if isinstance(genes, str) else list(genes)
    for name in chosen:
        if name not in set(table["gene"]):
            hint = near_matches(name, table["gene"].unique())
            msg = problem("`genes` of the map", repr(name), hint)
            raise KeyError(msg)
    return chosen


def _panel(table: pd.DataFrame, seed: int, place: int) -> pd.DataFrame:
    """Coordinates of one map in a square of side 1, at its place."""
    rows = table[table["seed"] == seed].set_index("gene")
    spot = rows[["x", "y"]].to_numpy(dtype=np.float64)
    low, size = spot.min(axis=0), np.ptp(spot, axis=0).max() or 1.0
    # A map is about as wide as high; what is left of the square is shared out.
    spot = (spot - low) / size
    spot += (1 - spot.max(axis=0)) / 2
    return pd.DataFrame(
        {"seed": seed, "x": spot[:, 0] + _STEP * place, "y": spot[:, 1]}, index=rows.index
    )


def _draw(ax: Axes, panel: pd.DataFrame, edges: pd.DataFrame, labelled: list[str]) -> None:
    spot = panel[["x", "y"]].to_numpy(dtype=np.float64)
    first, second = (panel.index.get_indexer(edges[name]) for name in ("first", "second"))
    lines = np.stack([spot[first], spot[second]], axis=1)
    faint = float(np.clip(0.5 * _MANY_EDGES / max(len(edges), 1), 0.08, 0.5))
    if len(lines):
        drawn = LineCollection(list(lines), colors=DARK, linewidths=0.6, alpha=faint, zorder=1)
        ax.add_collection(drawn, autolim=False)
    red = panel.index.isin(labelled)
    _points(ax, spot[~red], BLUE, 2)
    _points(ax, spot[red], VERMILLION, 3)


def _points(ax: Axes, spot: NDArray[np.float64], color: str, zorder: int) -> None:
    ax.scatter(spot[:, 0], spot[:, 1], s=9, color=color, linewidths=0, zorder=zorder)


def _sentence(record: dict[str, Any], edges: pd.DataFrame) -> str:
    if "agreement" not in record:
        return ""
    table, k = record["agreement"], record["params"]["k"]
    between = table[table["second"].ne("embedding")]
    if between.empty:
        between, what = table, "with the embedding"
    else:
        what = "between seeds"
    text = (
        f"{k} nearest neighbours shared {what}: {between['shared'].mean():.0%}, "
        f"in noise {between['noise'].mean():.0%}"
    )
    return f"{text}; {len(edges):,} edges" if len(edges) else text
