"""Predicted against observed changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._docs import docs
from dtp_scvi.pl._perturbation_change import (
    drug_column,
    observed_change,
    predicted_change,
    rows_of,
)
from dtp_scvi.pl._style import BLUE, DARK, GREY, SMALL, caution, dress, new_axes
from dtp_scvi.stats import profile_correlation

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

_LABELS = 3


@docs.dedent
def perturbation_scatter(
    adata: AnnData,
    predicted: Any,
    drug: str | None = None,
    *,
    drug_key: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw predicted against observed changes: genes of one drug, or the density of all.

    Observed changes are against controls for scoring, which no model has seen.

    Parameters
    ----------
    adata
        Data with the controls of ``dtp.pp.pair_controls``.
    predicted
        Predicted changes, a DataFrame of rows x genes; only rows that it holds are drawn.
    drug
        A drug, whose mean changes are drawn as one point a gene; ``None`` draws the density of
        all genes in all rows.
    drug_key
        Column of ``adata.obs``; ``None`` takes that of the pairing.
    %(ax)s

    Returns
    -------
    The axes. The dashed line is where both are equal; r is the correlation of the points of one
    drug, or the mean over rows.

    Raises
    ------
    TypeError, KeyError, ValueError
        No DataFrame, no such drug, no paired controls, other genes.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> obs = pd.DataFrame({"drug": ["DMSO"] * 4 + ["a", "b"]}, index=list("uvwxyz"))
    >>> wells = ad.AnnData(np.random.default_rng(0).normal(8, 1, (6, 9)).astype("f4"), obs)
    >>> dtp.pp.pair_controls(wells, drug_key="drug", control_label="DMSO")
    >>> dtp.pl.perturbation_scatter(wells, wells.to_df() - 8, "a").get_xlabel()
    'Observed change'
    """
    column = drug_column(adata, drug_key)
    rows = rows_of(adata, column, None if drug is None else [drug])
    if hasattr(predicted, "index"):
        held = adata.obs_names[rows].isin(predicted.index)
        rows = rows[held] if held.any() else rows
    x, y = observed_change(adata, rows), predicted_change(adata, rows, predicted)
    ax = new_axes(ax, 3.4, 3.2)
    if drug is not None:
        x, y = x.mean(axis=0, keepdims=True), y.mean(axis=0, keepdims=True)
    ends = [float(min(x.min(), y.min())), float(max(x.max(), y.max()))]
    ax.plot(ends, ends, color=GREY, linewidth=0.9, linestyle="--", zorder=3)
    if drug is None:
        shown = ax.hexbin(
            x.ravel(), y.ravel(), gridsize=45, bins="log", mincnt=1, cmap="Blues", linewidths=0
        )
        shown.set_clim(0.5, None)
    else:
        ax.plot(x[0], y[0], "o", color=BLUE, markersize=2.5, alpha=0.7, markeredgewidth=0)
        _name_extremes(ax, x[0], y[0], list(adata.var_names))
    found, constant = profile_correlation(x, y)
    note = f"r = {np.nanmean(found):.2f}" + (", constant" if constant.all() else "")
    n = f"{len(rows):,} rows" if drug is None else drug
    ax.text(
        0.03, 0.97, f"{n}\n{note}", transform=ax.transAxes, va="top", fontsize=SMALL, color=DARK
    )
    dress(ax, "Observed change", "Predicted change")
    caution(ax, {}, adata)
    return ax


def _name_extremes(ax: Axes, x: np.ndarray, y: np.ndarray, genes: list[str]) -> None:
    order = np.argsort(x)
    middle, reach = (x.min() + x.max()) / 2, 0.05 * max(float(np.ptp(y)), 1e-12)
    named: list[int] = []
    for i in (*order[:_LABELS].tolist(), *order[::-1][:_LABELS].tolist()):
        # A name on another one is worth less than none.
        near = any(abs(y[i] - y[j]) < reach and (x[i] > middle) == (x[j] > middle) for j in named)
        if near or i in named:
            continue
        named.append(i)
        left = x[i] > middle
        ax.annotate(
            genes[i],
            (x[i], y[i]),
            xytext=(-3 if left else 3, 2),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=7,
            color=DARK,
        )
