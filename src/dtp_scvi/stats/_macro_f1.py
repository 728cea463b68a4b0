"""F1 of both classes, which a call that favours one of them can't raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._docs import docs
from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights, interval
from dtp_scvi.stats._check import as_codes, as_labels, as_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@docs.dedent
def macro_f1(
    labels: ArrayLike, calls: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """
    Mean of the F1 of the positive and of the negative class.

    Parameters
    ----------
    %(labels)s
    calls
        True where a row is called positive.
    %(sample_weight)s

    Returns
    -------
    In [0, 1]; the F1 of a class that is neither there nor called counts as 0.

    Raises
    ------
    ValueError
        One class, unequal lengths, or values other than booleans and 0/1.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> round(stats.macro_f1([0, 0, 1, 1], [0, 1, 1, 1]), 3)
    0.733
    """
    truth, called = _pair(labels, calls)
    return _value(truth, called, as_weights(sample_weight, len(truth)))


@docs.dedent
def macro_f1_interval(
    labels: ArrayLike,
    calls: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    n_boot: int = 200,
    seed: int | None = 0,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """
    Macro-F1 with a bootstrap interval that draws whole groups.

    Parameters
    ----------
    %(labels)s
    calls
        True where a row is called positive.
    groups
        Donor or sample of each row; ``None`` draws single rows.
    n_boot
        Number of resamples; those without both classes are left out, and the draws of one seed
        are those of :func:`bootstrap_metrics`.
    seed
        Seed of the resamples.
    level
        Coverage of the interval: percentiles, widened as a t distribution is for few groups.

    Returns
    -------
    Value, lower and upper end.

    Raises
    ------
    ValueError
        As :func:`macro_f1`, or fewer than two groups.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.macro_f1_interval([0, 0, 1, 1], [0, 0, 1, 1])
    (1.0, 1.0, 1.0)
    """
    truth, called = _pair(labels, calls)
    draws = cluster_bootstrap_weights(groups, n_boot, seed=seed, n_rows=len(truth))
    n_clusters = len(np.unique(as_codes(groups, len(truth))))
    found = [
        _value(truth, called, weights)
        for weights in draws
        if weights[truth].any() and weights[~truth].any()
    ]
    low, high = interval(found, level, n_clusters=n_clusters)
    return _value(truth, called, np.ones(len(truth))), float(low), float(high)


def _pair(labels: ArrayLike, calls: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    truth, called = as_labels(labels), as_labels(calls, both_classes=False)
    # Only the length is asked about.
    as_codes(called, len(truth), "calls")
    return truth, called


def _value(
    truth: NDArray[np.bool_], called: NDArray[np.bool_], weights: NDArray[np.float64]
) -> float:
    tn, fp, fn, tp = np.bincount(2 * truth + called, weights, minlength=4)
    parts = [2 * hit / (2 * hit + fp + fn) if 2 * hit + fp + fn > 0 else 0.0 for hit in (tp, tn)]
    return float(np.mean(parts))
