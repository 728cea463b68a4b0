"""Rank correlations of many resamples at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Resamples that are held at a time: ranks of 256 resamples of 500 rows are a megabyte.
_BATCH: Final = 256
# Below this share of its variance nothing but rounding is left of a rank.
_NOTHING: Final = 1e-9


class Ranker:
    """Mid-ranks of one column under row weights; the column is sorted once."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self._order = np.argsort(values, kind="stable")
        ranked = values[self._order]
        self._starts = np.append(0, np.flatnonzero(np.diff(ranked) != 0) + 1)
        self._sizes = np.diff(np.append(self._starts, len(values)))

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Ranks in samples that hold each row as often as ``weights`` says, (samples, rows)."""
        ties = np.add.reduceat(weights[:, self._order], self._starts, axis=1)
        middle = np.cumsum(ties, axis=1) - ties / 2 + 0.5
        ranks = np.empty_like(weights)
        ranks[:, self._order] = np.repeat(middle, self._sizes, axis=1)
        return ranks


class RankCorrelator:
    """Spearman correlation of two columns, given others, under row weights."""

    def __init__(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        covariates: Sequence[NDArray[np.float64]] = (),
    ) -> None:
        self.n = len(x)
        self._rankers = [Ranker(column) for column in (x, y, *covariates)]

    def values(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """One correlation for each row of ``weights``, shape (samples, rows)."""
        starts = range(0, len(weights), _BATCH)
        parts = [self._batch(weights[start : start + _BATCH]) for start in starts]
        return np.concatenate(parts) if parts else np.empty(0)

    def value(self) -> float:
        """The correlation in the rows as they are."""
        return float(self.values(np.ones((1, self.n)))[0])

    def _batch(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        ranks = np.stack([ranker(weights) for ranker in self._rankers], axis=1)
        total = np.maximum(weights.sum(axis=1), 1.0)[:, None, None]
        ranks -= (ranks @ weights[:, :, None]) / total
        moments = (ranks * weights[:, None, :]) @ ranks.transpose(0, 2, 1)
        return partial(moments)


def partial(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Correlation of the first two columns given the others, from cross-products (samples, k, k).

    NaN where a column is constant, or explained by the others.
    """
    own, size = moments[:, :2, :2], moments[:, [0, 1], [0, 1]]
    if moments.shape[1] > 2:
        cross = moments[:, :2, 2:]
        # A covariate is constant in some resamples, so the inverse need not exist.
        inverse = np.linalg.pinv(moments[:, 2:, 2:], rcond=1e-10, hermitian=True)
        own = own - cross @ inverse @ cross.transpose(0, 2, 1)
    left = own[:, [0, 1], [0, 1]]
    exists = (left > _NOTHING * np.maximum(size, 1.0)).all(axis=1)
    found = np.full(len(moments), np.nan)
    found[exists] = own[exists, 0, 1] / np.sqrt(left[exists].prod(axis=1))
    return np.clip(found, -1.0, 1.0)
