"""Mean survival time up to a horizon, and how two groups differ in it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import norm

from dtp_scvi._validate import check_range, problem
from dtp_scvi.stats._follow_up import FollowUp, as_follow_up

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class MeanDifference(NamedTuple):
    """
    A difference with its normal interval and p-value.

    Attributes
    ----------
    value
        The difference.
    low, high
        Ends of the interval.
    p_value
        Two-sided p-value of no difference.
    """

    value: float
    low: float
    high: float
    p_value: float


def rmst(time: ArrayLike, event: ArrayLike, horizon: float) -> tuple[float, float]:
    """
    Restricted mean survival time: the area under the Kaplan-Meier curve up to ``horizon``.

    Parameters
    ----------
    time
        Time to event or loss, at least 0.
    event
        True (1) where the event was seen.
    horizon
        End of the area, above 0 and not beyond the longest time.

    Returns
    -------
    The area in the unit of ``time``, and its standard error: Greenwood's, carried through the
    area (Klein & Moeschberger 2003, section 4.5, without their small-sample factor).

    Raises
    ------
    ValueError
        A negative or missing time, an event other than 0/1, unequal lengths, or a horizon where
        the curve is not known.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> area, error = stats.rmst([1, 2, 3, 4], [1, 1, 1, 1], 4)
    >>> area, round(error, 3)
    (2.5, 0.559)
    """
    times, events = as_follow_up(time, event)
    check_range(horizon, "horizon", 0.0, inclusive=False)
    longest = float(times.max(initial=0.0))
    if horizon > longest:
        todo = "Choose an earlier `horizon`."
        msg = problem(f"`horizon` up to the longest time {longest:g}", f"{horizon:g}", todo)
        raise ValueError(msg)
    table = FollowUp.of(times, events)
    ones = np.ones(len(times))
    at_risk, deaths, _ = table.counts(ones)
    inside = table.times < horizon
    level = np.concatenate([[1.0], table.survival(ones)[inside]])
    edges = np.concatenate([[0.0], table.times[inside], [horizon]])
    areas = level * np.diff(edges)
    # Area from each distinct time to the horizon.
    ahead = np.cumsum(areas[::-1])[::-1][1:]
    n, d = at_risk[inside], deaths[inside]
    step = np.divide(d, n * (n - d), out=np.zeros_like(n), where=n > d)
    return float(areas.sum()), math.sqrt(float(ahead**2 @ step))


def rmst_difference(
    time: ArrayLike,
    event: ArrayLike,
    high: ArrayLike,
    horizon: float,
    *,
    level: float = 0.95,
) -> MeanDifference:
    """
    Difference in restricted mean survival time, rows of ``high`` minus the others.

    **Below 0 the rows of** ``high`` **have their event earlier.** It needs no proportional
    hazards, so it can be read where they do not hold (Royston & Parmar 2013,
    doi:10.1186/1471-2288-13-152).

    Parameters
    ----------
    time, event, horizon
        See :func:`rmst`; the horizon may not lie beyond the longest time of either group.
    high
        True for rows of the group with the high score.
    level
        Coverage of the normal interval.

    Returns
    -------
    ``value``, ``low``, ``high`` in the unit of ``time``, and ``p_value`` of no difference; NaN
    where the standard error is 0.

    Raises
    ------
    ValueError
        As :func:`rmst`, or one of the groups is empty.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> found = stats.rmst_difference([1, 2, 3, 4, 5, 6], [1] * 6, [1, 1, 1, 0, 0, 0], 3)
    >>> round(found.value, 3), found.high < 0
    (-1.0, True)
    """
    times, events = as_follow_up(time, event)
    check_range(level, "level", 0.0, 1.0, inclusive=False)
    chosen = np.asarray(high).astype(bool)
    if len(chosen) != len(times) or chosen.all() or not chosen.any():
        found = f"{chosen.sum():,} of {len(chosen):,} rows in `high`, {len(times):,} times"
        msg = problem("rows in both groups", found, "Name the group of each row.")
        raise ValueError(msg)
    (above, first), (below, second) = (
        rmst(times[rows], events[rows], horizon) for rows in (chosen, ~chosen)
    )
    value, error = above - below, math.hypot(first, second)
    if error == 0:
        return MeanDifference(value, math.nan, math.nan, math.nan)
    reach = float(norm.ppf((1 + level) / 2)) * error
    p_value = float(2 * norm.sf(abs(value) / error))
    return MeanDifference(value, value - reach, value + reach, p_value)
