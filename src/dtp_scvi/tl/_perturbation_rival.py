"""How much better a model is than the best baseline, row by row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from dtp_scvi._constants import LOWER_IS_BETTER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dtp_scvi.tl._perturbation_metrics import Resampling, Row


class Margin(NamedTuple):
    """A model's value minus that of the baseline that is best by the same metric."""

    best_baseline: str
    difference: float
    difference_low: float
    difference_high: float


NO_MARGIN: Final = Margin("", math.nan, math.nan, math.nan)


def margins(
    rows: Sequence[Row], baselines: Sequence[tuple[str, Sequence[Row]]], how: Resampling
) -> list[Margin]:
    """Return the paired difference to the best baseline for each row of a model.

    The best baseline is the best one on the rows of the evaluation, which favours the baseline. The
    interval resamples the same units as those of the values; there is none where a metric is no
    mean over groups of rows.

    Parameters
    ----------
    rows
        Metrics of a model.
    baselines
        Names and metrics of the baselines.
    how
        How intervals are made.
    """
    return [_margin(row, baselines, how) for row in rows]


def _margin(row: Row, baselines: Sequence[tuple[str, Sequence[Row]]], how: Resampling) -> Margin:
    same = [
        (name, other)
        for name, found in baselines
        for other in found
        if other[:3] == row[:3] and math.isfinite(other.value)
    ]
    if not same or not math.isfinite(row.value):
        return NO_MARGIN
    sign = -1 if row.metric in LOWER_IS_BETTER else 1
    name, best = max(same, key=lambda pair: sign * pair[1].value)
    if row.values is None or best.values is None:
        return Margin(name, row.value - best.value, math.nan, math.nan)
    gap = row.values - best.values
    known = np.isfinite(gap)
    return Margin(name, *how.mean(gap[known], None if row.units is None else row.units[known]))
