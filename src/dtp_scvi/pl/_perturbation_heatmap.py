"""Mean changes of genes by drug."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from dtp_scvi._docs import docs
from dtp_scvi._validate import check_range, problem
from dtp_scvi.pl._perturbation_change import (
    drug_column,
    gene_places,
    observed_change,
    predicted_change,
    rows_of,
)
from dtp_scvi.pl._style import DARK, LABEL, SMALL, caution, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GAP = 0.6


@docs.dedent
def perturbation_heatmap(
    adata: AnnData,
    genes: Sequence[str],
    drugs: Sequence[str],
    *,
    predicted: Any = None,
    limit: float | None = None,
    drug_key: str | None = None,
    cmap: str = "RdBu_r",
    ax: Axes | None = None,
) -> Axes:
    """
    Draw the mean change of genes by drug, observed and, beside it, predicted.

    Genes and drugs stand in the order given; nothing is clustered.

    Parameters
    ----------
    adata
        Data with the controls of ``dtp.pp.pair_controls``.
    genes, drugs
        Rows from the top down, and columns.
    predicted
        Predicted changes, a DataFrame of rows x genes with all rows of these drugs; ``None`` draws
        observed changes alone.
    limit
        Change at which colours end; ``None`` takes the 98 % quantile of what is drawn.
    drug_key
        Column of ``adata.obs``; ``None`` takes that of the pairing.
    cmap
        Diverging colour map.
    %(ax)s

    Returns
    -------
    The axes. Observed changes are against controls for scoring, averaged over all rows of a drug.

    Raises
    ------
    TypeError, KeyError, ValueError
        No such gene or drug, none at all, no paired controls, ``limit`` not above 0.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> obs = pd.DataFrame({"drug": ["DMSO"] * 4 + ["a", "b"]}, index=list("uvwxyz"))
    >>> wells = ad.AnnData(np.random.default_rng(0).normal(8, 1, (6, 9)).astype("f4"), obs)
    >>> dtp.pp.pair_controls(wells, drug_key="drug", control_label="DMSO")
    >>> ax = dtp.pl.perturbation_heatmap(wells, wells.var_names[:3], ["b", "a"])
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['b', 'a']
    """
    names, wanted = [str(g) for g in genes], [str(d) for d in drugs]
    if not wanted:
        raise ValueError(problem("drugs to draw", "none", "Name some."))
    column = drug_column(adata, drug_key)
    at, rows = gene_places(adata, names), rows_of(adata, column, wanted)
    tables = [_means(observed_change(adata, rows)[:, at], column[rows], wanted)]
    if predicted is not None:
        change = predicted_change(adata, rows, predicted)[:, at]
        tables.append(_means(change, column[rows], wanted))
    if limit is None:
        limit = float(np.quantile(np.abs(np.concatenate(tables)), 0.98)) or 1.0
    check_range(limit, "limit", 0.0, inclusive=False)
    n = len(wanted)
    ax = new_axes(ax, 1.9 + 0.24 * len(tables) * n, 1.4 + 0.18 * len(names))
    for i, (table, title) in enumerate(zip(tables, ("Observed", "Predicted"), strict=False)):
        left = i * (n + _GAP)
        picture = ax.imshow(
            table.T,
            aspect="auto",
            cmap=cmap,
            vmin=-limit,
            vmax=limit,
            interpolation="nearest",
            extent=(left, left + n, len(names), 0),
        )
        if len(tables) > 1:
            # At the left, as a note on simulated data stands at the right.
            ax.text(left, -0.25, title, ha="left", va="bottom", fontsize=SMALL, color=DARK)
    width = len(tables) * n + (len(tables) - 1) * _GAP
    ax.set_xlim(0, width)
    ax.set_ylim(len(names), 0)
    places = [i * (n + _GAP) + j + 0.5 for i in range(len(tables)) for j in range(n)]
    dress(ax, "Drug", "")
    ax.set_xticks(places, labels=wanted * len(tables), rotation=90)
    ax.set_yticks(np.arange(len(names)) + 0.5, labels=names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = cast("Figure", ax.figure).colorbar(picture, ax=ax, fraction=0.06, pad=0.03, aspect=18)
    bar.set_label("Mean change", fontsize=LABEL)
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)  # type: ignore[operator]
    caution(ax, {}, adata)
    return ax


def _means(change: np.ndarray, drug: np.ndarray, wanted: list[str]) -> np.ndarray:
    return np.stack([change[drug.astype(str) == name].mean(axis=0) for name in wanted])
