"""Heat map: how far attributions agree on the order of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np

from dtp_scvi._docs import docs
from dtp_scvi.pl._source import need_columns
from dtp_scvi.pl._style import LABEL, SMALL, new_axes, text_color

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_TOOL: Final = "dtp.tl.compare_attributions"
_COLUMNS: Final = ("first", "second", "rho", "low", "high")


@docs.dedent
def attribution_agreement(
    table: pd.DataFrame, *, cmap: str = "PuOr_r", ax: Axes | None = None
) -> Axes:
    """
    Draw the rank correlations between attributions, each with its interval.

    Parameters
    ----------
    table
        What ``dtp.tl.compare_attributions`` returned.
    cmap
        Diverging colour map, from -1 to 1.
    %(ax)s

    Returns
    -------
    The axes, names along both sides in the order of the comparison.

    Raises
    ------
    KeyError, TypeError
        Not such a table.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> pair = {"first": ["a"], "second": ["b"], "rho": [0.8], "low": [0.7], "high": [0.9]}
    >>> ax = dtp.pl.attribution_agreement(pd.DataFrame(pair))
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['a', 'b']
    """
    rows = need_columns(table, _COLUMNS, f"what {_TOOL} returned")
    names = list(dict.fromkeys([*rows["first"].astype(str), *rows["second"].astype(str)]))
    rho = np.eye(len(names))
    words = np.full(rho.shape, "", dtype=object)
    for row in rows.itertuples():
        pair = names.index(str(row.first)), names.index(str(row.second))
        rho[pair] = rho[pair[::-1]] = row.rho
        words[pair] = words[pair[::-1]] = _word(row)
    side = 1.6 + 0.75 * len(names)
    ax = new_axes(ax, side + 0.9, side)
    colors = mpl.colormaps[cmap]
    image = ax.imshow(rho, cmap=colors, vmin=-1, vmax=1)
    for (i, j), word in np.ndenumerate(words):
        color = text_color(colors((rho[i, j] + 1) / 2))
        ax.text(j, i, word, ha="center", va="center", fontsize=SMALL - 1, color=color)
    ax.set_xticks(range(len(names)), labels=names, rotation=45, ha="right", fontsize=SMALL)
    ax.set_yticks(range(len(names)), labels=names, fontsize=SMALL)
    ax.set_xlabel("Attribution", fontsize=LABEL)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8)
    bar.set_label("Rank correlation over genes", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)  # type: ignore[operator]
    return ax


def _word(row: Any) -> str:
    parts = (f"{value:.2f}".replace("-", "−") for value in (row.rho, row.low, row.high))
    value, low, high = parts
    return f"{value}\n[{low}, {high}]"
