"""The change of one gene over doses and times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from dtp_scvi._constants import SIMULATION_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_key, problem
from dtp_scvi.pl._perturbation_change import (
    drug_column,
    gene_places,
    observed_change,
    predicted_change,
    rows_of,
)
from dtp_scvi.pl._style import (
    BLUE,
    DARK,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SMALL,
    VERMILLION,
    dress,
    new_axes,
)

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

_COLORS: Final = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, DARK)


@docs.dedent
def dose_time(
    adata: AnnData,
    drug: str,
    gene: str,
    *,
    dose_key: str,
    time_key: str | None = None,
    predicted: Any = None,
    drug_key: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw the change of one gene under one drug over doses, a colour for each time.

    Parameters
    ----------
    adata
        Data with the controls of ``dtp.pp.pair_controls``.
    drug, gene
        What to draw.
    dose_key, time_key
        Columns of ``adata.obs`` with doses and times as numbers; without times one colour.
    predicted
        Predicted changes of these rows, a DataFrame of rows x genes; drawn as dashed lines.
    drug_key
        Column of ``adata.obs``; ``None`` takes that of the pairing.
    %(ax)s

    Returns
    -------
    The axes. Small points are rows, against controls for scoring; lines join their means.

    Raises
    ------
    TypeError, KeyError, ValueError
        No such drug, gene or column; doses that are no numbers above 0; more than six times.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> obs = pd.DataFrame({"drug": ["DMSO"] * 4 + ["a"] * 3, "dose": [1, 1, 1, 1, 0.1, 1, 10]})
    >>> obs.index = list("abcdefg")
    >>> wells = ad.AnnData(np.random.default_rng(0).normal(8, 1, (7, 3)).astype("f4"), obs)
    >>> dtp.pp.pair_controls(wells, drug_key="drug", control_label="DMSO")
    >>> dtp.pl.dose_time(wells, "a", wells.var_names[0], dose_key="dose").get_xlabel()
    'Dose (µM)'
    """
    column = drug_column(adata, drug_key)
    rows, at = rows_of(adata, column, [drug]), int(gene_places(adata, [gene])[0])
    dose = _numbers(adata, rows, dose_key, "dose_key")
    time = np.zeros(len(rows)) if time_key is None else _numbers(adata, rows, time_key, "time_key")
    times = np.unique(time)
    if len(times) > len(_COLORS):
        msg = problem(f"at most {len(_COLORS)} times", f"{len(times)}", "Draw some of them.")
        raise ValueError(msg)
    y = observed_change(adata, rows)[:, at]
    guess = None if predicted is None else predicted_change(adata, rows, predicted)[:, at]
    ax = new_axes(ax, 3.4, 2.6)
    ax.axhline(0.0, color=GREY, linewidth=0.8)
    handles = []
    for value, color in zip(times, _COLORS, strict=False):
        here = time == value
        ax.plot(
            dose[here], y[here], "o", color=color, markersize=2.5, alpha=0.4, markeredgewidth=0
        )
        mean = pd.Series(y[here]).groupby(dose[here]).mean()
        ax.plot(mean.index, mean.to_numpy(), "-o", color=color, markersize=4, linewidth=1.4)
        if guess is not None:
            mean = pd.Series(guess[here]).groupby(dose[here]).mean()
            ax.plot(mean.index, mean.to_numpy(), "--", color=color, linewidth=1.2)
        if time_key is not None:
            handles.append(Line2D([], [], color=color, linewidth=1.4, label=f"{value:g} h"))
    if guess is not None:
        styles: tuple[tuple[Any, str], ...] = (("-", "Observed"), ("--", "Predicted"))
        for style, label in styles:
            handles.append(Line2D([], [], color=DARK, linewidth=1.2, linestyle=style, label=label))
    ax.set_xscale("log")
    dress(ax, "Dose (µM)", f"Change of {gene}")
    words = [drug, *(["simulated data"] if SIMULATION_KEY in adata.uns else [])]
    ax.set_title(" · ".join(words), loc="left", fontsize=SMALL, color=DARK)
    if handles:
        ax.legend(
            handles=handles,
            loc="lower right",
            bbox_to_anchor=(1, 1.0),
            ncols=2,
            fontsize=7,
            frameon=False,
            borderaxespad=0.2,
        )
    return ax


def _numbers(adata: AnnData, rows: np.ndarray, key: str, argument: str) -> np.ndarray:
    check_key(adata.obs, key, "adata.obs", argument)
    numbers = pd.to_numeric(adata.obs[key].iloc[rows].astype(str), errors="coerce").to_numpy()
    bad = ~(np.isfinite(numbers) & (numbers > 0))
    if bad.any():
        found = repr(adata.obs[key].iloc[rows[int(np.flatnonzero(bad)[0])]])
        msg = problem(f"numbers above 0 in adata.obs[{key!r}]", found, "Convert the column.")
        raise ValueError(msg)
    return numbers.astype(np.float64)
