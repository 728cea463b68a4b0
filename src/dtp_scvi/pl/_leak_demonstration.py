"""What each model reaches under honest and leaky protocols, and with permuted labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.lines import Line2D

from dtp_scvi._docs import docs
from dtp_scvi._validate import check_range, problem, shorten
from dtp_scvi.pl._source import need_columns
from dtp_scvi.pl._style import (
    BLUE,
    DARK,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    display,
    dress,
    new_axes,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS: Final = ("model", "protocol", "auroc", "low", "high")
_SOURCE: Final = "a table with a row a model and protocol"
_LOOKS: Final = (
    (BLUE, "o"),
    (VERMILLION, "D"),
    (DARK, "s"),
    (ORANGE, "^"),
    (SKY, "v"),
    (PURPLE, "P"),
)


@docs.dedent
def leak_demonstration(
    table: pd.DataFrame, *, study_chance: float | None = None, ax: Axes | None = None
) -> Axes:
    """
    Draw the AUROC of models under several protocols beside what chance gives.

    Parameters
    ----------
    table
        One row a model and protocol, with columns ``model``, ``protocol`` (such as honest, leaky,
        permuted labels), ``auroc``, ``low`` and ``high``; ``low`` and ``high`` may be NaN. At most
        six protocols.
    study_chance
        AUROC of study identity alone: the chance level of pooled data.
    %(ax)s

    Returns
    -------
    The axes, models down in the order of the table, a colour and marker for each protocol. The
    dashed line is 0.5, the dotted one ``study_chance``.

    Raises
    ------
    TypeError, KeyError, ValueError
        For no table, a missing column, numbers out of 0 to 1, two rows of one model and
        protocol, or more protocols than can be told apart.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> table = pd.DataFrame(
    ...     {
    ...         "model": ["forest", "forest"],
    ...         "protocol": ["honest", "leaky"],
    ...         "auroc": [0.52, 0.9],
    ...         "low": [0.44, 0.85],
    ...         "high": [0.6, 0.95],
    ...     }
    ... )
    >>> dtp.pl.leak_demonstration(table, study_chance=0.64).get_xlabel()
    'AUROC'
    """
    table = _checked(table)
    models = list(dict.fromkeys(table["model"].astype(str)))
    protocols = list(dict.fromkeys(table["protocol"].astype(str)))
    ax = new_axes(ax, 4.2, 1.2 + 0.36 * len(models))
    ax.axvline(0.5, color=GREY, linewidth=0.9, linestyle="--", zorder=1)
    handles = []
    offsets = (np.arange(len(protocols)) - (len(protocols) - 1) / 2) * 0.7 / len(protocols)
    for protocol, offset, (color, marker) in zip(protocols, offsets, _LOOKS, strict=False):
        rows = table[table["protocol"].astype(str) == protocol]
        height = np.array([models.index(str(name)) for name in rows["model"]]) + offset
        ax.hlines(height, rows["low"], rows["high"], color=color, linewidth=1.5, zorder=2)
        (drawn,) = ax.plot(
            rows["auroc"],
            height,
            marker,
            color=color,
            markersize=4.5,
            zorder=3,
            label=display(protocol),
        )
        handles.append(drawn)
    handles.append(Line2D([], [], color=GREY, linewidth=0.9, linestyle="--", label="Chance, 0.50"))
    if study_chance is not None:
        check_range(study_chance, "study_chance", 0.0, 1.0)
        label = f"Study alone, {study_chance:.2f}"
        ax.axvline(study_chance, color=DARK, linewidth=1.1, linestyle=":", zorder=1)
        handles.append(Line2D([], [], color=DARK, linewidth=1.1, linestyle=":", label=label))
    ax.set_yticks(range(len(models)), labels=[display(name) for name in models])
    ax.set_ylim(len(models) - 0.4, -0.6)
    known = table[["auroc", "low", "high"]].to_numpy(dtype=np.float64)
    ax.set_xlim(max(0.0, min(0.35, np.nanmin(known) - 0.03)), 1.02)
    dress(ax, "AUROC", "")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1, 1.01),
        ncols=2,
        fontsize=7,
        frameon=False,
        borderaxespad=0.0,
        columnspacing=1.2,
        handletextpad=0.5,
    )
    return ax


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    table = need_columns(table, _COLUMNS, _SOURCE)
    if table.empty or table["auroc"].isna().any():
        found = "no row" if table.empty else f"{table['auroc'].isna().sum():,} missing"
        raise ValueError(problem("an AUROC in every row", found, "Drop what was not run."))
    numbers = table[["auroc", "low", "high"]].to_numpy(dtype=np.float64)
    odd = numbers[(numbers < 0) | (numbers > 1)]
    if odd.size:
        raise ValueError(problem("AUROC from 0 to 1", f"{odd[0]:g}", "Check the table."))
    twice = table.loc[table.duplicated(["model", "protocol"]), ["model", "protocol"]]
    if len(twice):
        pairs = shorten(" under ".join(map(str, pair)) for pair in twice.to_numpy())
        msg = problem("one row a model and protocol", f"several of {pairs}", "Summarise them.")
        raise ValueError(msg)
    n = table["protocol"].nunique()
    if n > len(_LOOKS):
        msg = problem(f"at most {len(_LOOKS)} protocols", f"{n}", "Draw some of them.")
        raise ValueError(msg)
    return table
