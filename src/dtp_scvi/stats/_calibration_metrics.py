"""How far probabilities lie from the frequencies they promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._docs import docs
from dtp_scvi._validate import check_positive_int, problem
from dtp_scvi.stats._bins import equal_mass, equal_width, gap_sums
from dtp_scvi.stats._check import as_labels, as_probabilities, as_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@docs.dedent
def brier_decomposition(
    labels: ArrayLike,
    probabilities: ArrayLike,
    n_bins: int = 15,
    *,
    sample_weight: ArrayLike | None = None,
) -> dict[str, float]:
    """
    Brier score and the five parts that add up to it exactly.

    ``brier = reliability - resolution + uncertainty + within_bin_variance -
    within_bin_covariance``. The last two vanish where all probabilities of a bin are equal
    (Stephenson et al. 2008, doi:10.1175/2007WAF2006116.1).

    Parameters
    ----------
    %(labels)s
    %(probabilities)s
    n_bins
        Equal-width bins; the last one includes 1.
    %(sample_weight)s

    Returns
    -------
    ``brier``, ``reliability`` (0 is perfect), ``resolution`` (at most ``uncertainty``),
    ``uncertainty`` (variance of the label), ``within_bin_variance``, ``within_bin_covariance``.

    Raises
    ------
    ValueError
        Unequal lengths, probabilities outside [0, 1], no weight.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> found = stats.brier_decomposition([0, 1, 1, 1], [0.25, 0.25, 0.75, 0.75], n_bins=2)
    >>> found["brier"], found["reliability"], found["resolution"], found["uncertainty"]
    (0.1875, 0.0625, 0.0625, 0.1875)
    """
    check_positive_int(n_bins, "n_bins")
    truth, score, weights = rows(labels, probabilities, sample_weight)
    share = weights / weights.sum()
    cell = equal_width(score, n_bins)
    mass, observed, forecast = (
        np.bincount(cell, share * values, minlength=n_bins) for values in (1.0, truth, score)
    )
    kept = mass > 0
    observed, forecast = (
        np.divide(values, mass, out=np.zeros(n_bins), where=kept)
        for values in (observed, forecast)
    )
    rate = float(share @ truth)
    apart = score - forecast[cell]
    return {
        "brier": float(share @ (score - truth) ** 2),
        "reliability": float(mass @ (forecast - observed) ** 2),
        "resolution": float(mass[kept] @ (observed[kept] - rate) ** 2),
        "uncertainty": rate * (1 - rate),
        "within_bin_variance": float(share @ apart**2),
        "within_bin_covariance": float(2 * (share @ (apart * (truth - observed[cell])))),
    }


@docs.dedent
def log_loss(
    labels: ArrayLike, probabilities: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """
    Mean negative log-likelihood of the labels, in nats.

    Parameters
    ----------
    %(labels)s
    probabilities
        Values in [0, 1]; kept 2.2e-16 away from 0 and 1, as scikit-learn does.
    %(sample_weight)s

    Returns
    -------
    A number >= 0; ln 2 = 0.693 for a coin.

    Raises
    ------
    ValueError
        Unequal lengths, probabilities outside [0, 1], no weight.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> round(stats.log_loss([0, 1], [0.5, 0.5]), 6)
    0.693147
    """
    truth, score, weights = rows(labels, probabilities, sample_weight)
    return float(weights @ surprise(truth, score) / weights.sum())


def surprise(truth: NDArray[np.float64], score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log loss of each row."""
    eps = np.finfo(np.float64).eps
    likelihood = np.where(truth > 0, score, 1 - score)
    return -np.log(np.clip(likelihood, eps, 1 - eps))


@docs.dedent
def ece(
    labels: ArrayLike,
    probabilities: ArrayLike,
    n_bins: int = 15,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """
    Expected calibration error over equal-width bins.

    The plug-in value is biased upwards: noise alone fills the bins with gaps. The interval of
    ``calibration_metrics`` allows for that.

    Parameters
    ----------
    %(labels)s
    %(probabilities)s
    n_bins
        Number of bins; the last one includes 1.
    %(sample_weight)s

    Returns
    -------
    Mean over rows of the gap of their bin, in [0, 1]; the number of ``classification_metrics``.

    Raises
    ------
    ValueError
        Unequal lengths, probabilities outside [0, 1], no weight.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.ece([0, 1, 1, 1], [0.25, 0.25, 0.75, 0.75], n_bins=2)
    0.25
    """
    check_positive_int(n_bins, "n_bins")
    truth, score, weights = rows(labels, probabilities, sample_weight)
    cell = equal_width(score, n_bins)
    return float(np.abs(gap_sums(cell, score - truth, weights, n_bins)).sum())


@docs.dedent
def ace(
    labels: ArrayLike,
    probabilities: ArrayLike,
    n_bins: int = 15,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """
    Adaptive calibration error: as ``ece``, over bins that hold equally many rows.

    Rows of equal probability always share a bin, the one in which the middle of their tie lies,
    so the order of rows can't matter; with ties, bins hold only about equally many rows.

    Parameters
    ----------
    %(labels)s
    %(probabilities)s
    n_bins
        Number of bins.
    sample_weight
        Non-negative weights, one per row; bins then hold equal weight.

    Returns
    -------
    Mean over rows of the gap of their bin, in [0, 1].

    Raises
    ------
    ValueError
        Unequal lengths, probabilities outside [0, 1], no weight.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> round(stats.ace([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], n_bins=2), 6)
    0.25
    """
    check_positive_int(n_bins, "n_bins")
    truth, score, weights = rows(labels, probabilities, sample_weight)
    cell = equal_mass(score, weights, n_bins)
    return float(np.abs(gap_sums(cell, score - truth, weights, n_bins)).sum())


@docs.dedent
def mce(
    labels: ArrayLike,
    probabilities: ArrayLike,
    n_bins: int = 15,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """
    Maximum calibration error: the largest gap of an equal-width bin.

    One row alone in a bin can make it large; read it beside the counts of ``reliability_table``.

    Parameters
    ----------
    %(labels)s
    %(probabilities)s
    n_bins
        Number of bins; empty ones don't count.
    %(sample_weight)s

    Returns
    -------
    A number in [0, 1].

    Raises
    ------
    ValueError
        Unequal lengths, probabilities outside [0, 1], no weight.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.mce([0, 1, 1, 0], [0.25, 0.25, 0.75, 0.75], n_bins=2)
    0.25
    """
    check_positive_int(n_bins, "n_bins")
    truth, score, weights = rows(labels, probabilities, sample_weight)
    cell = equal_width(score, n_bins)
    gap = gap_sums(cell, score - truth, weights, n_bins)
    mass = gap_sums(cell, np.ones_like(score), weights, n_bins)
    return float(np.abs(gap[mass > 0] / mass[mass > 0]).max())


def rows(
    labels: ArrayLike, probabilities: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Labels as 0.0 and 1.0, probabilities and weights of one length."""
    truth = as_labels(labels, both_classes=False)
    score = as_probabilities(probabilities, "probabilities", len(truth))
    weights = as_weights(sample_weight, len(truth))
    if weights.sum() <= 0:
        msg = problem("rows that carry weight", "none", "Pass rows of positive weight.")
        raise ValueError(msg)
    return truth.astype(np.float64), score, weights
