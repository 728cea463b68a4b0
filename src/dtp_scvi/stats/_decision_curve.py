"""Is acting on the probability worth more than treating all, or none?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import problem
from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights, interval
from dtp_scvi.stats._check import Columns, as_codes, as_labels, as_probabilities

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_REFERENCES: Final = ("all", "none")


def decision_curve(
    labels: ArrayLike,
    probabilities: ArrayLike | Columns,
    thresholds: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    n_boot: int = 0,
    level: float = 0.95,
    seed: int | None = 0,
) -> pd.DataFrame:
    """
    Net benefit of acting on a probability, over thresholds.

    Net benefit is ``TP / n - FP / n * t / (1 - t)``: at threshold t one accepts (1 - t) / t
    false positives for a true one (Vickers & Elkin 2006, doi:10.1177/0272989X06295361).

    Parameters
    ----------
    labels
        True for the positive class, one value per row.
    probabilities
        Values in [0, 1], one per row, or one column per model; positive where >= the threshold.
    thresholds
        Numbers in (0, 1); by default 0.01 to 0.99.
    groups
        The donor of each row, resampled for the interval; ``None`` resamples rows.
    n_boot
        Resamples for the intervals; 0 leaves them NaN.
    level
        Coverage of the intervals.
    seed
        Seed of the resamples.

    Returns
    -------
    Columns threshold, strategy (``"model"`` or the name of the column, ``"all"``, ``"none"``),
    net_benefit, low, high.

    Raises
    ------
    ValueError
        One class, unequal lengths, thresholds outside (0, 1), or a column called all or none.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> table = stats.decision_curve([0, 0, 1, 1], [0.1, 0.6, 0.7, 0.9], [0.5])
    >>> dict(zip(table["strategy"], table["net_benefit"]))
    {'model': 0.25, 'all': 0.0, 'none': 0.0}
    """
    truth = as_labels(labels)
    n = len(truth)
    named = isinstance(probabilities, Mapping | pd.DataFrame)
    columns = dict(probabilities.items()) if named else {"model": probabilities}  # type: ignore[union-attr]
    taken = [name for name in columns if name in _REFERENCES]
    if taken:
        msg = problem(f"models not called {' or '.join(_REFERENCES)}", taken[0], "Rename it.")
        raise ValueError(msg)
    scores = [as_probabilities(column, "probabilities", n) for column in columns.values()]
    grid = np.arange(1, 100) / 100 if thresholds is None else np.atleast_1d(thresholds)
    grid = np.asarray(grid, dtype=np.float64)
    if grid.size == 0 or not np.all((grid > 0) & (grid < 1)):
        todo = "At 0 all are treated and at 1 a false positive costs without end."
        msg = problem("`thresholds` in (0, 1)", f"{grid.tolist()[:5]}", todo)
        raise ValueError(msg)
    curve = _NetBenefit(truth, scores, grid)
    value = curve(np.ones(n))
    low, high = np.full((2, *value.shape), np.nan)
    if n_boot:
        weights = cluster_bootstrap_weights(groups, n_boot, seed=seed, n_rows=n)
        n_clusters = len(np.unique(as_codes(groups, n)))
        draws = np.array([curve(row) for row in weights])
        low, high = interval(draws, level, n_clusters=n_clusters)
    strategies = (*columns, *_REFERENCES)
    return pd.DataFrame(
        {
            "threshold": np.tile(grid, len(strategies)),
            "strategy": np.repeat(np.array(strategies, dtype=object), len(grid)),
            "net_benefit": value.ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
        }
    )


class _NetBenefit:
    """Net benefit of each model, all and none under any row weights: (models + 2, thresholds)."""

    def __init__(
        self,
        truth: NDArray[np.bool_],
        scores: list[NDArray[np.float64]],
        grid: NDArray[np.float64],
    ) -> None:
        self.truth, self.odds = truth, grid / (1 - grid)
        order = np.argsort(grid)
        # How many of the thresholds, in rising order, call each row.
        self.calls = [np.searchsorted(grid[order], score, side="right") for score in scores]
        self.rank = np.argsort(order)

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        share, size = weights / weights.sum(), len(self.odds) + 1
        true, false = share * self.truth, share * ~self.truth
        curves = []
        for calls in self.calls:
            counts = [np.bincount(calls, part, minlength=size) for part in (true, false)]
            above = [np.cumsum(part[::-1])[::-1][1:][self.rank] for part in counts]
            curves.append(above[0] - above[1] * self.odds)
        everyone = true.sum() - false.sum() * self.odds
        return np.stack([*curves, everyone, np.zeros_like(everyone)])
