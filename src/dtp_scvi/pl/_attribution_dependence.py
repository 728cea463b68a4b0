"""One gene: its value in a row against what it contributes there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from dtp_scvi._docs import docs
from dtp_scvi._validate import near_matches, problem
from dtp_scvi.pl._attribution import ATTRIBUTION_KEY, TOOL, axis_label
from dtp_scvi.pl._source import entry, stored
from dtp_scvi.pl._style import BLUE, GREY, VERMILLION, caution, dress, new_axes
from dtp_scvi.stats import lowess

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@docs.dedent
def attribution_dependence(
    data: Any,
    gene: str | None = None,
    *,
    share: float = 0.5,
    key: str = ATTRIBUTION_KEY,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw a gene's contribution against its value, row by row, with a smooth line.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.attribute`` wrote to, or ``Attribution.to_dict()``.
    gene
        One of the 30 first genes; ``None`` takes the first.
    share
        Share of the rows that a local fit of the line looks at (LOWESS).
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes: a point is a row of a sample of at most 500. Points that do not follow the line show
    that the contribution depends on other genes as well.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or the gene is not among those stored.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> samples = dtp.datasets.simulate_cohort(60)
    >>> model = dtp.model.ResponseModel().fit(samples, "true_persister_fraction")
    >>> ax = dtp.pl.attribution_dependence(model.attribute(samples).to_dict())
    >>> len(ax.lines)
    2
    """
    result = stored(data, key, TOOL)
    cells = entry(result, "cells", TOOL)
    genes = [str(name) for name in cells["genes"]]
    chosen = genes[0] if gene is None else gene
    if chosen not in genes:
        msg = problem(
            f"`gene` to be one of the {len(genes)} first genes",
            repr(chosen),
            near_matches(chosen, genes),
        )
        raise KeyError(msg)
    place = genes.index(chosen)
    value = np.asarray(cells["expression"], np.float64)[:, place]
    contribution = np.asarray(cells["attribution"], np.float64)[:, place]
    ax = new_axes(ax, 3.4, 2.8)
    ax.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    ax.scatter(value, contribution, s=7, color=BLUE, alpha=0.5, linewidths=0, zorder=2)
    line = lowess(value, contribution, share=share)
    if len(line):
        ax.plot(line["x"], line["y"], color=VERMILLION, linewidth=1.8, zorder=3)
    params = entry(result, "params", TOOL)
    scale = str(params.get("scale", ""))
    kind = "" if scale in ("", "as_is") else ", log"
    dress(ax, f"{chosen} (value{kind})", axis_label("Contribution", params))
    ax.xaxis.set_major_locator(MaxNLocator(4))
    caution(ax, params, data)
    return ax
