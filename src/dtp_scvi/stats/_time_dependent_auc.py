"""AUC of a score for events up to a time, weighted for what censoring hides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._validate import problem
from dtp_scvi.stats._auroc import auroc
from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights, interval
from dtp_scvi.stats._check import as_codes, as_vector
from dtp_scvi.stats._follow_up import FollowUp, as_follow_up

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def time_dependent_auc(
    time: ArrayLike, event: ArrayLike, scores: ArrayLike, horizon: float
) -> float:
    """
    Cumulative/dynamic AUC: how often a row with an event by ``horizon`` scores higher.

    Cases are the rows with an event up to the horizon, controls those followed beyond it. Rows
    lost before are neither; cases stand in for them, weighted by the inverse probability of
    being followed until just before their event, by Kaplan-Meier (Uno et al. 2007,
    doi:10.1198/016214507000000149; Blanche et al. 2013, doi:10.1002/sim.5958). That takes
    censoring that does not depend on the score. **Above 0.5 a higher score means an earlier
    event.**

    Parameters
    ----------
    time
        Time to event or loss, at least 0.
    event
        True (1) where the event was seen.
    scores
        Any real numbers, higher for more risk; equal ones count a half.
    horizon
        Time at which cases and controls are told apart, in the unit of ``time``.

    Returns
    -------
    A number from 0 to 1.

    Raises
    ------
    ValueError
        A negative or missing time, an event other than 0/1, a missing score, unequal lengths, no
        event up to ``horizon``, or nobody followed beyond it.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.time_dependent_auc([1, 2, 3, 4], [1, 1, 0, 0], [4, 1, 3, 2], 2.5)
    0.5
    """
    return _Cases(time, event, scores, horizon).value(np.ones(np.size(time)))


def time_dependent_auc_interval(
    time: ArrayLike,
    event: ArrayLike,
    scores: ArrayLike,
    horizon: float,
    *,
    groups: ArrayLike | None = None,
    n_boot: int = 1000,
    seed: int | None = 0,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """
    Time-dependent AUC with a bootstrap interval that draws whole patients.

    The weights for censoring are estimated anew in each resample.

    Parameters
    ----------
    time, event, scores, horizon
        See :func:`time_dependent_auc`.
    groups
        Patient of each row; ``None`` where each row is a patient.
    n_boot
        Number of resamples; those without cases or controls are left out.
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
        As :func:`time_dependent_auc`, or fewer than two patients.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.time_dependent_auc_interval([1, 2, 3, 4], [1, 1, 0, 0], [4, 3, 2, 1], 2, n_boot=20)
    (1.0, 1.0, 1.0)
    """
    cases = _Cases(time, event, scores, horizon)
    codes = as_codes(groups, np.size(time))
    draws = cluster_bootstrap_weights(codes, n_boot, seed=seed)
    values = [cases.value(weights) for weights in draws]
    low, high = interval(values, level, n_clusters=len(np.unique(codes)))
    return cases.value(np.ones(np.size(time))), float(low), float(high)


class _Cases:
    """Cases and controls at a horizon; each call weighs the rows anew."""

    def __init__(
        self, time: ArrayLike, event: ArrayLike, scores: ArrayLike, horizon: float
    ) -> None:
        times, events = as_follow_up(time, event)
        self._score = as_vector(scores, "scores", len(times))
        self._case = (times <= horizon) & events
        self._control = times > horizon
        if not (self._case.any() and self._control.any()):
            found = (
                f"{self._case.sum():,} events up to {horizon:g} and {self._control.sum():,} rows "
                "beyond it"
            )
            todo = "Choose a `horizon` within the follow-up."
            msg = problem("events up to `horizon` and follow-up beyond it", found, todo)
            raise ValueError(msg)
        self._table = FollowUp.of(times, events)

    def value(self, weights: NDArray[np.float64]) -> float:
        """The AUC; NaN without a case or a control."""
        after = self._table.uncensored(weights)
        before = np.concatenate([[1.0], after[:-1]])[self._table.place]
        # Where a resample leaves nobody to follow, no drawn row is a case.
        inverse = np.divide(1.0, before, out=np.zeros_like(before), where=before > 0)
        # Of controls the weight is one and the same, so it drops out.
        rows = weights * np.where(self._case, inverse, self._control)
        return auroc(self._case, self._score, sample_weight=rows)
