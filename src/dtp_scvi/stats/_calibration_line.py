"""Calibration intercept and slope."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._validate import problem
from dtp_scvi.stats._calibration_metrics import rows
from dtp_scvi.stats._check import as_labels
from dtp_scvi.stats._link import logit
from dtp_scvi.stats._logistic import fit_logistic, refuse_constant, separated

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def calibration_line(
    labels: ArrayLike, probabilities: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> dict[str, float]:
    """
    Calibration-in-the-large and calibration slope.

    The intercept is that of a logistic regression of the label on a constant with the logit of
    the probability as offset; the slope that of one on the logit (Cox 1958; Van Calster et al.
    2016, doi:10.1016/j.jclinepi.2015.12.005).

    Parameters
    ----------
    labels
        True for the positive class, one value per row.
    probabilities
        Values in [0, 1]; kept 1e-7 away from 0 and 1 before the logit.
    sample_weight
        Non-negative weights, one per row.

    Returns
    -------
    ``intercept``: 0 is perfect, above 0 the probabilities are too low on the whole. ``slope``: 1
    is perfect, below 1 they are too extreme; infinite where the probability parts the classes.

    Raises
    ------
    ValueError
        One class, constant probabilities, unequal lengths, or a class of weight 0.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> line = stats.calibration_line([0, 0, 0, 1, 0, 1, 1, 1], [0.25] * 4 + [0.75] * 4)
    >>> round(line["intercept"], 6) + 0, round(line["slope"], 6)
    (0.0, 1.0)
    """
    as_labels(labels)
    truth, score, weights = rows(labels, probabilities, sample_weight)
    kept = weights > 0
    line = CalibrationLine(truth[kept], logit(score[kept]))
    if not 0 < float(weights[kept] @ truth[kept]) < weights.sum():
        todo = "Give weight to rows of both classes."
        raise ValueError(problem("both classes to carry weight", "a class of weight 0", todo))
    refuse_constant(score[kept], "probabilities")
    intercept, slope = line(weights[kept])
    return {"intercept": float(intercept), "slope": float(slope)}


class CalibrationLine:
    """Fits intercept and slope under any row weights, each time from the first solution."""

    def __init__(self, truth: NDArray[np.float64], logits: NDArray[np.float64]) -> None:
        self.truth, self.logits = truth, logits
        self._constant = np.ones((len(logits), 1))
        self._line = np.column_stack([self._constant, logits])
        self._starts: list[NDArray[np.float64] | None] = [None, None]

    def __call__(self, weights: NDArray[np.float64]) -> tuple[float, float]:
        """Return intercept and slope; NaN where the weights leave a class empty."""
        kept = weights > 0
        truth = self.truth[kept] > 0
        if truth.all() or not truth.any():
            return math.nan, math.nan
        level = self._fit(0, self._constant[kept], kept, weights, self.logits[kept])
        return level, self._slope(kept, weights)

    def _slope(self, kept: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
        logits, truth = self.logits[kept], self.truth[kept] > 0
        if np.ptp(logits) == 0:
            return math.nan
        if separated(logits, truth):
            return math.inf if logits[truth].mean() > logits[~truth].mean() else -math.inf
        return self._fit(1, self._line[kept], kept, weights, 0.0)

    def _fit(
        self,
        which: int,
        columns: NDArray[np.float64],
        kept: NDArray[np.bool_],
        weights: NDArray[np.float64],
        offset: NDArray[np.float64] | float,
    ) -> float:
        """Last coefficient of one of the two regressions."""
        found = fit_logistic(
            columns,
            self.truth[kept],
            weights[kept],
            offset=offset,
            start=self._starts[which],
        )
        if found is None:
            return math.nan
        if self._starts[which] is None:
            self._starts[which] = found
        return float(found[-1])
