"""Volcano: how selective a dependency is, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from matplotlib.transforms import offset_copy

from dtp_scvi._constants import ESSENTIALITY_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_range, near_matches, problem
from dtp_scvi.pl._label_points import label_points
from dtp_scvi.pl._source import need_columns
from dtp_scvi.pl._style import BLUE, DARK, GREY, ORANGE, SMALL, VERMILLION, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS: Final = ("difference", "p", "q", "is_common_essential")
_SOURCE: Final = "what dtp.tl.essentiality returned"


@docs.dedent
def essentiality(
    table: pd.DataFrame,
    *,
    genes: Sequence[str] | None = None,
    n_labels: int = 10,
    fdr: float = 0.1,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw each gene's selective effect against its significance.

    Parameters
    ----------
    table
        What ``dtp.tl.essentiality`` returned.
    genes
        Genes to label; by default the ``n_labels`` most significant of those that are selective
        and not common essential.
    n_labels
        Number of genes to label where ``genes`` is not given; fewer where there is no room.
    fdr
        False discovery rate up to which a gene is coloured.
    %(ax)s

    Returns
    -------
    The axes. Left is selective: red discs are genes that the disease needs more than other
    lineages do (``q <= fdr``), blue ones that it needs less; grey the rest. Common essential genes
    are open squares, orange where ``q <= fdr``: their differences tell of fitness in general. The
    title gives p of the set, where it was tested.

    Raises
    ------
    KeyError
        A column, or one of ``genes``, is missing.
    ValueError
        No gene has a difference (the table is of a summary), or a number is out of range.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> screen = dtp.datasets.simulate_dependencies(100, n_selective=5, n_common=10)
    >>> table = dtp.tl.essentiality(None, screen, n_boot=50)
    >>> dtp.pl.essentiality(table).get_ylabel()
    '−log₁₀ p'
    """
    check_range(fdr, "fdr", 0.0, 1.0)
    check_range(n_labels, "n_labels", 0)
    table = need_columns(table, _COLUMNS, _SOURCE)
    shown = table[table["difference"].notna() & table["p"].notna()]
    if shown.empty:
        msg = problem(
            "a gene with a difference to other lineages",
            "none: a summary of one disease has no other lineages",
            "Run dtp.tl.essentiality on lines x genes with `models`.",
        )
        raise ValueError(msg)
    labelled = _labelled(shown, genes, n_labels, fdr)
    ax = new_axes(ax, 4.2, 4.0)
    height = -np.log10(np.maximum(shown["p"].to_numpy(np.float64), 1e-300))
    found = (shown["q"] <= fdr).to_numpy()
    common = shown["is_common_essential"].to_numpy(bool)
    x = shown["difference"].to_numpy(np.float64)
    ax.axvline(0, color=GREY, linewidth=0.8, linestyle="--", zorder=1)
    handles: list[Artist] = []
    for mask, word, look in _groups(found, common, x):
        if mask.any():
            style = {"linestyle": "none", **look}
            handles += ax.plot(x[mask], height[mask], label=f"{word} ({mask.sum():,})", **style)
    ax.margins(x=0.08, y=0.1)
    ax.set_ylim(bottom=0)
    params = table.attrs.get(ESSENTIALITY_KEY, {}).get("params", {})
    disease = str(params.get("disease", "the disease"))
    dress(ax, f"Gene effect: {disease} − other lineages", "−log₁₀ p")
    _title(ax, table, params)
    _legend(ax, handles)
    at = shown.index.get_indexer(labelled)
    label_points(ax, x, height, at, list(labelled))
    return ax


def _labelled(
    shown: pd.DataFrame, genes: Sequence[str] | None, n_labels: int, fdr: float
) -> Sequence[str]:
    if genes is None:
        top = shown[
            (shown["difference"] < 0) & ~shown["is_common_essential"] & (shown["q"] <= fdr)
        ]
        return list(top.sort_values("p", kind="stable").index[:n_labels])
    genes = [genes] if isinstance(genes, str) else list(genes)
    for name in genes:
        if name not in shown.index:
            msg = problem(
                "`genes` to name genes of the table that were tested",
                repr(name),
                near_matches(name, shown.index),
            )
            raise KeyError(msg)
    return genes


def _groups(
    found: np.ndarray, common: np.ndarray, x: np.ndarray
) -> list[tuple[np.ndarray, str, dict[str, Any]]]:
    """Who is drawn how, in the order of drawing."""
    disc: dict[str, Any] = {"marker": "o", "markersize": 3.4, "markeredgewidth": 0}
    square: dict[str, Any] = {"marker": "s", "markersize": 3.6, "markerfacecolor": "none"}
    return [
        (~found & ~common, "not significant", disc | {"color": GREY, "alpha": 0.5, "zorder": 2}),
        (common & ~found, "common essential", square | {"color": GREY, "zorder": 2}),
        (common & found, "common essential, significant", square | {"color": ORANGE, "zorder": 3}),
        (found & ~common & (x > 0), "less needed", disc | {"color": BLUE, "zorder": 3}),
        (found & ~common & (x < 0), "selective", disc | {"color": VERMILLION, "zorder": 4}),
    ]


def _title(ax: Axes, table: pd.DataFrame, params: dict[str, Any]) -> None:
    test = table.attrs.get(ESSENTIALITY_KEY, {}).get("set", {})
    if test and np.isfinite(test["p"]):
        text = f"set of {test['n']}: p = {test['p']:.2g}, matched"
        ax.set_title(text, loc="left", fontsize=SMALL, color=DARK)
    if params.get("simulated", False):
        ax.set_title("simulated data", loc="right", fontsize=SMALL, style="italic", color=DARK)


def _legend(ax: Axes, handles: list[Artist]) -> None:
    """Name the groups below the axis label: among the points, a key looks like one of them."""
    below = offset_copy(ax.transAxes, cast("Figure", ax.figure), y=-30, units="points")
    place: dict[str, Any] = {"bbox_to_anchor": (0.5, 0.0), "bbox_transform": below, "ncols": 2}
    ax.legend(handles=handles, loc="upper center", fontsize=SMALL, frameon=False, **place)
