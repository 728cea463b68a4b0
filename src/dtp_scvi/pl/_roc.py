"""ROC curves of a cross-validated model and its baselines."""

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
def roc(
    data: Any,
    *,
    key: str = CV_KEY,
    models: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw ROC curves of a cross-validated model and its baselines on the same folds.

    Parameters
    ----------
    %(cv_result)s
    %(uns_key)s
    %(models)s
    %(ax)s

    Returns
    -------
    The axes. The legend gives each AUROC; the grey diagonal is chance.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or a model isn't in it.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> result = {
    ...     "roc": pd.DataFrame({"model": "teacher", "fpr": [0, 0.2, 1], "tpr": [0, 0.7, 1]}),
    ...     "metrics": pd.DataFrame({"model": ["teacher"], "metric": ["auroc"], "value": [0.75]}),
    ...     "params": {"model": "teacher"},
    ... }
    >>> ax = dtp.pl.roc(result)
    >>> ax.get_ylabel()
    'True-positive rate'
    """
    result = stored(data, key, TOOL)
    made = ax is None
    ax = new_axes(ax, 3.4, 3.2)
    (chance,) = ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, zorder=1, label="_chance")
    draw_curves(
        ax,
        result,
        table="roc",
        axes=("fpr", "tpr"),
        metric="auroc",
        models=models,
        drawstyle="default",
        chance=chance,
        grow=made,
    )
    dress(ax, "False-positive rate", "True-positive rate")
    caution(ax, entry(result, "params", TOOL), data)
    return ax
