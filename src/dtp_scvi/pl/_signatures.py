"""Forest plot: the correlation of a score with each signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import offset_copy

from dtp_scvi._constants import SIGNATURE_COMPARISON_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_positive_int, check_range, problem
from dtp_scvi.pl._drug import number, small
from dtp_scvi.pl._source import entry, need_columns, stored
from dtp_scvi.pl._style import BLUE, DARK, GREY, ORANGE, SMALL, caution, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TOOL: Final = "dtp.tl.compare_signatures"
_COLUMNS: Final = ("source", "n_donors", "rho", "low", "high", "q")
# Of interval, donors and q from the right end of the axes, in points.
_PLACES: Final = ((6, "left"), (134, "right"), (142, "left"))
_APART: Final = 0.16


@docs.dedent
def signatures(
    data: Any,
    *,
    max_signatures: int = 30,
    fdr: float = 0.1,
    key: str = SIGNATURE_COMPARISON_KEY,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw each signature's rank correlation with the score, with its interval.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.compare_signatures`` wrote to, its stored result, or the table it
        returned.
    max_signatures
        Of more signatures, those furthest from 0 are drawn, and the axis says how many there are.
    fdr
        False discovery rate up to which a point is filled.
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes, highest correlation at the top; below each, as a diamond, what is left given the
    other signatures, where that was computed. Filled: ``q <= fdr``.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``.
    ValueError
        No signature has a correlation.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> bulk = dtp.datasets.simulate_cohort(60, cells=dtp.datasets.simulate_cells(300, 100))
    >>> sets = {"half": list(bulk.var_names[:50]), "rest": list(bulk.var_names[50:])}
    >>> _ = dtp.tl.signatures(bulk, sets)
    >>> _ = dtp.tl.compare_signatures(bulk, score_key="true_persister_fraction", n_boot=50)
    >>> len(dtp.pl.signatures(bulk).get_yticklabels())
    2
    """
    check_positive_int(max_signatures, "max_signatures")
    check_range(fdr, "fdr", 0.0, 1.0)
    params: Mapping[str, Any] = {}
    table = data
    if not isinstance(data, pd.DataFrame):
        result = stored(data, key, _TOOL)
        table, params = entry(result, "table", _TOOL), entry(result, "params", _TOOL)
    rows = need_columns(table, _COLUMNS, f"what {_TOOL} returned")
    rows = rows[rows["rho"].notna()]
    if rows.empty:
        msg = problem("a signature with a correlation", "none", "Look at its coverage.")
        raise ValueError(msg)
    n_all = len(rows)
    kept = rows["rho"].abs().sort_values(ascending=False, kind="stable").index[:max_signatures]
    rows = rows.loc[kept].sort_values("rho", ascending=False, kind="stable")
    partial = "partial_rho" in rows and bool(rows["partial_rho"].notna().any())
    ax = new_axes(ax, 6.2, 1.1 + 0.26 * (len(rows) + 1))
    ax.axvline(0, color=GREY, linewidth=0.8, linestyle="--", zorder=1)
    for height, (_, row) in enumerate(rows.iterrows()):
        _draw(ax, height, row, fdr, partial=partial)
    _write(ax, -0.9, ("ρ [95 %]", "donors", "q"), GREY)
    ax.set_yticks(range(len(rows)), labels=rows["source"].astype(str).str.replace("_", " "))
    ax.set_ylim(len(rows) - 0.4, -1.2)
    ax.margins(x=0.06)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    shown = f"; {len(rows)} of {n_all}" if len(rows) < n_all else ""
    score = f" with {params['score_key']}" if "score_key" in params else " with the score"
    dress(ax, f"Rank correlation{score} (95 %{shown})", "")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    if partial:
        _legend(ax)
    caution(ax, params, data)
    return ax


def _draw(ax: Axes, height: int, row: pd.Series[Any], fdr: float, *, partial: bool) -> None:
    _point(ax, height - _APART * partial, row, "", "o", BLUE, fdr)
    if partial and pd.notna(row["partial_rho"]):
        _point(ax, height + _APART, row, "partial_", "D", ORANGE, fdr)
    ends = f"{number(row['rho'])} [{number(row['low'])}, {number(row['high'])}]"
    q = small("q", float(row["q"])).removeprefix("q ").lstrip("= ")
    _write(ax, height, (ends, f"{int(row['n_donors'])}", q), DARK)


def _point(
    ax: Axes, height: float, row: pd.Series[Any], prefix: str, marker: str, color: str, fdr: float
) -> None:
    ends = [row[f"{prefix}low"], row[f"{prefix}high"]]
    ax.plot(ends, [height, height], color=color, linewidth=1.4, zorder=3)
    face = color if row[f"{prefix}q"] <= fdr else "white"
    look: dict[str, Any] = {
        "color": color,
        "markerfacecolor": face,
        "markersize": 5 if marker == "o" else 4,
    }
    ax.plot(row[f"{prefix}rho"], height, marker, zorder=4, **look)


def _legend(ax: Axes) -> None:
    kinds = (("o", BLUE, "alone"), ("D", ORANGE, "given the other signatures"))
    handles = [
        Line2D([], [], marker=marker, color=color, markersize=5, label=label)
        for marker, color, label in kinds
    ]
    place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "ncols": 2}
    # Below the axis label, which is as high in every figure.
    place["bbox_transform"] = offset_copy(
        ax.transAxes, cast("Figure", ax.figure), y=-30, units="points"
    )
    ax.legend(handles=handles, fontsize=SMALL, frameon=False, **place)


def _write(ax: Axes, height: float, words: tuple[str, str, str], color: str) -> None:
    """Write interval, donors and q in columns at the right of the axes."""
    for (at, side), word in zip(_PLACES, words, strict=True):
        ax.annotate(
            word,
            (1.0, height),
            (at, 0),
            xycoords=ax.get_yaxis_transform(),
            textcoords="offset points",
            fontsize=SMALL,
            color=color,
            va="center",
            ha=side,
            annotation_clip=False,
        )
