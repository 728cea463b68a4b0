"""Follow-up times and events: checked, and counted at each distinct time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._validate import problem, shorten
from dtp_scvi.stats._check import as_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def as_follow_up(
    time: ArrayLike, event: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return times >= 0 and events as booleans, of one length; only booleans and 0/1 are taken."""
    times = as_vector(time, "time", np.size(time))
    if times.size and times.min() < 0:
        found = f"{np.count_nonzero(times < 0):,} negative (smallest {times.min():g})"
        msg = problem("`time` >= 0", found, "Drop these rows: -1 often stands for missing.")
        raise ValueError(msg)
    events = np.asarray(event)
    if events.dtype != bool:
        values = np.unique(events)
        if not all(value in (0, 1) for value in values):
            todo = "Compare with the event first, e.g. status == 'dead'."
            msg = problem("`event` to be boolean or 0/1", f"values {shorten(values)}", todo)
            raise ValueError(msg)
    return times, as_vector(events, "event", times.size).astype(bool)


@dataclass(frozen=True)
class FollowUp:
    """Rows in order of time; at equal times events come before losses to follow-up."""

    times: NDArray[np.float64]
    """Distinct times, rising."""
    place: NDArray[np.intp]
    """Position of each row's time in ``times``."""
    event: NDArray[np.bool_]

    @classmethod
    def of(cls, time: NDArray[np.float64], event: NDArray[np.bool_]) -> FollowUp:
        """Sort the times once; each weighting of the rows then costs a few sums."""
        times, place = np.unique(time, return_inverse=True)
        return cls(times, place, event)

    def counts(
        self, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Rows at risk, events and losses at each distinct time."""
        n = len(self.times)
        leaving: NDArray[np.float64] = np.bincount(self.place, weights, n).astype(np.float64)
        events: NDArray[np.float64] = np.bincount(self.place, weights * self.event, n).astype(
            np.float64
        )
        return np.cumsum(leaving[::-1])[::-1], events, leaving - events

    def survival(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Kaplan-Meier survival just after each distinct time."""
        at_risk, events, _ = self.counts(weights)
        return product_limit(events, at_risk)

    def uncensored(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Kaplan-Meier probability of being followed up to just after each distinct time."""
        at_risk, events, lost = self.counts(weights)
        return product_limit(lost, at_risk - events)


def product_limit(gone: NDArray[np.float64], at_risk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Product of the shares that stay; where nobody is at risk, nothing changes."""
    share = np.divide(gone, at_risk, out=np.zeros_like(at_risk), where=at_risk > 0)
    # Sums of weights leave rounding errors of either sign.
    return np.cumprod(np.clip(1 - share, 0.0, 1.0))


def median_follow_up(time: ArrayLike, event: ArrayLike) -> float:
    """
    Median follow-up by the reverse Kaplan-Meier method; infinite where it is not reached.

    Events count as losses and losses as events (Schemper & Smith 1996,
    doi:10.1016/0197-2456(96)00075-X), so early deaths do not shorten it.

    Parameters
    ----------
    time
        Time to event or loss, at least 0.
    event
        True (1) where the event was seen.

    Returns
    -------
    The time by which half of the rows would have been lost if there were no events.

    Raises
    ------
    ValueError
        A negative or missing time, or an event other than 0/1.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.median_follow_up([1, 2, 3, 4], [0, 0, 0, 0])
    2.0
    """
    times, events = as_follow_up(time, event)
    table = FollowUp.of(times, events)
    # At most a half, but for the rounding of the product.
    reached = np.flatnonzero(table.uncensored(np.ones(len(times))) <= 0.5 + 1e-12)
    return float(table.times[reached[0]]) if len(reached) else float("inf")
