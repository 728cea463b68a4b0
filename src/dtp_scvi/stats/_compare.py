"""Several models on the same rows: metrics with intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_one_of
from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights, interval, logit_interval
from dtp_scvi.stats._check import Columns, as_codes, as_labels, same_models
from dtp_scvi.stats._metrics import METRICS, WeightedMetrics
from dtp_scvi.stats._norm_interval import norm_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_MOST_LEFT_OUT: Final = 200


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
        Coverage of the interval: percentiles of the resamples, widened as a t distribution is
        for few clusters; for ``auroc`` by t on the logit scale, with the larger error of
        resamples and jackknife. That of
        ``ece`` allows for its upward bias (see ``calibration_metrics``) and may lie below the
        value.
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
    draws, gaps = _resample(models, groups, n_boot, seed)
    n_clusters = len(np.unique(as_codes(groups, len(truth))))
    metrics = _long(value, draws, level, {"model": names}, n_clusters).assign(n_boot=len(draws))
    if len(draws):
        _refine(metrics, models, draws, gaps, as_codes(groups, len(truth)), level)
    if reference is None:
        return metrics, _empty_differences()
    main = names.index(reference)
    others = [index for index in range(len(names)) if index != main]
    differences = _long(
        value[[main]] - value[others],
        draws[:, [main]] - draws[:, others],
        level,
        {"model": [reference] * len(others), "baseline": [names[i] for i in others]},
        n_clusters,
    )
    return metrics, differences


def _resample(
    models: list[WeightedMetrics], groups: ArrayLike | None, n_boot: int, seed: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Metrics and gaps of the resamples with both classes: (resamples, models, numbers)."""
    draws, gaps = [], []
    for weights in cluster_bootstrap_weights(groups, n_boot, seed=seed, n_rows=models[0].n):
        found = [model.values(weights) for model in models]
        kept = [row for row in found if row is not None]
        # The labels are shared, so a class is missing for all models or for none.
        if kept:
            draws.append(kept)
            gaps.append([model.gaps(weights) for model in models])
    shape = (len(draws), len(models), -1) if draws else (0, len(models), len(METRICS))
    return np.array(draws).reshape(shape), np.array(gaps).reshape(shape)


def _refine(
    metrics: pd.DataFrame,
    models: list[WeightedMetrics],
    draws: NDArray[np.float64],
    gaps: NDArray[np.float64],
    codes: NDArray[np.intp],
    level: float,
) -> None:
    """Replace the intervals for which percentiles hold the truth too rarely, in place."""
    auroc, ece = (METRICS.index(name) for name in ("auroc", "ece"))
    n_clusters = int(codes.max()) + 1
    for index, model in enumerate(models):
        first = index * len(METRICS)
        metrics.loc[first + auroc, ["low", "high"]] = logit_interval(
            float(metrics.loc[first + auroc, "value"]),
            draws[:, index, auroc],
            _left_out(model, codes, n_clusters, auroc),
            level,
            n_clusters=_effective_clusters(model.truth, codes),
            eps=0.5 / model.n_pairs,
        )
        metrics.loc[first + ece, ["low", "high"]] = norm_interval(
            model.gaps(np.ones(model.n)), gaps[:, index], level, n_clusters=n_clusters
        )


def _left_out(
    model: WeightedMetrics, codes: NDArray[np.intp], n_clusters: int, metric: int
) -> NDArray[np.float64]:
    """The metric without each cluster; none where that takes long and adds nothing."""
    if n_clusters > _MOST_LEFT_OUT:
        return np.empty(0)
    found = [model.values((codes != cluster).astype(np.float64)) for cluster in range(n_clusters)]
    return np.array([row[metric] for row in found if row is not None])


def _effective_clusters(truth: NDArray[np.bool_], codes: NDArray[np.intp]) -> float:
    """Clusters of equal size that would spread the class spread less evenly as far; at least 2."""
    shares = (np.bincount(codes[side]) / side.sum() for side in (truth, ~truth))
    return max(2.0, min(float(1 / (share**2).sum()) for share in shares))


def _long(
    value: NDArray[np.float64],
    draws: NDArray[np.float64],
    level: float,
    columns: dict[str, list[str]],
    n_clusters: int,
) -> pd.DataFrame:
    """One row per model and metric, with the interval of its draws."""
    low, high = interval(draws, level, n_clusters=n_clusters)
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
