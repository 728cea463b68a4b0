"""The tables behind ROC, precision-recall and reliability curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from dtp_scvi._docs import docs
from dtp_scvi._validate import check_positive_int
from dtp_scvi.stats._bins import equal_width
from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights, interval
from dtp_scvi.stats._check import Columns, as_codes, as_labels, as_probabilities, as_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MAX_POINTS = 400


@docs.dedent
def roc_table(labels: ArrayLike, scores: Columns) -> pd.DataFrame:
    """
    Points of the ROC curve of each model, at most 400 each.

    Parameters
    ----------
    %(labels)s
    scores
        One column of real numbers per model (DataFrame or mapping of arrays).

    Returns
    -------
    Columns model, fpr, tpr, from (0, 0) to (1, 1). Where a curve has more corners than 400, the
    kept ones are evenly spaced along it.

    Raises
    ------
    ValueError
        One class, unequal lengths or NaN.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.roc_table([0, 1], {"a": [0.2, 0.8]})[["fpr", "tpr"]].to_numpy().tolist()
    [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """
    truth = as_labels(labels)
    parts = []
    for name, column in scores.items():
        fpr, tpr, _ = roc_curve(truth, as_vector(column, "scores", len(truth)))
        kept = _thin(fpr, tpr)
        parts.append(pd.DataFrame({"model": name, "fpr": fpr[kept], "tpr": tpr[kept]}))
    return pd.concat(parts, ignore_index=True)


@docs.dedent
def pr_table(labels: ArrayLike, scores: Columns) -> pd.DataFrame:
    """
    Points of the precision-recall curve of each model, at most 400 each.

    Parameters
    ----------
    %(labels)s
    scores
        One column of real numbers per model (DataFrame or mapping of arrays).

    Returns
    -------
    Columns model, recall, precision, by rising recall. Each is reached by a threshold, but the
    first, which carries the first precision back to recall 0; the area under the steps to the
    left of each point is the average precision. No point (0, 1) is made up.

    Raises
    ------
    ValueError
        One class, unequal lengths or NaN.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> table = stats.pr_table([0, 1, 1], {"a": [0.5, 0.4, 0.8]})
    >>> table[["recall", "precision"]].round(2).to_numpy().tolist()
    [[0.0, 1.0], [0.5, 1.0], [0.5, 0.5], [1.0, 0.67]]
    """
    truth = as_labels(labels)
    parts = []
    for name, column in scores.items():
        vector = as_vector(column, "scores", len(truth))
        precision, recall, _ = precision_recall_curve(truth, vector)
        # The last point is scikit-learn's (0, 1), which no threshold reaches.
        precision, recall = precision[-2::-1], recall[-2::-1]
        precision, recall = np.insert(precision, 0, precision[0]), np.insert(recall, 0, 0.0)
        kept = _thin(recall, precision)
        parts.append(
            pd.DataFrame({"model": name, "recall": recall[kept], "precision": precision[kept]})
        )
    return pd.concat(parts, ignore_index=True)


def _thin(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of at most ``MAX_POINTS`` points, evenly along the curve, with both ends."""
    if len(x) <= MAX_POINTS:
        return np.arange(len(x))
    path = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    wanted = np.linspace(0, path[-1], MAX_POINTS - 1)
    return np.unique(np.append(np.searchsorted(path, wanted[:-1]), [0, len(x) - 1]))


@docs.dedent
def reliability_table(
    labels: ArrayLike,
    probabilities: ArrayLike | Columns,
    groups: ArrayLike | None = None,
    *,
    n_bins: int = 10,
    n_boot: int = 200,
    seed: int | None = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """
    Observed share of positives per bin of predicted probability, with a bootstrap band.

    Parameters
    ----------
    %(labels)s
    probabilities
        Values in [0, 1], one per row, or one column per model.
    groups
        The donor of each row, resampled for the band; ``None`` resamples rows.
    n_bins
        Equal-width bins; the last one includes 1. Empty bins are left out.
    n_boot
        Number of resamples.
    seed
        Seed of the resamples.
    level
        Coverage of the percentile band.

    Returns
    -------
    Columns bin_low, bin_high, mean_predicted, observed, low, high, n (rows); with ``model`` in
    front where columns were given. ``low`` and ``high`` are NaN in a bin filled by one cluster,
    whose spread can't be seen.

    Raises
    ------
    ValueError
        Unequal lengths, probabilities outside [0, 1], fewer than two clusters.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> table = stats.reliability_table([0, 1, 1, 1], [0.1, 0.2, 0.8, 0.9], n_bins=2)
    >>> table["observed"].tolist(), table["n"].tolist()
    ([0.5, 1.0], [2, 2])
    """
    check_positive_int(n_bins, "n_bins")
    truth = as_labels(labels, both_classes=False)
    n = len(truth)
    named = isinstance(probabilities, Mapping | pd.DataFrame)
    columns = dict(probabilities.items()) if named else {"": probabilities}  # type: ignore[union-attr]
    codes = as_codes(groups, n)
    parts = []
    for name, column in columns.items():
        score = as_probabilities(column, "probabilities", n)
        cell = equal_width(score, n_bins)
        # The same seed for each model: their bands rest on the same resamples.
        draws = cluster_bootstrap_weights(groups, n_boot, seed=seed, n_rows=n)
        shares = np.array([_share(cell, truth, weights, n_bins) for weights in draws])
        low, high = interval(shares, level)
        pairs = pd.DataFrame({"cell": cell, "code": codes}).drop_duplicates()
        alone = np.bincount(pairs["cell"], minlength=n_bins) < 2
        count = np.bincount(cell, minlength=n_bins)
        table = pd.DataFrame(
            {
                "bin_low": np.arange(n_bins) / n_bins,
                "bin_high": np.arange(1, n_bins + 1) / n_bins,
                "mean_predicted": np.bincount(cell, score, minlength=n_bins)
                / np.maximum(count, 1),
                "observed": _share(cell, truth, np.ones(n), n_bins),
                "low": np.where(alone, np.nan, low),
                "high": np.where(alone, np.nan, high),
                "n": count,
            }
        )[count > 0]
        if named:
            table.insert(0, "model", name)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _share(
    cell: NDArray[np.intp], truth: NDArray[np.bool_], weights: NDArray[np.float64], n_bins: int
) -> NDArray[np.float64]:
    """Weighted share of positives per bin, NaN where a bin has no weight."""
    total = np.bincount(cell, weights, minlength=n_bins)
    true = np.bincount(cell, weights * truth, minlength=n_bins)
    return np.divide(true, total, out=np.full(n_bins, np.nan), where=total > 0)
