"""Several models on the same rows: metrics with intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_one_of
from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights, interval
from dtp_scvi.stats._check import Columns, as_labels, same_models
from dtp_scvi.stats._metrics import METRICS, WeightedMetrics

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def bootstrap_metrics(
    labels: ArrayLike,
    scores: Columns,
    probabilities: Columns,
    thresholds: Mapping[str, float | ArrayLike] | float,
    groups: ArrayLike | None = None,
    *,
    n_boot: int = 200,
    seed: int | None = 0,
    level: float = 0.95,
    reference: str | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """
    Metrics of several models with cluster-bootstrap intervals, and paired differences.

    Every model sees the same resamples, so the difference of two models is paired. A resample in
    which one class is missing is left out and shows in ``n_boot``.

    Parameters
    ----------
    labels
        True for the positive class, one value per row.
    scores
        One column of real numbers per model (DataFrame or mapping of arrays).
    probabilities
        One column in [0, 1] per model.
    thresholds
        A number for all models, or per model a number or one value per row. A row is called
        positive where ``probabilities >= threshold``.
    groups
        The donor of each row; ``None`` resamples rows, which is optimistic where rows of a donor
        resemble one another.
    n_boot
        Number of resamples.
    seed
        Seed of the resamples.
    level
        Coverage of the percentile interval.
    reference
        The model that is compared with each other one.

    Returns
    -------
    metrics
        Columns model, metric, value, low, high, n_boot (resamples used).
    differences
        Columns model, baseline, metric, value, low, high: ``reference`` minus the baseline;
        empty without ``reference``.

    Raises
    ------
    ValueError, KeyError
        Bad input, one class, fewer than two clusters, or a model without a column.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> p = {"a": [0.1, 0.4, 0.35, 0.8], "b": [0.2, 0.1, 0.9, 0.8]}
    >>> table, differences = stats.bootstrap_metrics([0, 0, 1, 1], p, p, 0.5, reference="b")
    >>> float(differences.set_index("metric").loc["auroc", "value"])
    0.25
    """
    truth = as_labels(labels)
    names = list(scores.keys())
    same_models(names, list(probabilities.keys()), "probabilities")
    if reference is not None:
        check_one_of(reference, names, "reference")
    if isinstance(thresholds, Mapping):
        same_models(names, list(thresholds.keys()), "thresholds")
    models = [
        WeightedMetrics(
            truth,
            scores[name],
            probabilities=probabilities[name],
            threshold=thresholds[name] if isinstance(thresholds, Mapping) else thresholds,
        )
        for name in names
    ]
    value = np.array([list(model.metrics().values()) for model in models])
    draws = _resample(models, groups, n_boot, seed)
    metrics = _long(value, draws, level, {"model": names}).assign(n_boot=len(draws))
    if reference is None:
        return metrics, _empty_differences()
    main = names.index(reference)
    others = [index for index in range(len(names)) if index != main]
    differences = _long(
        value[[main]] - value[others],
        draws[:, [main]] - draws[:, others],
        level,
        {"model": [reference] * len(others), "baseline": [names[i] for i in others]},
    )
    return metrics, differences


def _resample(
    models: list[WeightedMetrics], groups: ArrayLike | None, n_boot: int, seed: int | None
) -> NDArray[np.float64]:
    """Metrics of the resamples that hold both classes: (resamples, models, metrics)."""
    draws = []
    for weights in cluster_bootstrap_weights(groups, n_boot, seed=seed, n_rows=models[0].n):
        found = [model.values(weights) for model in models]
        # The labels are shared, so a class is missing for all models or for none.
        draws.append([row for row in found if row is not None])
    kept = [rows for rows in draws if rows]
    return np.array(kept).reshape(len(kept), len(models), len(METRICS))


def _long(
    value: NDArray[np.float64],
    draws: NDArray[np.float64],
    level: float,
    columns: dict[str, list[str]],
) -> pd.DataFrame:
    """One row per model and metric, with the interval of its draws."""
    low, high = interval(draws, level)
    table = {
        name: np.repeat(np.array(items, dtype=object), len(METRICS))
        for name, items in columns.items()
    }
    table["metric"] = np.array(list(METRICS) * len(value), dtype=object)
    return pd.DataFrame(
        {**table, "value": value.ravel(), "low": low.ravel(), "high": high.ravel()}
    )


def _empty_differences() -> pd.DataFrame:
    text = {name: pd.Series(dtype=object) for name in ("model", "baseline", "metric")}
    return pd.DataFrame(
        {**text, **{name: pd.Series(dtype=float) for name in ("value", "low", "high")}}
    )
