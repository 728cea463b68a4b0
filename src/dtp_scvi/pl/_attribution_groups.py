"""Genes that move the prediction of single patients most, with their sign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.ticker import MaxNLocator

from dtp_scvi._docs import docs
from dtp_scvi._validate import check_positive_int, near_matches, problem, shorten
from dtp_scvi.pl._attribution import ATTRIBUTION_KEY, TOOL, axis_label
from dtp_scvi.pl._source import entry, need_columns, stored
from dtp_scvi.pl._style import BLUE, DARK, GREY, SMALL, VERMILLION, caution, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS: Final = ("group", "gene", "mean", "mean_abs")
_MOST: Final = 4


@docs.dedent
def attribution_groups(
    data: Any,
    groups: str | Sequence[str] | None = None,
    *,
    n_genes: int = 10,
    key: str = ATTRIBUTION_KEY,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw the genes that raise or lower the prediction most in single patients or groups.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.attribute(..., groupby=...)`` wrote to, or ``Attribution.to_dict()``.
        Group by patient for a patient a block.
    groups
        Groups to draw, in this order; ``None`` takes the first four.
    n_genes
        Genes of each, by the size of their contribution.
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes: a block a group, its genes by falling signed contribution. Red bars raise the
    prediction, blue ones lower it, against the baseline of the attribution.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, no groups were asked for, or one is not there.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> samples = dtp.datasets.simulate_cohort(60)
    >>> model = dtp.model.ResponseModel().fit(samples, "true_persister_fraction")
    >>> found = model.attribute(samples[:6].copy(), groupby="patient")
    >>> ax = dtp.pl.attribution_groups(found.to_dict(), n_genes=3)
    >>> len(ax.patches)
    12
    """
    check_positive_int(n_genes, "n_genes")
    result = stored(data, key, TOOL)
    if "groups" not in result:
        msg = problem(
            "attributions by group",
            f"only {shorten(result, 8)}",
            f"Run {TOOL}(..., groupby=...) with the column of patients.",
        )
        raise KeyError(msg)
    table = need_columns(result["groups"], _COLUMNS, f"{TOOL}'s 'groups'")
    chosen = _pick(table, groups)
    blocks = [_block(table, name, n_genes) for name in chosen]
    n_rows = sum(len(block) + 2 for block in blocks)
    ax = new_axes(ax, 3.6, 0.9 + 0.17 * n_rows)
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    ticks, labels, top = [], [], 0.0
    for name, block in zip(chosen, blocks, strict=True):
        ax.text(
            0.0,
            top,
            name,
            transform=ax.get_yaxis_transform(),
            fontsize=SMALL,
            fontweight="bold",
            color=DARK,
            va="center",
        )
        height = top + 1 + np.arange(len(block))
        size = block["mean"].to_numpy(np.float64)
        ax.barh(height, size, 0.75, color=np.where(size > 0, VERMILLION, BLUE), zorder=2)
        ticks += height.tolist()
        labels += block["gene"].astype(str).tolist()
        top += len(block) + 2
    ax.set_yticks(ticks, labels=labels)
    ax.set_ylim(top - 1.4, -0.8)
    ax.margins(x=0.08)
    params = entry(result, "params", TOOL)
    dress(ax, axis_label("Contribution", params), "")
    ax.tick_params(axis="y", length=0, labelsize=SMALL - 1)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    caution(ax, params, data)
    return ax


def _pick(table: pd.DataFrame, groups: str | Sequence[str] | None) -> list[str]:
    available = list(dict.fromkeys(table["group"].astype(str)))
    if groups is None:
        return available[:_MOST]
    chosen = [groups] if isinstance(groups, str) else [str(name) for name in groups]
    for name in chosen:
        if name not in available:
            msg = problem(
                "`groups` to name groups of the result", repr(name), near_matches(name, available)
            )
            raise KeyError(msg)
    return chosen


def _block(table: pd.DataFrame, name: str, n_genes: int) -> pd.DataFrame:
    rows = table[table["group"].astype(str) == name]
    kept = rows.loc[rows["mean"].abs().sort_values(ascending=False, kind="stable").index[:n_genes]]
    return kept.sort_values("mean", ascending=False, kind="stable")
