"""Seven numbers for a binary classifier, fast under row weights."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from dtp_scvi._validate import check_positive_int, problem
from dtp_scvi.stats._bins import equal_width, gap_sums
from dtp_scvi.stats._check import as_labels, as_probabilities, as_vector, as_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

METRICS: Final = ("auroc", "auprc", "mcc", "f1", "balanced_accuracy", "brier", "ece")
HIGHER_IS_BETTER: Final = MappingProxyType(
    {name: name not in ("brier", "ece") for name in METRICS}
)


class WeightedMetrics:
    """
    All of ``METRICS`` for one model, under any row weights, in one pass over the rows.

    The scores are sorted once; each call then costs a few cumulative sums. A bootstrap calls it
    with the number of times that each row was drawn.

    Parameters
    ----------
    labels
        True for the positive class, one value per row.
    scores
        Any real numbers that rise with the positive class; rank the rows for AUROC and AUPRC.
        Ties are one step of the curve, so the order of rows can't matter.
    probabilities
        Values in [0, 1] for the threshold, Brier score and calibration error.
    threshold
        A row is called positive where ``probabilities >= threshold``. One number, or one per row
        (thresholds chosen inside each fold).
    n_bins
        Equal-width bins of the expected calibration error.

    Raises
    ------
    ValueError
        One class, unequal lengths, NaN, or probabilities outside [0, 1].

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> p = [0.1, 0.4, 0.35, 0.8]
    >>> evaluate = stats.WeightedMetrics([0, 0, 1, 1], p, probabilities=p, threshold=0.5)
    >>> evaluate.metrics()["auroc"]
    0.75
    >>> evaluate.metrics([1, 0, 1, 1])["auroc"]
    1.0
    """

    def __init__(
        self,
        labels: ArrayLike,
        scores: ArrayLike,
        *,
        probabilities: ArrayLike,
        threshold: float | ArrayLike,
        n_bins: int = 15,
    ) -> None:
        check_positive_int(n_bins, "n_bins")
        truth = as_labels(labels)
        n = len(truth)
        score = as_vector(scores, "scores", n)
        probability = as_probabilities(probabilities, "probabilities", n)
        cutoff = as_vector(
            np.broadcast_to(threshold, n) if np.ndim(threshold) == 0 else threshold, "threshold", n
        )
        self.n, self.truth = n, truth
        self._positive = truth.astype(np.float64)
        self._order = np.argsort(-score, kind="stable")
        ranked = score[self._order]
        self._last_of_tie = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), n - 1)
        self._cell = 2 * truth + (probability >= cutoff)  # 0 TN, 1 FP, 2 FN, 3 TP
        self._squared_error = (probability - self._positive) ** 2
        self._gap = probability - self._positive
        self._n_bins = n_bins
        self._bin = equal_width(probability, n_bins)

    def values(self, weights: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """
        Metrics in the order of ``METRICS``, without any check.

        Parameters
        ----------
        weights
            One non-negative number per row.

        Returns
        -------
        Shape (metrics,), or ``None`` where a class has no weight.
        """
        positive = weights * self._positive
        true = np.cumsum(positive[self._order])[self._last_of_tie]
        called = np.cumsum(weights[self._order])[self._last_of_tie]
        total, n_true = called[-1], true[-1]
        if n_true <= 0 or total - n_true <= 0:
            return None
        table = np.bincount(self._cell, weights, minlength=4)
        brier = float(weights @ self._squared_error) / total
        ece = float(np.abs(self.gaps(weights)).sum())
        return np.array([*_ranking(true, called), *_calls(*table), brier, ece])

    @property
    def n_pairs(self) -> float:
        """Number of pairs of a positive and a negative row."""
        n_true = float(self._positive.sum())
        return n_true * (self.n - n_true)

    def gaps(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """
        Signed gap of each bin, whose absolute values add up to the calibration error.

        Parameters
        ----------
        weights
            One non-negative number per row.

        Returns
        -------
        Sum of probability minus label over the total weight, shape (bins,).
        """
        return gap_sums(self._bin, self._gap, weights, self._n_bins)

    def metrics(self, sample_weight: ArrayLike | None = None) -> dict[str, float]:
        """
        Metrics by name.

        Parameters
        ----------
        sample_weight
            One non-negative number per row; default 1.

        Returns
        -------
        A number for each of ``METRICS``.

        Raises
        ------
        ValueError
            Unequal length, a negative or missing weight, or a class of weight 0.
        """
        found = self.values(as_weights(sample_weight, self.n))
        if found is None:
            todo = "Give weight to rows of both classes."
            msg = problem("both classes to carry weight", "a class of weight 0", todo)
            raise ValueError(msg)
        return dict(zip(METRICS, found.tolist(), strict=True))


def _ranking(true: NDArray[np.float64], called: NDArray[np.float64]) -> tuple[float, float]:
    """AUROC by trapezoids and average precision by steps, from counts above each tie."""
    n_true, n_false = true[-1], called[-1] - true[-1]
    false = called - true
    step = np.diff(true, prepend=0.0)
    # A tie adds a trapezoid whose sides are the true positives before and after it.
    auroc = float(np.diff(false, prepend=0.0) @ (true - step / 2)) / (n_true * n_false)
    precision = np.divide(true, called, out=np.zeros_like(true), where=called > 0)
    return auroc, float(step @ precision) / n_true


def _calls(tn: float, fp: float, fn: float, tp: float) -> tuple[float, float, float]:
    """MCC, F1 and balanced accuracy; MCC is 0 where all calls are alike, as in scikit-learn."""
    spread = np.sqrt((tp + fp) * (tn + fn)) * np.sqrt((tp + fn) * (tn + fp))
    mcc = (tp * tn - fp * fn) / spread if spread > 0 else 0.0
    f1 = 2 * tp / (2 * tp + fp + fn)
    return float(mcc), float(f1), float(tp / (tp + fn) + tn / (tn + fp)) / 2


def classification_metrics(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    probabilities: ArrayLike,
    threshold: float | ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> dict[str, float]:
    """
    AUROC, AUPRC, MCC, F1, balanced accuracy, Brier score and expected calibration error.

    Parameters
    ----------
    labels
        True for the positive class, one value per row.
    scores
        Any real numbers that rise with the positive class, for AUROC and AUPRC (average
        precision). Ties count exactly; the order of rows can't matter.
    probabilities
        Values in [0, 1], for the threshold, Brier score and ECE.
    threshold
        A row is called positive where ``probabilities >= threshold``; one number or one per row.
    sample_weight
        Non-negative weights, one per row.

    Returns
    -------
    A number for each of ``METRICS``. ``auroc``, ``auprc``, ``f1``, ``balanced_accuracy``,
    ``brier`` and ``ece`` lie in [0, 1], ``mcc`` in [-1, 1]. ECE uses 15 equal-width bins.

    Raises
    ------
    ValueError
        One class, unequal lengths, NaN, or probabilities outside [0, 1].

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> p = [0.1, 0.4, 0.35, 0.8]
    >>> found = stats.classification_metrics([0, 0, 1, 1], p, probabilities=p, threshold=0.5)
    >>> found["auroc"], found["balanced_accuracy"]
    (0.75, 0.75)
    """
    evaluate = WeightedMetrics(labels, scores, probabilities=probabilities, threshold=threshold)
    return evaluate.metrics(sample_weight)
