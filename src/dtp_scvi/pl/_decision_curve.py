"""Net benefit of acting on the probability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi._constants import CV_KEY
from dtp_scvi._docs import docs
from dtp_scvi.pl._curve import TOOL
from dtp_scvi.pl._place import legend
from dtp_scvi.pl._source import entry, main_model, need_columns, pick_models, stored
from dtp_scvi.pl._style import (
    GREY,
    SKY,
    VERMILLION,
    caution,
    display,
    dress,
    model_styles,
    new_axes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

_COLUMNS: Final = ("threshold", "strategy", "net_benefit", "low", "high")
_REFERENCES: Final[dict[str, dict[str, Any]]] = {
    "all": {"color": SKY, "linewidth": 1.4, "label": "Treat all"},
    "none": {"color": GREY, "linewidth": 1.0, "label": "Treat none"},
}


@docs.dedent
def decision_curve(
    data: Any,
    *,
    key: str = CV_KEY,
    models: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw the net benefit of a cross-validated model and its baselines over thresholds.

    Read it so: at threshold 0.2 whoever acts accepts four false positives for a true one. At that
    price the highest line is the best policy; where "treat all" or "treat none" is on top, the
    probability adds nothing.

    Parameters
    ----------
    %(cv_result)s
    %(uns_key)s
    %(models)s
    %(ax)s

    Returns
    -------
    The axes. The band is the bootstrap interval of the cross-validated model. "Treat all" leaves
    the axes below.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or a model isn't in it.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> p = {"teacher": [0.1, 0.6, 0.7, 0.9]}
    >>> table = dtp.stats.decision_curve([0, 0, 1, 1], p)
    >>> ax = dtp.pl.decision_curve({"decision_curve": table, "params": {"model": "teacher"}})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['Teacher', 'Treat all', 'Treat none']
    """
    result = stored(data, key, TOOL)
    table = need_columns(
        entry(result, "decision_curve", TOOL), _COLUMNS, f"{TOOL}'s 'decision_curve'"
    )
    main = main_model(result, TOOL)
    curves = table.rename(columns={"strategy": "model"})
    chosen = pick_models(curves[~curves["model"].isin(_REFERENCES)], models, main)
    made = ax is None
    ax = new_axes(ax, 3.4, 3.0)
    # At threshold 0 treating all gains the share of positives, the most there is.
    most = float(table["net_benefit"].max())
    floor = min(-0.2 * most, -0.01)
    lines = []
    for name, look in {**model_styles(chosen, main), **_REFERENCES}.items():
        rows = curves[curves["model"] == name].sort_values("threshold")
        x, y = (rows[column].to_numpy(dtype=np.float64) for column in ("threshold", "net_benefit"))
        # What lies far below would only mislead the search for a free corner.
        y = np.where(y < 2 * floor, np.nan, y)
        lines += ax.plot(x, y, **{"zorder": 2, "label": display(name), **look})
        if name == main:
            low, high = rows["low"].to_numpy(), rows["high"].to_numpy()
            ax.fill_between(x, low, high, color=VERMILLION, alpha=0.2, linewidth=0, zorder=1)
    ax.set(xlim=(0, 1), ylim=(floor, most * 1.15))
    legend(ax, lines, grow=made)
    dress(ax, "Threshold probability", "Net benefit")
    caution(ax, entry(result, "params", TOOL), data)
    return ax
