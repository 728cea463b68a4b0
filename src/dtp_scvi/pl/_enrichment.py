"""Dot plot: the score of gene sets, how much of them was found, and what chance would give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from dtp_scvi._constants import ENRICHMENT_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_positive_int, check_range, near_matches, problem, shorten
from dtp_scvi.pl._source import entry, need_columns, stored
from dtp_scvi.pl._style import BLUE, DARK, GREY, SKY, SMALL, caution, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

TOOL: Final = "dtp.tl.enrichment"
_COLUMNS: Final = ("contrast", "source", "score", "n_in_set", "n_found", "share_found", "tested")
# The strictest test that was made, and what the axis calls it.
_TESTS: Final = {
    "q_donors": "donors permuted",
    "q_permutation": "gene labels permuted",
    "q": "genes independent",
}
# Area in points squared of a set none and all of whose genes were found.
_SMALLEST, _LARGEST = 12.0, 110.0
_LONGEST: Final = 38


@docs.dedent
def enrichment(
    data: Any,
    *,
    contrast: str | None = None,
    sets: Sequence[str] | None = None,
    max_sets: int = 20,
    test: str | None = None,
    fdr: float = 0.1,
    key: str = ENRICHMENT_KEY,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw the score of each gene set, with the share found and its false discovery rate.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.enrichment`` wrote to, its stored result, or the table it returned.
    contrast
        Which statistic to draw; needed where the result holds several.
    sets
        Sets to draw; default all that were tested.
    max_sets
        Of more sets, those of lowest false discovery rate are drawn, then of largest score.
    test
        ``"q_donors"``, ``"q_permutation"`` or ``"q"``; by default the first that the result has.
    fdr
        False discovery rate up to which a point is filled; darker up to a tenth of it.
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes, highest score at the top. Area: share of the set's genes that was found, counts
    beside the names. Hollow: above ``fdr``.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or a contrast, set or test isn't in it.
    ValueError
        Several contrasts and none named, or none of ``sets`` was tested.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> attribution = pd.Series(np.linspace(-1, 1, 100), [f"GENE{i}" for i in range(100)])
    >>> sets = {"high": [f"GENE{i}" for i in range(80, 100)], "any": list(attribution.index[::9])}
    >>> table = dtp.tl.enrichment(attribution, sets, n_permutations=99)
    >>> [text.get_text() for text in dtp.pl.enrichment(table).get_yticklabels()]
    ['high (20/20)', 'any (12/12)']
    """
    check_positive_int(max_sets, "max_sets")
    check_range(fdr, "fdr", 0.0, 1.0)
    if isinstance(data, pd.DataFrame):
        table, params = data, data.attrs.get("params", {})
    else:
        result = stored(data, key, TOOL)
        table, params = entry(result, "table", TOOL), entry(result, "params", TOOL)
    table = need_columns(table, _COLUMNS, f"what {TOOL} returned of a statistic or a score")
    rows = _contrast(table, contrast)
    test = _test(rows, test)
    rows, n_all = _chosen(rows, sets, max_sets, test)
    ax = new_axes(ax, 6.2, 1.1 + 0.24 * max(len(rows), 6))
    ax.axvline(0, color=GREY, linewidth=0.8, linestyle="--", zorder=1)
    q = rows[test].to_numpy(dtype=np.float64)
    faces = np.select([q <= fdr / 10, q <= fdr], [BLUE, SKY], default="white")
    edges = np.where(q <= fdr, BLUE, GREY).tolist()
    height = np.arange(len(rows))
    share = rows["share_found"].to_numpy(dtype=np.float64)
    ax.scatter(rows["score"], height, s=_area(share), c=faces, edgecolors=edges, zorder=3)
    ax.set_yticks(height, labels=_labels(rows))
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.margins(x=0.08)
    ax.grid(axis="y", color="#EEEEEE", linewidth=0.7, zorder=0)
    ax.set_axisbelow(True)
    shown = f"; {len(rows)} of {n_all} sets" if len(rows) < n_all else ""
    method = f" by {params['method']}" if "method" in params else ""
    dress(ax, f"Enrichment of {rows['contrast'].iloc[0]}{method} (score{shown})", "")
    ax.tick_params(axis="y", length=0)
    _legend(ax, fdr, test)
    caution(ax, params, data)
    return ax


