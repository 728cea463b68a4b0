"""Attention to genes, with its spread or between two groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from dtp_scvi._constants import ATTENTION_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_one_of, check_positive_int, check_range, problem
from dtp_scvi.pl._source import entry, need_columns, stored
from dtp_scvi.pl._style import BLUE, GREY, SMALL, VERMILLION, caution, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes

TOOL: Final = 'dtp.tl.attention(adata, model, of="genes")'
_SPREAD: Final = ("mean", "q10", "q25", "median", "q75", "q90")
_GROUPS: Final = ("mean_first", "mean_second", "p", "q")


@docs.dedent
def gene_attention(
    data: Any,
    *,
    by: Literal["mean", "difference"] = "mean",
    n_genes: int = 20,
    fdr: float = 0.05,
    key: str = ATTENTION_KEY,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw the genes of the control profile that a model attends to most.

    Attention is not effect: it has no sign, and a gene can be looked at without changing the
    prediction. What a prediction rests on is another question (``dtp.tl.attribute``).

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.attention`` wrote to, or ``adata.uns["dtp_attention"]``.
    by
        ``"mean"``: genes of the largest mean. ``"difference"``: genes whose attention differs most
        between the two groups that were compared, by p.
    n_genes
        Genes to draw.
    fdr
        With ``"difference"``: genes with a larger q are hollow.
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes. By mean: the point is the mean over units, the thick line their middle half, the thin one
    their middle 80 %, and the dashed line stands where attention is even over all genes. By
    difference: the means of either group.

    Raises
    ------
    KeyError, TypeError, ValueError
        Nothing is stored, no groups were compared, an option does not fit.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> table = pd.DataFrame({"mean": [0.6, 0.4]}, index=["TP53", "MYC"])
    >>> for name in ("q10", "q25", "median", "q75", "q90"):
    ...     table[name] = table["mean"]
    >>> params = {"n_units": 3, "unit": "patient"}
    >>> ax = dtp.pl.gene_attention({"genes": {"table": table, "params": params}})
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['TP53', 'MYC']
    """
    check_one_of(by, ("mean", "difference"), "by")
    check_positive_int(n_genes, "n_genes")
    check_range(fdr, "fdr", 0.0, 1.0)
    result = entry(stored(data, key, TOOL), "genes", TOOL)
    params = entry(result, "params", TOOL)
    columns = _SPREAD if by == "mean" else _GROUPS
    if by == "difference" and "groups" not in params:
        msg = problem("two groups that were compared", "none", f"Run {TOOL[:-1]}, groupby=...).")
        raise KeyError(msg)
    table = need_columns(entry(result, "table", TOOL), columns, f"what {TOOL} stored")
    order = ("mean", False) if by == "mean" else ("p", True)
    rows = table.sort_values(order[0], ascending=order[1], kind="stable").iloc[:n_genes]
    ax = new_axes(ax, 3.6, 1.0 + 0.19 * len(rows))
    if by == "mean":
        _draw_spread(ax, rows, float(table["mean"].mean()))
    else:
        _draw_groups(ax, rows, params, fdr)
    ax.set_yticks(np.arange(len(rows)), labels=[str(gene) for gene in rows.index])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    if by == "mean":
        label = f"Attention to the gene ({int(params['n_units']):,} × {params['unit']})"
    else:
        n_found = int((rows["q"] <= fdr).sum())
        label = f"Mean attention ({n_found} of these: q ≤ {fdr:g})"
    dress(ax, label, "")
    ax.tick_params(axis="y", length=0)
    ax.ticklabel_format(axis="x", useMathText=True, scilimits=(-3, 3))
    ax.xaxis.get_offset_text().set_fontsize(SMALL)
    caution(ax, params, data)
    return ax


def _draw_spread(ax: Axes, rows: pd.DataFrame, even: float) -> None:
    height = np.arange(len(rows))
    ax.hlines(height, rows["q10"], rows["q90"], color=BLUE, linewidth=0.8, zorder=2)
    ax.hlines(height, rows["q25"], rows["q75"], color=BLUE, linewidth=3.0, zorder=2)
    ax.plot(rows["mean"], height, "o", color="white", mec=BLUE, mew=1.0, ms=4, zorder=3)
    ax.axvline(even, color=GREY, linestyle="--", linewidth=0.8, zorder=1)


def _draw_groups(ax: Axes, rows: pd.DataFrame, params: Mapping[str, Any], fdr: float) -> None:
    height = np.arange(len(rows))
    found = (rows["q"] <= fdr).to_numpy()
    ax.hlines(height, rows["mean_first"], rows["mean_second"], color=GREY, linewidth=1.0, zorder=1)
    for column, color, marker, name, n in zip(
        _GROUPS[:2],
        (VERMILLION, BLUE),
        ("o", "s"),
        params["groups"],
        params["n_in_groups"],
        strict=True,
    ):
        face = np.where(found, color, "white")
        ax.scatter(rows[column], height, c=face, edgecolors=color, marker=marker, s=18, zorder=2)
        ax.plot([], [], marker, color=color, ms=4, label=f"{name} (n = {int(n)})")
    ax.legend(fontsize=SMALL - 1, framealpha=0.9, edgecolor="none", borderpad=0.2)
