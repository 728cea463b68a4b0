"""What scores without a claim reach on the same drugs and patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi._constants import DRUG_RESPONSE_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import problem
from dtp_scvi.pl._drug import TOOL, number, response_result, warn_of_guards
from dtp_scvi.pl._source import entry, need_columns
from dtp_scvi.pl._style import BLUE, DARK, GREY, SMALL, VERMILLION, display, dress, new_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_COLUMNS: Final = ("control", "kind", "n", "observed", "value", "low", "high", "rank")
_BINS: Final = 24


@docs.dedent
def null_controls(data: Any, *, key: str = DRUG_RESPONSE_KEY, ax: Axes | None = None) -> Axes:
    """
    Draw the pooled correlation of the score beside those of its negative controls.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.drug_response`` wrote to with ``controls``, or its stored result.
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes, a control a row. Grey: the values of a control that was drawn many times, with their
    middle 95 %. Blue: a control that is one number per patient, with its interval. Red: the
    score in the same patients, whose rank by distance from 0 stands at the right.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``.
    ValueError
        It was run without ``controls``.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(1000, 100)
    >>> bulk = dtp.datasets.simulate_cohort(120, cells=cells, n_drugs=4)
    >>> _ = dtp.tl.drug_response(
    ...     bulk,
    ...     score_key="true_persister_fraction",
    ...     controls=["permuted", "blast_percentage"],
    ...     n_boot=50,
    ...     n_permutations=50,
    ... )
    >>> [text.get_text() for text in dtp.pl.null_controls(bulk).get_yticklabels()]
    ['Permuted', 'Blast percentage']
    """
    result, _ = response_result(data, key)
    controls = entry(result, "controls", TOOL)
    if "table" not in controls:
        msg = problem(
            "a result with negative controls",
            "none",
            f'Run {TOOL} again with controls=["permuted", ...].',
        )
        raise ValueError(msg)
    table = need_columns(controls["table"], _COLUMNS, f"{TOOL}'s controls")
    ax = new_axes(ax, 5.0, 1.1 + 0.5 * len(table))
    ax.axvline(0, color=GREY, linewidth=0.8, linestyle="--", zorder=1)
    for height, (_, row) in enumerate(table.iterrows()):
        values = controls["values"]
        own = values.loc[values["control"] == row["control"], "value"].to_numpy(dtype=np.float64)
        _draw(ax, height, row, own)
    first = float(table["observed"].iloc[0])
    ax.text(first, -0.47, "score", color=VERMILLION, fontsize=SMALL, ha="center", va="bottom")
    ax.set_yticks(range(len(table)), labels=[display(name) for name in table["control"]])
    ax.set_ylim(len(table) - 0.45, -0.6)
    ax.margins(x=0.08)
    dress(ax, "Mean rank correlation with resistance over drugs", "")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    warn_of_guards(ax, result, data)
    return ax


def _draw(ax: Axes, height: int, row: pd.Series[Any], values: NDArray[np.float64]) -> None:
    many = str(row["kind"]) == "null"
    if many:
        counts, edges = np.histogram(values, bins=min(_BINS, max(5, len(values) // 6)))
        tall = 0.7 * counts / counts.max()
        ax.bar(
            edges[:-1],
            tall,
            np.diff(edges),
            bottom=height + 0.35 - tall,
            align="edge",
            color="#C4C4C4",
            linewidth=0,
        )
    color = DARK if many else BLUE
    at = height + 0.35 if many else height
    ax.plot([row["low"], row["high"]], [at, at], color=color, linewidth=1.6, zorder=3)
    if not many:
        ax.plot(row["value"], at, "s", color=color, markersize=5, zorder=4)
    ax.vlines(row["observed"], height - 0.4, height + 0.4, color=VERMILLION, linewidth=2, zorder=5)
    if many:
        text = f"score ranks {int(row['rank']):,} of {int(row['n']) + 1:,}"
    else:
        text = f"{number(row['value'])} [{number(row['low'])}, {number(row['high'])}]"
    place: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center"}
    ax.text(1.03, height, text, fontsize=SMALL, color=DARK, **place)