def _contrast(table: pd.DataFrame, contrast: str | None) -> pd.DataFrame:
    available = list(dict.fromkeys(table["contrast"].astype(str)))
    if contrast is None and len(available) > 1:
        msg = problem(
            "`contrast` to name what to draw",
            f"None, with {shorten(available)}",
            f"Pass contrast={available[0]!r}, for example.",
        )
        raise ValueError(msg)
    name = available[0] if contrast is None else str(contrast)
    if name not in available:
        todo = near_matches(name, available)
        msg = problem("`contrast` to be one of the result", repr(name), todo)
        raise KeyError(msg)
    return table[table["contrast"].astype(str) == name]


def _test(rows: pd.DataFrame, test: str | None) -> str:
    usable = [name for name in _TESTS if name in rows and rows[name].notna().any()]
    if test is not None and test not in usable:
        msg = problem(f"`test` to be one of {shorten(usable)}", repr(test), "Pick one of these.")
        raise KeyError(msg)
    if not usable:
        todo = "Run dtp.tl.enrichment with `n_permutations` above 0."
        msg = problem("a p-value of the sets", "none", todo)
        raise ValueError(msg)
    return usable[0] if test is None else test


def _chosen(
    rows: pd.DataFrame, sets: Sequence[str] | None, max_sets: int, test: str
) -> tuple[pd.DataFrame, int]:
    """The rows to draw, by falling score, and how many could have been."""
    rows = rows[rows["tested"].astype(bool) & rows["score"].notna()]
    if sets is not None:
        for name in sets:
            if name not in set(rows["source"]):
                todo = near_matches(str(name), rows["source"])
                msg = problem("`sets` to name sets that were tested", repr(name), todo)
                raise KeyError(msg)
        rows = rows[rows["source"].isin(list(sets))]
    if rows.empty:
        msg = problem("a set that was tested", "none", "Look at the 'reason' column.")
        raise ValueError(msg)
    size = rows["score"].abs()
    order = rows.assign(_size=-size).sort_values([test, "_size"], kind="stable").index[:max_sets]
    return rows.loc[order].sort_values("score", ascending=False, kind="stable"), len(rows)


def _area(share: Any) -> Any:
    return _SMALLEST + (_LARGEST - _SMALLEST) * np.asarray(share, dtype=np.float64)


def _labels(rows: pd.DataFrame) -> list[str]:
    """Names without a first word that all of them have, and how many genes were found."""
    names = rows["source"].astype(str).tolist()
    first = {name[: name.find("_") + 1] for name in names}
    cut = len(first.pop()) if len(names) > 1 and len(first) == 1 else 0
    labels = []
    for name, found, size in zip(names, rows["n_found"], rows["n_in_set"], strict=True):
        words = name[cut:].replace("_", " ")
        words = words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"
        labels.append(f"{words} ({int(found)}/{int(size)})")
    return labels


def _legend(ax: Axes, fdr: float, test: str) -> None:
    def dot(face: str, edge: str, area: float, label: str) -> Line2D:
        size = float(np.sqrt(area))
        look: dict[str, Any] = {
            "markerfacecolor": face,
            "markeredgecolor": edge,
            "markersize": size,
        }
        return Line2D([], [], marker="o", linestyle="none", label=label, **look)

    middle = float(_area(0.5))
    handles = [
        dot(BLUE, BLUE, middle, f"q ≤ {fdr / 10:g}"),
        dot(SKY, BLUE, middle, f"q ≤ {fdr:g}"),
        dot("white", GREY, middle, "above"),
        *(dot("#DDDDDD", DARK, float(_area(s)), f"{s:.0%} found") for s in (0.25, 0.5, 1.0)),
    ]
    legend = ax.legend(
        handles=handles,
        title=_TESTS[test],
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        fontsize=SMALL,
        title_fontsize=SMALL,
        frameon=False,
        borderaxespad=0.0,
    )
    legend.set_in_layout(True)
