"""Precision-recall curves of a cross-validated model and its baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dtp_scvi._constants import CV_KEY
from dtp_scvi._docs import docs
from dtp_scvi.pl._curve import TOOL, draw_curves
from dtp_scvi.pl._source import entry, stored
from dtp_scvi.pl._style import GREY, caution, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes


@docs.dedent
def pr(
    data: Any,
    *,
    key: str = CV_KEY,
    models: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw precision against recall of a cross-validated model and its baselines.

    Parameters
    ----------
    %(cv_result)s
    %(uns_key)s
    %(models)s
    %(ax)s

    Returns
    -------
    The axes. The legend gives each average precision; the grey line is chance, the share of
    positives.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or a model isn't in it.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> result = {
    ...     "pr": pd.DataFrame({"model": "teacher", "recall": [0, 1], "precision": [1, 0.5]}),
    ...     "metrics": pd.DataFrame({"model": ["teacher"], "metric": ["auprc"], "value": [0.8]}),
    ...     "params": {"model": "teacher", "prevalence": 0.3},
    ... }
    >>> dtp.pl.pr(result).get_xlabel()
    'Recall'
    """
    result = stored(data, key, TOOL)
    params = entry(result, "params", TOOL)
    prevalence = float(entry(params, "prevalence", TOOL))
    made = ax is None
    ax = new_axes(ax, 3.4, 3.2)
    label = f"Share of positives {prevalence:.3f}"
    chance = ax.axhline(prevalence, color=GREY, linewidth=0.8, zorder=1, label=label)
    draw_curves(
        ax,
        result,
        table="pr",
        axes=("recall", "precision"),
        metric="auprc",
        models=models,
        drawstyle="steps-pre",
        chance=chance,
        grow=made,
    )
    dress(ax, "Recall", "Precision")
    caution(ax, params, data)
    return ax
