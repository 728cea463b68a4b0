"""Rank correlation of many genes with one score: as found, resampled, and shuffled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from dtp_scvi._validate import check_positive_int, problem
from dtp_scvi.stats._check import as_vector
from dtp_scvi.stats._weighted_ranks import Ranker

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class GeneAssociations:
    """
    Spearman's correlation of every column with one score over samples.

    Parameters
    ----------
    values
        Samples x genes, finite.
    score
        One number per sample, finite.

    Raises
    ------
    ValueError
        When shapes differ, a value is not finite, or the score is constant.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> found = stats.GeneAssociations([[1, 4], [2, 3], [3, 1], [4, 2]], [1, 2, 3, 4])
    >>> found.values().round(6).tolist()
    [1.0, -0.8]
    """

    def __init__(self, values: ArrayLike, score: ArrayLike) -> None:
        table = np.asarray(values, dtype=np.float64)
        if table.ndim != 2 or not np.isfinite(table).all():
            msg = problem(
                "finite values, samples x genes", f"shape {table.shape} or NaN", "Check."
            )
            raise ValueError(msg)
        self._table = table
        self._score = as_vector(score, "score", len(table))
        if len(table) == 0 or np.ptp(self._score) == 0:
            msg = problem("a score that varies over samples", "one value", "Pass another score.")
            raise ValueError(msg)

    def values(self) -> NDArray[np.float64]:
        """Return one correlation per gene; NaN where a gene is constant."""
        return self._against(_unit(rankdata(self._score))[None])[0]

    def shuffled(self, n_shuffles: int, *, seed: int | None = 0) -> NDArray[np.float64]:
        """
        Return the correlations with scores that changed places, shape (shuffles, genes).

        Parameters
        ----------
        n_shuffles
            Number of shuffles; within one, all genes meet the same scores, so that correlations
            between genes stay.
        seed
            Seed of the shuffles.
        """
        check_positive_int(n_shuffles, "n_shuffles")
        ranks = np.tile(_unit(rankdata(self._score)), (n_shuffles, 1))
        return self._against(np.random.default_rng(seed).permuted(ranks, axis=1))

    def resampled(self, weights: ArrayLike) -> NDArray[np.float64]:
        """
        Return the correlations in resamples, ranks taken anew, shape (resamples, genes).

        Parameters
        ----------
        weights
            How often each resample holds each sample, shape (resamples, samples), as
            :func:`cluster_bootstrap_weights` yields them. NaN where a gene or the score is
            constant in a resample.
        """
        drawn = np.asarray(weights, dtype=np.float64)
        middle = (drawn.sum(axis=1, keepdims=True) + 1) / 2
        score = Ranker(self._score)(drawn) - middle
        length = np.einsum("bn,bn->b", drawn * score, score)
        pull = drawn * score
        found = np.empty((len(drawn), self._table.shape[1]))
        for gene, column in enumerate(self._table.T):
            ranks = Ranker(column)(drawn) - middle
            size = np.einsum("bn,bn->b", drawn * ranks, ranks)
            both = np.sqrt(length * size)
            top = np.einsum("bn,bn->b", pull, ranks)
            found[:, gene] = np.divide(top, both, out=np.full(len(both), np.nan), where=both > 0)
        return found

    def _against(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.clip(scores @ self._ranks, -1.0, 1.0)
        found[:, np.ptp(self._table, axis=0) == 0] = np.nan
        return found

    @property
    def _ranks(self) -> NDArray[np.float64]:
        if not hasattr(self, "_kept"):
            self._kept = _unit(rankdata(self._table, axis=0))
        return self._kept


def _unit(ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centred columns of length one, so that products are correlations."""
    ranks = ranks - ranks.mean(axis=0)
    length = np.sqrt((ranks**2).sum(axis=0))
    return ranks / np.where(length > 0, length, 1.0)
