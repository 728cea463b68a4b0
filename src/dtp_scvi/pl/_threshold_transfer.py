"""Does a threshold chosen on one cohort serve another?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from dtp_scvi._constants import CV_KEY
from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.pl._curve import TOOL
from dtp_scvi.pl._source import entry, main_model, need_columns, pick_models, stored
from dtp_scvi.pl._style import DARK, GREY, SMALL, caution, display, dress, new_axes, text_color
from dtp_scvi.stats import threshold_transfer as transfer_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_COLUMNS: Final = ("chosen_on", "applied_to", "threshold")
# Colour begins at chance, so that what is no better than that looks like nothing.
_CHANCE: Final = {"balanced_accuracy": 0.5, "mcc": 0.0}
# With more cohorts numbers would be smaller than can be read.
_WRITTEN: Final = 20
_NAMED: Final = 45
_LONGEST: Final = 16


@docs.dedent
def threshold_transfer(
    data: Any,
    *,
    metric: Literal["balanced_accuracy", "mcc"] = "balanced_accuracy",
    cohort_key: str | None = None,
    rule: str = "youden",
    target: float | None = None,
    key: str = CV_KEY,
    model: str | None = None,
    cmap: str = "Blues",
    ax: Axes | None = None,
) -> Axes:
    """
    Draw what a threshold chosen on one cohort does on another, as a heat map.

    Read a row from left to right: one threshold on all cohorts. Columns that are pale but for
    their framed cell need a threshold of their own.

    Parameters
    ----------
    data
        Table of :func:`dtp_scvi.stats.threshold_transfer`, AnnData that ``dtp.tl.cross_validate``
        wrote to, or its stored result; from the latter two the table is computed.
    metric
        ``"balanced_accuracy"`` or ``"mcc"``.
    cohort_key
        Column of ``adata.obs`` with the cohort (batch, study) of each row; default the donors of
        the cross-validation.
    rule, target
        See :func:`dtp_scvi.stats.threshold_transfer`; not used with a table.
    key
        The entry of ``uns`` to draw.
    model
        The model to draw; default the one that was cross-validated.
    cmap
        Colour map; the default is readable with any colour vision.
    %(ax)s

    Returns
    -------
    The axes: rows are the cohort a threshold was chosen on (with the threshold), columns those
    it was applied to. Colour begins at chance. Cells in a frame judge a threshold on the
    rows that it was chosen on. Up to 20 cohorts have their numbers written, up to 45 their names. The colour bar takes
    some of the room of the axes.

    Raises
    ------
    KeyError
        Nothing is stored under ``key``, or a model or column isn't there.
    ValueError
        Unknown metric or rule, fewer than two cohorts, none with both classes, or ``cohort_key``
        without an AnnData.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> labels, p = [0, 1, 0, 1], [0.1, 0.5, 0.6, 0.9]
    >>> table = dtp.stats.threshold_transfer(labels, p, ["a", "a", "b", "b"])
    >>> ax = dtp.pl.threshold_transfer(table)
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['a (0.30)', 'b (0.75)']
    """
    check_one_of(metric, _CHANCE, "metric")
    params: Mapping[str, Any] = {}
    if isinstance(data, pd.DataFrame):
        _refuse_cohorts(data, cohort_key)
        table = data
    else:
        result = stored(data, key, TOOL)
        params = entry(result, "params", TOOL)
        table = _computed(data, result, cohort_key, model, rule=rule, target=target)
    need_columns(table, (*_COLUMNS, metric), "what dtp.stats.threshold_transfer returned")
    value = table.pivot(index="chosen_on", columns="applied_to", values=metric)
    cuts = table.drop_duplicates("chosen_on").set_index("chosen_on")["threshold"]
    n = len(value)
    cell = 0.4 if n <= _WRITTEN else 0.2
    ax = new_axes(ax, 2.2 + cell * min(n, _NAMED), 1.3 + 0.9 * cell * min(n, _NAMED))
    numbers = value.to_numpy(dtype=np.float64)
    image = ax.imshow(numbers, aspect="auto", cmap=cmap, vmin=_CHANCE[metric], vmax=1)
    _write(ax, image, numbers)
    _name(ax, value, cuts)
    unnamed = f", {n:,} cohorts" if n > _NAMED else ""
    dress(ax, f"Applied to{unnamed}", "Chosen on" if unnamed else "Chosen on (threshold)")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    below = bool((numbers < _CHANCE[metric]).any())
    bar = ax.figure.colorbar(
        image, ax=ax, pad=0.03, aspect=16, extend="min" if below else "neither"
    )
    bar.set_label(display(metric), fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL - 1)
    bar.outline.set_visible(False)  # type: ignore[operator]
    caution(ax, params, data)
    return ax


def _refuse_cohorts(data: Any, cohort_key: str | None) -> None:
    if cohort_key is not None:
        msg = problem(
            "an AnnData where `cohort_key` is given", type(data).__name__, "Leave it out."
        )
        raise ValueError(msg)


def _computed(
    data: Any,
    result: Mapping[str, Any],
    cohort_key: str | None,
    model: str | None,
    *,
    rule: str,
    target: float | None,
) -> pd.DataFrame:
    """Table from the held-out probabilities of one model."""
    probabilities = entry(result, "probabilities", TOOL)
    name = main_model(result, TOOL) if model is None else model
    pick_models(pd.DataFrame({"model": list(probabilities)}), [name], name)
    if cohort_key is None:
        cohorts = np.asarray(entry(result, "group", TOOL))
    else:
        if not hasattr(data, "obs"):
            _refuse_cohorts(data, cohort_key)
        cohorts = text_column(data.obs, cohort_key, "cohort_key")
    labels = np.asarray(entry(result, "label", TOOL))
    return transfer_table(
        labels, probabilities[name].to_numpy(), cohorts, rule=rule, target=target
    )


def _write(ax: Axes, image: AxesImage, numbers: np.ndarray) -> None:
    n = len(numbers)
    for (i, j), number in np.ndenumerate(numbers):
        if np.isnan(number):
            corner = (j - 0.5, i - 0.5)
            ax.add_patch(Rectangle(corner, 1, 1, facecolor="#EEEEEE", edgecolor="none"))
        if n > _WRITTEN:
            continue
        color = GREY if np.isnan(number) else text_color(image.to_rgba(number))
        text = "–" if np.isnan(number) else f"{number:.2f}".replace("-", "−")
        ax.text(j, i, text, ha="center", va="center", fontsize=SMALL - 1, color=color)
    edges = np.arange(0.5, n - 1)
    for draw in (ax.hlines, ax.vlines):
        draw(edges, -0.5, n - 0.5, color="white", linewidth=1)
    for i in range(n):
        ax.add_patch(
            Rectangle((i - 0.46, i - 0.46), 0.92, 0.92, fill=False, edgecolor=DARK, linewidth=1)
        )


def _name(ax: Axes, value: pd.DataFrame, cuts: pd.Series[Any]) -> None:
    if len(value) > _NAMED:
        ax.set_xticks([])
        ax.set_yticks([])
        return
    words = [str(name) for name in value.columns]
    words = [word if len(word) <= _LONGEST else word[: _LONGEST - 1] + "…" for word in words]
    ax.set_xticks(range(len(words)), labels=words)
    if max(map(len, words)) > 4 or len(words) > _WRITTEN:
        ax.tick_params(axis="x", labelrotation=90)
    cut = [float(cuts[name]) for name in value.index]
    labels = [
        f"{word} ({'one class' if np.isnan(at) else f'{at:.2f}'})"
        for word, at in zip(words, cut, strict=True)
    ]
    ax.set_yticks(range(len(words)), labels=labels)
