"""One metric of perturbation models, baselines and replicates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dtp_scvi._constants import EVALUATION_KEY, LOWER_IS_BETTER
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.pl._source import entry, need_columns, stored
from dtp_scvi.pl._style import BLUE, DARK, GREY, SKY, VERMILLION, caution, display, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

_TOOL: Final = "dtp.tl.evaluate_perturbation"
_COLUMNS: Final = (
    "part",
    "model",
    "kind",
    "metric",
    "grouping",
    "control",
    "value",
    "low",
    "high",
)
_COLORS: Final = {"model": VERMILLION, "ablation": "#E9B18B", "baseline": BLUE}
# By controls whose noise truth and prediction share, paler: of scoring, then of the input.
_SHARED: Final = {
    "scoring": {"model": "#E08B4C", "ablation": "#F0CDB4", "baseline": SKY},
    "own": {"model": "#EFC3A4", "ablation": "#F5DDCB", "baseline": "#B3DAF2"},
}
_NAMES: Final = {
    "mean_delta": "Mean change",
    "cell_mean_delta": "Mean change of the cell line",
    "drug_mean_delta": "Mean change of the drug",
    "cell_control_mean": "Mean of the cell line's controls",
    "tanimoto_knn": "Tanimoto kNN",
    "drug_free_mlp": "Drug-free MLP",
    "additive": "Cell line + drug",
    "cov_drug": "cell line and drug",
    "cov_drug_dose": "cell line, drug and dose",
    "drug_dose": "drug and dose",
}
_WORDS: Final = {
    "pearson_delta": "Correlation of changes",
    "spearman_delta": "Rank correlation of changes",
    "pearson_centred": "Correlation, centred on the training mean",
    "r2": "R² of profiles",
    "mse": "Mean squared error",
    "discrimination_l1": "Discrimination rank, L1",
    "centroid_rank": "Centroid rank",
    "retrieval_rank": "Retrieval rank, cosine",
}
_CHANCE: Final = dict.fromkeys(("discrimination_l1", "centroid_rank", "retrieval_rank"), 0.5)


@docs.dedent
def perturbation_benchmark(
    data: Any,
    *,
    metric: str = "pearson_delta",
    grouping: str | None = None,
    part: str | None = None,
    models: Sequence[str] | None = None,
    key: str = EVALUATION_KEY,
    ax: Axes | None = None,
) -> Axes:
    """
    Draw one metric of models and baselines, with intervals and the replicate ceiling.

    Parameters
    ----------
    data
        AnnData that ``dtp.tl.evaluate_perturbation`` wrote to, its stored result, or its table.
    metric
        A metric of the table.
    grouping
        ``per_sample`` or another one of the table; ``None`` takes ``per_sample`` where there is
        such a row, else the first.
    part
        A part of the table; ``None`` takes the first.
    models
        Names to draw; default all.
    key
        The entry of ``uns`` to draw.
    %(ax)s

    Returns
    -------
    The axes, the best one at the top: by independent controls where the table has them. Pale bars
    are of controls whose noise truth and prediction share. The dashed line is what replicates
    leave possible, the dotted one chance.

    Raises
    ------
    TypeError, KeyError, ValueError
        No result, or no such metric, grouping, part or model in it.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> table = pd.DataFrame(
    ...     {
    ...         "part": "test",
    ...         "model": ["XPert", "ridge"],
    ...         "kind": ["model", "baseline"],
    ...         "metric": "pearson_delta",
    ...         "grouping": "per_sample",
    ...         "control": "independent",
    ...         "value": [0.2, 0.3],
    ...         "low": [0.1, 0.2],
    ...         "high": [0.3, 0.4],
    ...     }
    ... )
    >>> ax = dtp.pl.perturbation_benchmark(table)
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['Ridge', 'XPert']
    """
    params: Any = {}
    if not hasattr(data, "columns"):
        result = stored(data, key, _TOOL)
        data, params = entry(result, "table", _TOOL), entry(result, "params", _TOOL)
    rows, ceiling, grouping = _pick(data, metric, grouping, part, models)
    controls = [c for c in ("independent", "scoring", "own") if c in set(rows["control"])]
    controls = controls or sorted(set(rows["control"]))
    first = rows[rows["control"] == controls[0]].set_index("model")["value"]
    order = first.sort_values(ascending=metric in LOWER_IS_BETTER, kind="stable").index.tolist()
    ax = new_axes(ax, 5.2, 0.9 + 0.17 * len(order) * (1 + 0.6 * (len(controls) - 1)))
    height = 0.8 / len(controls)
    for i, control in enumerate(controls):
        here = rows[rows["control"] == control].set_index("model").reindex(order)
        colors = _SHARED.get(control, _COLORS)
        place = np.arange(len(order)) + (i - (len(controls) - 1) / 2) * height
        ax.barh(place, here["value"], height * 0.92, color=[colors[k] for k in here["kind"]])
        ax.hlines(place, here["low"], here["high"], color=DARK, linewidth=0.9)
    handles = _lines(ax, metric, ceiling)
    handles += [
        Patch(
            color=_SHARED.get(c, _COLORS)["baseline"],
            label=f"{display(c)} controls",
        )
        for c in controls
        if len(controls) > 1
    ]
    ax.set_yticks(range(len(order)), labels=[_word(name) for name in order])
    ax.set_ylim(len(order) - 0.4, -0.6)
    dress(ax, f"{_WORDS.get(metric, display(metric))} ({_word(grouping).lower()})", "")
    ax.tick_params(axis="y", length=0)
    caution(ax, params, None)
    if handles:
        ax.legend(
            handles=handles,
            loc="lower right",
            bbox_to_anchor=(1, 1.0),
            ncols=2,
            fontsize=7,
            frameon=False,
            # Above what caution wrote.
            borderaxespad=2.4 if params.get("simulated") else 0.2,
        )
    return ax


def _word(name: str) -> str:
    return _NAMES.get(name) or display(name)


def _pick(
    data: Any, metric: str, grouping: str | None, part: str | None, models: Sequence[str] | None
) -> tuple[pd.DataFrame, float | None, str]:
    table = need_columns(data, _COLUMNS, f"what {_TOOL} returned")
    table = table.astype(dict.fromkeys(_COLUMNS[:6], str))
    table = table[table["part"] == _one(table, "part", part)]
    check_one_of(metric, dict.fromkeys(table["metric"]), "metric")
    table = table[table["metric"] == metric]
    default = "per_sample" if "per_sample" in set(table["grouping"]) else None
    grouping = _one(table, "grouping", grouping or default)
    table = table[table["grouping"] == grouping]
    top = table.loc[table["kind"] == "ceiling", "value"]
    rows = table[table["kind"] != "ceiling"]
    if models is not None:
        for name in models:
            check_one_of(name, dict.fromkeys(rows["model"]), "models")
        rows = rows[rows["model"].isin(list(models))]
    if rows.empty:
        raise ValueError(problem("models to draw", "none", "Name some."))
    return rows, float(top.iloc[0]) if len(top) and np.isfinite(top.iloc[0]) else None, grouping


def _one(table: pd.DataFrame, column: str, value: str | None) -> str:
    options = list(dict.fromkeys(table[column]))
    if value is None:
        return str(options[0])
    check_one_of(value, options, column)
    return value


def _lines(ax: Axes, metric: str, ceiling: float | None) -> list[Any]:
    handles: list[Any] = []
    ax.axvline(0.0, color=GREY, linewidth=0.8)
    lines: tuple[tuple[float | None, str, Any], ...] = (
        (ceiling, "Replicate ceiling", "--"),
        (_CHANCE.get(metric), "Chance", ":"),
    )
    for value, label, style in lines:
        if value is not None:
            ax.axvline(value, color=DARK, linewidth=1.1, linestyle=style)
            handles.append(
                Line2D(
                    [],
                    [],
                    color=DARK,
                    linewidth=1.1,
                    linestyle=style,
                    label=f"{label}, {value:.2f}",
                )
            )
    return handles
