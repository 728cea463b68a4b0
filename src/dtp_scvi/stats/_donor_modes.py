"""How the score distribution of a donor deviates from that of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_MODES: Final = 6
_KEPT_VARIANCE: Final = 0.99


def donor_modes(
    score: NDArray[np.float64],
    truth: NDArray[np.bool_],
    codes: NDArray[np.intp],
    knots: NDArray[np.float64],
) -> NDArray[np.float64]:
    """
    Principal functions of the donors' deviations, shape (modes, 2 * knots), negative class first.

    Moments of random effects: the covariance of the donors' cumulative distributions about the
    pooled one, less what drawing cells within a donor adds. Their squares add up to that
    covariance. None where donors don't differ by more than their cells explain.
    """
    sides = [
        _Side(score[side], codes[side], knots, int(codes.max()) + 1) for side in (~truth, truth)
    ]
    n = len(knots)
    covariance = np.zeros((2 * n, 2 * n))
    for index, side in enumerate(sides):
        block = slice(index * n, (index + 1) * n)
        covariance[block, block] = side.within_class()
    cross = _between_classes(*sides)
    covariance[:n, n:], covariance[n:, :n] = cross, cross.T
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    positive = np.clip(values, 0, None)
    # Noise makes eigenvalues of either sign; their sum is free of bias, the positive ones are not.
    share = values.sum() / max(positive.sum(), np.finfo(np.float64).tiny)
    if share <= 0:
        return np.empty((0, 2 * n))
    positive = positive * share
    enough = np.searchsorted(np.cumsum(positive) / positive.sum(), _KEPT_VARIANCE) + 1
    kept = min(int(enough), _MOST_MODES, int(np.count_nonzero(positive)))
    return (vectors[:, :kept] * np.sqrt(positive[:kept])).T


class _Side:
    """One class: the share of it each donor holds, and each donor's deviation at the knots."""

    def __init__(
        self,
        score: NDArray[np.float64],
        codes: NDArray[np.intp],
        knots: NDArray[np.float64],
        n_donors: int,
    ) -> None:
        self.n = len(score)
        count = np.bincount(codes, minlength=n_donors)
        self.share = count / self.n
        below = np.zeros((n_donors, len(knots)))
        place = np.searchsorted(knots, score, side="left")
        np.add.at(below, (codes[place < len(knots)], place[place < len(knots)]), 1.0)
        below = np.cumsum(below, axis=1)
        self.pooled = below.sum(axis=0) / self.n
        own = np.divide(below, count[:, None], out=np.zeros_like(below), where=count[:, None] > 0)
        self.apart = np.where(count[:, None] > 0, own - self.pooled, 0.0)

    def within_class(self) -> NDArray[np.float64]:
        """Between-donor covariance by moments; zero where one donor holds the class."""
        left = 1 - float((self.share**2).sum())
        if left <= 1e-9:
            return np.zeros((len(self.pooled),) * 2)
        raw = self.apart.T @ (self.apart * self.share[:, None])
        drawn = np.minimum.outer(self.pooled, self.pooled) - np.outer(self.pooled, self.pooled)
        donors = np.count_nonzero(self.share)
        return (raw - (donors - 1) / self.n * drawn) / left


def _between_classes(negative: _Side, positive: _Side) -> NDArray[np.float64]:
    weight = np.sqrt(negative.share * positive.share)
    both = np.count_nonzero(weight)
    if both < 2:
        return np.zeros((len(negative.pooled),) * 2)
    weight = weight / weight.sum()
    left = 1 - float((weight**2).sum())
    return negative.apart.T @ (positive.apart * weight[:, None]) / left
