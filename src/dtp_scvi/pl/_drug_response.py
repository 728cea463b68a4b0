"""Forest plot: the correlation of a score with each drug, and over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi._constants import DRUG_RESPONSE_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_positive_int, check_range, problem
from dtp_scvi.pl._drug import TOOL, find_drug, number, response_result, small, warn_of_guards
from dtp_scvi.pl._source import entry, need_columns
from dtp_scvi.pl._style import BLUE, DARK, GREY, SMALL, VERMILLION, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

_HEADLINE: Final = "within_drug"
_HALF: Final = 0.32
# Of interval, n and q from the right end of the axes, in points.
_PLACES: Final = (6, 126, 134)


@docs.dedent
def drug_response(
    data: Any,
    *,
    drugs: Sequence[str] | None = None,
    max_drugs: int = 30,
    fdr: float = 0.1,
    key: str = DRUG_RESPONSE_KEY,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw each drug's correlation with the score, with intervals, and the pooled one.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.drug_response`` wrote to, or its stored result.
    drugs
        Drugs to draw, in any case of letters; default all that were tested.
    max_drugs
        Of more drugs, those furthest from 0 are drawn, and the axis says how many there are.
    fdr
        False discovery rate up to which a point is filled.
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes, highest correlation at the top; at the bottom, as a diamond, the mean over all drugs
    tested, each patient counted once. Filled: ``q <= fdr``, red towards resistance, blue towards
    sensitivity.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or a drug isn't in it.
    ValueError
        None of ``drugs`` was tested, or a number is out of range.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(1000, 100)
    >>> bulk = dtp.datasets.simulate_cohort(120, cells=cells, n_drugs=4)
    >>> _ = dtp.tl.drug_response(
    ...     bulk, score_key="true_persister_fraction", n_boot=50, n_permutations=50
    ... )
    >>> [text.get_text() for text in dtp.pl.drug_response(bulk).get_yticklabels()][-1]
    'All drugs'
    """
    check_positive_int(max_drugs, "max_drugs")
    check_range(fdr, "fdr", 0.0, 1.0)
    result, table = response_result(data, key)
    rows, n_all = _chosen(table, drugs, max_drugs)
    pooled = need_columns(
        entry(result, "pooled", TOOL), ("estimator", "value", "low", "high"), f"{TOOL}'s 'pooled'"
    ).set_index("estimator")
    ax = new_axes(ax, 6.0, 1.0 + 0.22 * (len(rows) + 1))
    ax.axvline(0, color=GREY, linewidth=0.8, linestyle="--", zorder=1)
    for height, (_, row) in enumerate(rows.iterrows()):
        _draw(ax, height, row, fdr)
    bottom = len(rows)
    ax.axhline(bottom - 0.5, color=GREY, linewidth=0.6)
    _diamond(ax, bottom, pooled.loc[_HEADLINE])
    names = [*rows["drug"].astype(str), "All drugs"]
    ax.set_yticks(range(bottom + 1), labels=names)
    ax.set_ylim(bottom + 0.6, -1.2)
    ax.margins(x=0.06)
    shown = f"; {len(rows)} of {n_all} drugs" if len(rows) < n_all else ""
    dress(ax, f"Rank correlation of score and resistance (95 %{shown})", "")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    warn_of_guards(ax, result, data)
    return ax


def _chosen(
    table: pd.DataFrame, drugs: Sequence[str] | None, max_drugs: int
) -> tuple[pd.DataFrame, int]:
    """The rows to draw, by falling correlation, and how many could have been."""
    rows = table[table["tested"].astype(bool)]
    if drugs is not None:
        names = [find_drug(table, drug)["drug"] for drug in drugs]
        rows = rows[rows["drug"].isin(names)]
    rows = rows[rows["rho"].notna()]
    if rows.empty:
        msg = problem(
            "a drug that was tested", "none among `drugs`", "Look at the 'reason' column."
        )
        raise ValueError(msg)
    strongest = rows["rho"].abs().sort_values(ascending=False, kind="stable").index[:max_drugs]
    return rows.loc[strongest].sort_values("rho", ascending=False, kind="stable"), len(rows)


def _draw(ax: Axes, height: int, row: pd.Series[Any], fdr: float) -> None:
    rho, q = float(row["rho"]), float(row["q"])
    found = q <= fdr
    color = (VERMILLION if rho > 0 else BLUE) if found else GREY
    ax.plot([row["low"], row["high"]], [height, height], color=color, linewidth=1.4, zorder=3)
    face = color if found else "white"
    ax.plot(rho, height, "o", color=color, markerfacecolor=face, markersize=5, zorder=4)
    ends = f"{number(rho)} [{number(row['low'])}, {number(row['high'])}]"
    _write(ax, height, (ends, f"{int(row['n'])}", small("q", q).removeprefix("q ").lstrip("= ")))
    if height == 0:
        _write(ax, -0.9, ("ρ [95 %]", "n", "q"), color=GREY)


def _diamond(ax: Axes, height: int, row: pd.Series[Any]) -> None:
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    x, y = np.array([low, value, high, value]), np.array([0.0, -_HALF, 0.0, _HALF]) + height
    ax.fill(x, y, color=DARK, zorder=4, linewidth=0)
    p = small("p", float(row["p"])).removeprefix("p ").lstrip("= ")
    ends = f"{number(value)} [{number(low)}, {number(high)}]"
    _write(ax, height, (ends, f"{int(row['n_patients'])}", f"p {p}"), weight="bold")


def _write(
    ax: Axes,
    height: float,
    words: tuple[str, str, str],
    *,
    color: str = DARK,
    weight: str = "normal",
) -> None:
    """Write interval, n and q in columns at the right of the axes."""
    for at, word, side in zip(_PLACES, words, ("left", "right", "left"), strict=True):
        ax.annotate(
            word,
            (1.0, height),
            (at, 0),
            xycoords=ax.get_yaxis_transform(),
            textcoords="offset points",
            fontsize=SMALL,
            color=color,
            fontweight=weight,
            va="center",
            ha=side,
            annotation_clip=False,
        )
