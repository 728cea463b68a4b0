"""What gives the label away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from dtp_scvi._constants import AUDIT_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import problem
from dtp_scvi.pl._source import entry, need_columns, stored
from dtp_scvi.pl._style import GREY, SMALL, VERMILLION, caution, dress, new_axes, text_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_TOOL = "dtp.pp.audit"
_COLUMNS = ("check", "subject", "value", "null_high", "verdict")
_DETERMINED: Final = ("determined_by_batch", "determined_by_donor")
_MEASURES: Final = {"cramers_v": "Cramér's V", "auroc": "AUROC"}
_STATISTICS: Final = {
    "total": "row sum",
    "linear_total": "row sum, no log",
    "n_genes": "genes above zero",
    "sum_deviation": "row sum off median",
    "linear_sum_deviation": "row sum off median, no log",
}


@docs.dedent
def audit(data: Any, *, key: str = AUDIT_KEY, cmap: str = "Blues", ax: Axes | None = None) -> Axes:
    """
    Draw how strongly each column and row statistic goes with the label, as a heat map.

    Parameters
    ----------
    data
        AnnData that ``dtp.pp.audit`` wrote to, or the table that it returned.
    key
        The entry of ``uns`` to draw.
    cmap
        Colour map; the default is readable with any colour vision.
    %(ax)s

    Returns
    -------
    The axes: donor and batch columns above the line, numbers that are read off a row below it.
    Colour is the association from 0 to 1, Cramér's V or 2 x AUROC - 1 (of a row statistic, in
    either direction); a framed row determines the label. "Chance" is the upper end of what
    shuffling gives. The colour bar takes some of the room of the axes.

    Raises
    ------
    KeyError, TypeError
        Nothing is stored under ``key``, or it is no audit.
    ValueError
        The table holds no column and no row statistic.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(400, 300, n_donors=4, confounding=1.0)
    >>> table = dtp.pp.audit(cells, "state", donor_key="donor", batch_keys=["tissue"])
    >>> ax = dtp.pl.audit(table)
    >>> [text.get_text() for text in ax.get_yticklabels()][2:]
    ['row sum', 'genes above zero']
    """
    table = (
        data if isinstance(data, pd.DataFrame) else entry(stored(data, key, _TOOL), "table", _TOOL)
    )
    table = need_columns(table, _COLUMNS, "what dtp.pp.audit returned")
    columns = list(dict.fromkeys(table.loc[table["check"].isin(_MEASURES), "subject"]))
    found = table[table["check"] == "row_statistic"].set_index("subject")["value"]
    numbers = [name for name in _STATISTICS if name in found.index]
    if not columns and not numbers:
        msg = problem("an audit with a column or a row statistic", "neither", f"Run {_TOOL}.")
        raise ValueError(msg)
    value, chance = _measured(table, columns, numbers)
    strength = _strength(value, len(columns))
    ax = new_axes(ax, 3.9, 1.1 + 0.4 * len(value))
    image = ax.imshow(strength, aspect="auto", cmap=cmap, vmin=0, vmax=1)
    _write(ax, image, strength, value, chance)
    ax.set_xticks(range(len(_MEASURES)), labels=list(_MEASURES.values()))
    labels = [*columns, *(_STATISTICS[name] for name in numbers)]
    ax.set_yticks(range(len(labels)), labels=labels)
    dress(ax, "Association with the label", "")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if columns and numbers:
        ax.axhline(len(columns) - 0.5, color="white", linewidth=4)
    edges = np.arange(0.5, len(labels) - 1)
    ax.hlines(edges, -0.5, len(_MEASURES) - 0.5, color="white", linewidth=1)
    ax.vlines(0.5, -0.5, len(labels) - 0.5, color="white", linewidth=1)
    _mark_determined(ax, table, columns)
    bar = ax.figure.colorbar(image, ax=ax, pad=0.03, aspect=14, ticks=[0, 0.5, 1])
    bar.set_label("V or |2 AUROC − 1|", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL - 1)
    bar.outline.set_visible(False)  # type: ignore[operator]
    caution(ax, {}, data)
    return ax


def _measured(
    table: pd.DataFrame, columns: list[str], numbers: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Values and upper ends of chance, (rows of the figure, measures); NaN where there is none."""
    shape = (len(columns) + len(numbers), len(_MEASURES))
    value, chance = np.full(shape, np.nan), np.full(shape, np.nan)
    by_check = table.set_index(["check", "subject"])
    for j, check in enumerate(_MEASURES):
        for i, name in enumerate(columns):
            row = by_check.loc[(check, name)]
            value[i, j], chance[i, j] = float(row["value"]), float(row["null_high"])
    for i, name in enumerate(numbers, start=len(columns)):
        value[i, 1] = float(by_check.loc[("row_statistic", name), "value"])
    return value, chance


def _strength(value: np.ndarray, n_columns: int) -> np.ndarray:
    out = value.copy()
    out[:, 1] = 2 * value[:, 1] - 1
    # A column is scored on rows left out, so below 0.5 it knows nothing; a number may point down.
    out[:n_columns, 1] = np.maximum(out[:n_columns, 1], 0)
    return np.abs(out)


def _write(
    ax: Axes, image: AxesImage, strength: np.ndarray, value: np.ndarray, chance: np.ndarray
) -> None:
    for (i, j), number in np.ndenumerate(value):
        if np.isnan(number):
            ax.text(j, i, "–", ha="center", va="center", fontsize=SMALL, color=GREY)
            continue
        color = text_color(image.to_rgba(strength[i, j]))
        look: dict[str, Any] = {"ha": "center", "va": "center", "color": color}
        if np.isfinite(chance[i, j]):
            text = f"chance ≤ {chance[i, j]:.2f}"
            ax.text(j, i + 0.24, text, fontsize=SMALL - 1, **look)
            ax.text(j, i - 0.14, f"{number:.2f}", fontsize=SMALL + 1, **look)
        else:
            ax.text(j, i, f"{number:.2f}", fontsize=SMALL + 1, **look)


def _mark_determined(ax: Axes, table: pd.DataFrame, columns: list[str]) -> None:
    """Frame each column that determines the label, and say so beside its name."""
    rows = table[table["check"].isin(_DETERMINED) & (table["value"] == 1.0)]
    ticks = ax.get_yticklabels()
    for name in rows["subject"]:
        place = columns.index(name)
        ticks[place].set(text=f"{name}\ndetermines label", color=VERMILLION, fontweight="bold")
        # Inside its own cells, so that neighbours keep their frames apart.
        corner = (-0.48, place - 0.44)
        frame = Rectangle(
            corner,
            len(_MEASURES) - 0.04,
            0.88,
            fill=False,
            edgecolor=VERMILLION,
            linewidth=2,
            zorder=5,
        )
        ax.add_patch(frame)
    ax.set_yticks(ax.get_yticks(), labels=[tick.get_text() for tick in ticks])
