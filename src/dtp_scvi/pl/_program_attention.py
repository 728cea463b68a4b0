"""Which gene programs the teacher looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._docs import docs
from dtp_scvi._validate import check_positive_int, problem
from dtp_scvi.pl._source import need_columns
from dtp_scvi.pl._style import SMALL, VERMILLION, dress, new_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_NAMED_ROWS = 40


@docs.dedent
def program_attention(
    table: pd.DataFrame,
    *,
    n_programs: int = 25,
    label: str = "Attention",
    cmap: str = "cividis",
    ax: Axes | None = None,
) -> Axes:
    """
    Draw a heat map of attention, groups or cells by gene programs.

    Parameters
    ----------
    table
        Rows are groups or cells, columns are programs (``model.get_program_attention``, averaged
        over groups if so wished). Values are attention weights.
    n_programs
        Draw so many programs with the largest mean attention; the axis says how many there are.
    label
        What the colour stands for.
    cmap
        Colour map; the default is readable with any colour vision.
    %(ax)s

    Returns
    -------
    The axes, programs from left to right by falling mean attention. Where the rows of ``table``
    sum to 1, a line on the colour bar marks even attention. The
    colour bar takes some of the room of the axes.

    Raises
    ------
    TypeError, ValueError
        Not a DataFrame, empty, or with missing values.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> table = pd.DataFrame({"cycle": [0.2, 0.6], "stress": [0.8, 0.4]}, index=["a", "b"])
    >>> ax = dtp.pl.program_attention(table)
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['stress', 'cycle']
    """
    need_columns(table, (), "attention by program")
    check_positive_int(n_programs, "n_programs")
    if table.empty or table.isna().any(axis=None):
        found = f"a table of shape {table.shape}" + ("" if table.empty else " with gaps")
        msg = problem("attention of every row to every program", found, "Drop or fill them.")
        raise ValueError(msg)
    order = table.mean().sort_values(ascending=False, kind="stable").index[:n_programs]
    shown = table[order]
    named = len(shown) <= _NAMED_ROWS
    height = 1.7 + (0.17 * len(shown) if named else 2.0)
    ax = new_axes(ax, max(3.4, 1.6 + 0.16 * len(order)), height)
    image = ax.imshow(shown.to_numpy(dtype=np.float64), aspect="auto", cmap=cmap, vmin=0)
    ax.set_xticks(range(len(order)), labels=[str(name) for name in order])
    if named:
        ax.set_yticks(range(len(shown)), labels=[str(name) for name in shown.index])
    else:
        ax.set_yticks([])
    left_out = table.shape[1] - len(order)
    xlabel = f"Gene program ({left_out} more not shown)" if left_out else "Gene program"
    dress(ax, xlabel, "" if named else f"{len(shown):,} rows")
    ax.tick_params(axis="x", labelrotation=90, labelsize=SMALL - 1)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    _draw_bar(ax, image, table, label)
    return ax


def _draw_bar(ax: Axes, image: object, table: pd.DataFrame, label: str) -> None:
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, aspect=15)  # type: ignore[arg-type]
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL - 1)
    bar.outline.set_visible(False)  # type: ignore[operator]
    if np.allclose(table.sum(axis=1), 1.0, atol=1e-3):
        bar.set_label(f"{label} (line: even)", fontsize=SMALL)
        bar.ax.axhline(1 / table.shape[1], color=VERMILLION, linewidth=1.5)
