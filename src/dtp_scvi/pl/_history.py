"""Loss over the epochs of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from dtp_scvi._docs import docs
from dtp_scvi._validate import problem
from dtp_scvi.pl._place import legend
from dtp_scvi.pl._source import need_columns
from dtp_scvi.pl._style import BLUE, VERMILLION, dress, new_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_LOOKS = {
    "train_loss": ("training", BLUE, "--"),
    "validation_loss": ("held-out donors", VERMILLION, "-"),
}


@docs.dedent
def history(table: pd.DataFrame, *, held_out: str = "held out", ax: Axes | None = None) -> Axes:
    """
    Draw training and held-out loss over the epochs, one line per member.

    Parameters
    ----------
    table
        Columns epoch, member, train_loss and validation_loss (the model's history).
    held_out
        What to call the held-out rows.
    %(ax)s

    Returns
    -------
    The axes. A dot marks the epoch with the lowest held-out loss of each member, whose weights
    are kept.

    Raises
    ------
    KeyError, TypeError
        Not a table with these columns.
    ValueError
        The table has no row with a loss.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> table = pd.DataFrame(
    ...     {
    ...         "epoch": [0, 1, 2],
    ...         "member": 0,
    ...         "train_loss": [0.7, 0.5, 0.4],
    ...         "validation_loss": [0.7, 0.6, 0.62],
    ...     }
    ... )
    >>> len(dtp.pl.history(table).lines)
    3
    """
    needed = ("epoch", "member", *_LOOKS)
    need_columns(table, needed, "the model's training history")
    if table[list(_LOOKS)].isna().all(axis=None):
        msg = problem("a loss in some epoch", f"none in {len(table):,} rows", "Train first.")
        raise ValueError(msg)
    made = ax is None
    ax = new_axes(ax, 3.4, 2.6)
    lines: dict[str, list[Line2D]] = {column: [] for column in _LOOKS}
    members = [rows.sort_values("epoch") for _, rows in table.groupby("member")]
    for rows in members:
        for column in _LOOKS:
            lines[column] += _draw_line(ax, rows, column, held_out, faint=len(members) > 1)
    for rows in members:
        _mark_best(ax, rows)
    ax.margins(x=0.03, y=0.08)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    _write_legend(ax, lines, grow=made)
    dress(ax, "Epoch", "Loss")
    return ax


def _write_legend(ax: Axes, lines: dict[str, list[Line2D]], *, grow: bool) -> None:
    """One entry per loss, placed where none of the members' lines passes."""
    drawn = [line for group in lines.values() for line in group]
    handles = [group[0] for group in lines.values() if group]
    legend(ax, handles, around=drawn, grow=grow)


def _draw_line(
    ax: Axes, rows: pd.DataFrame, column: str, held_out: str, *, faint: bool
) -> list[Line2D]:
    """Draw one loss of one member; nothing where it was not recorded."""
    known = rows.dropna(subset=[column])
    if known.empty:
        return []
    text, color, style = _LOOKS[column]
    look: dict[str, Any] = {"color": color, "linestyle": style}
    look |= {"linewidth": 1.0, "alpha": 0.7} if faint else {"linewidth": 1.6}
    label = held_out if column == "validation_loss" else text
    return list(ax.plot(known["epoch"], known[column], label=label, **look))


def _mark_best(ax: Axes, rows: pd.DataFrame) -> None:
    loss = rows["validation_loss"].to_numpy(dtype=np.float64)
    if np.isnan(loss).all():
        return
    best = rows.iloc[int(np.nanargmin(loss))]
    ax.plot(
        best["epoch"],
        best["validation_loss"],
        "o",
        color="white",
        markeredgecolor=VERMILLION,
        markersize=4.5,
        zorder=5,
    )
