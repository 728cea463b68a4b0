"""AUROC of one number for one label: by strata, under weights, with an interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._docs import docs
from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights, interval
from dtp_scvi.stats._check import as_codes, as_labels, as_vector, as_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class RankedRows:
    """Rows sorted once, by stratum and falling score; each call costs a few sums."""

    def __init__(self, labels: ArrayLike, scores: ArrayLike, strata: ArrayLike | None) -> None:
        truth = as_labels(labels)
        n = len(truth)
        score = as_vector(scores, "scores", n)
        stratum = np.zeros(n, np.intp) if strata is None else as_codes(strata, n)
        self.n = n
        self._order = np.lexsort((-score, stratum))
        ranked, place = score[self._order], stratum[self._order]
        new = (np.diff(ranked) != 0) | (np.diff(place) != 0)
        self._starts = np.append(0, np.flatnonzero(new) + 1)
        self._stratum = place[self._starts]
        self._positive = truth[self._order].astype(np.float64)

    def value(self, weights: NDArray[np.float64]) -> float:
        """Share of pairs of one stratum that are ranked right; NaN without such a pair."""
        weight = weights[self._order]
        true = np.add.reduceat(weight * self._positive, self._starts)
        false = np.add.reduceat(weight * (1 - self._positive), self._starts)
        n_true = np.bincount(self._stratum, true)
        n_false = np.bincount(self._stratum, false)
        before = np.cumsum(true) - true
        # What was counted in earlier strata does not rank above this row.
        before -= (np.cumsum(n_true) - n_true)[self._stratum]
        pairs = float(n_true @ n_false)
        return float(false @ (before + true / 2)) / pairs if pairs > 0 else float("nan")


@docs.dedent
def auroc(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    strata: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """
    AUROC of one score, over all pairs or over the pairs of rows in the same stratum.

    Parameters
    ----------
    %(labels)s
    scores
        Any real numbers; ties count as half.
    strata
        Batch of each row: only pairs from one batch are compared, so what differs between
        batches can't count.
    %(sample_weight)s

    Returns
    -------
    In [0, 1]; NaN where no stratum holds both classes.

    Raises
    ------
    ValueError
        One class, unequal lengths or NaN.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.auroc([0, 0, 1, 1], [1, 2, 3, 4])
    1.0
    >>> stats.auroc([0, 1, 0, 1], [2, 1, 4, 3], strata=["a", "a", "b", "b"])
    0.0
    """
    ranked = RankedRows(labels, scores, strata)
    return ranked.value(as_weights(sample_weight, ranked.n))


@docs.dedent
def auroc_interval(
    labels: ArrayLike,
    scores: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    strata: ArrayLike | None = None,
    n_boot: int = 200,
    seed: int | None = 0,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """
    AUROC of one score with a bootstrap interval that draws whole donors.

    Parameters
    ----------
    %(labels)s
    scores
        Any real numbers.
    groups
        Donor of each row; ``None`` draws single rows, which is optimistic where rows of a donor
        resemble one another.
    strata
        Batch of each row, see :func:`auroc`.
    n_boot
        Number of resamples; those without both classes are left out.
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
        One class, unequal lengths, NaN, or fewer than two donors.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.auroc_interval([0, 0, 1, 1], [1, 2, 3, 4])
    (1.0, 1.0, 1.0)
    """
    ranked = RankedRows(labels, scores, strata)
    draws = cluster_bootstrap_weights(groups, n_boot, seed=seed, n_rows=ranked.n)
    low, high = interval([ranked.value(weights) for weights in draws], level)
    return ranked.value(np.ones(ranked.n)), float(low), float(high)


@docs.dedent
def standardised_difference(labels: ArrayLike, values: ArrayLike) -> float:
    """
    Difference of the class means in units of the pooled standard deviation (Cohen's d).

    Parameters
    ----------
    %(labels)s
    values
        One number per row.

    Returns
    -------
    Positive where the positive class is higher; 0 where all values are equal, infinite where
    only the class means differ.

    Raises
    ------
    ValueError
        One class, unequal lengths or NaN.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.standardised_difference([0, 0, 1, 1], [1.0, 3.0, 5.0, 7.0]).__round__(3)
    2.828
    """
    truth = as_labels(labels)
    number = as_vector(values, "values", len(truth))
    high, low = number[truth], number[~truth]
    gap = float(high.mean() - low.mean())
    squares = float(((high - high.mean()) ** 2).sum() + ((low - low.mean()) ** 2).sum())
    if gap == 0:
        return 0.0
    spread = np.sqrt(squares / max(1, number.size - 2))
    return gap / float(spread) if spread > 0 else float(np.copysign(np.inf, gap))
