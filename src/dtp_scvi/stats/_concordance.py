"""Harrell's concordance of a score with survival."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights, interval
from dtp_scvi.stats._check import as_codes, as_vector
from dtp_scvi.stats._follow_up import as_follow_up

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Rows compared with all others at a time: keeps 10,000 patients within 100 MB.
_BLOCK = 512


def concordance(time: ArrayLike, event: ArrayLike, scores: ArrayLike) -> float:
    """
    Share of comparable pairs in which the row with the higher score has its event earlier.

    **Above 0.5 a higher score means an earlier event.** A pair is comparable where the shorter
    time ends in an event, or times are equal and one of both is an event; equal scores count a
    half (Harrell et al. 1982, doi:10.1001/jama.1982.03320430047030). ``lifelines`` takes
    predicted *survival* instead: ``concordance_index(time, -scores, event)`` is the same number.

    Parameters
    ----------
    time
        Time to event or loss, at least 0.
    event
        True (1) where the event was seen.
    scores
        Any real numbers, higher for more risk.

    Returns
    -------
    A number from 0 to 1; NaN where no pair can be compared.

    Raises
    ------
    ValueError
        A negative or missing time, an event other than 0/1, a missing score, unequal lengths.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.concordance([1, 2, 3], [1, 1, 0], [0.9, 0.5, 0.1])
    1.0
    """
    times, events = as_follow_up(time, event)
    score = as_vector(scores, "scores", len(times))
    return float(_weighted(times, events, score, np.ones((1, len(times))))[0])


def concordance_interval(
    time: ArrayLike,
    event: ArrayLike,
    scores: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    n_boot: int = 1000,
    seed: int | None = 0,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """
    Concordance with a bootstrap interval that draws whole patients.

    Parameters
    ----------
    time, event, scores
        See :func:`concordance`.
    groups
        Patient of each row; ``None`` where each row is a patient.
    n_boot
        Number of resamples.
    seed
        Seed of the resamples.
    level
        Coverage of the percentile interval.

    Returns
    -------
    Value, lower and upper end.

    Raises
    ------
    ValueError
        As :func:`concordance`, or fewer than two patients.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.concordance_interval([1, 2, 3, 4], [1, 1, 1, 0], [4, 3, 2, 1], n_boot=50)
    (1.0, 1.0, 1.0)
    """
    times, events = as_follow_up(time, event)
    score = as_vector(scores, "scores", len(times))
    codes = as_codes(groups, len(times))
    draws = cluster_bootstrap_weights(codes, n_boot, seed=seed)
    weights = np.vstack([np.ones(len(times)), *draws])
    values = _weighted(times, events, score, weights)
    low, high = interval(values[1:], level, n_clusters=len(np.unique(codes)))
    return float(values[0]), float(low), float(high)


def _weighted(
    time: NDArray[np.float64],
    event: NDArray[np.bool_],
    score: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Concordance under each row of weights, shape (weightings, rows)."""
    right, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    first = np.flatnonzero(event)
    for start in range(0, len(first), _BLOCK):
        rows = first[start : start + _BLOCK]
        later = time[rows, None] < time
        later |= (time[rows, None] == time) & ~event
        ranked = (score[rows, None] > score) + 0.5 * (score[rows, None] == score)
        own = weights[:, rows]
        pairs += (own * (weights @ later.T)).sum(axis=1)
        right += (own * (weights @ (later * ranked).T)).sum(axis=1)
    return np.divide(right, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
