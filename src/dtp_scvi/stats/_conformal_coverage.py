"""Do conformal sets keep their promise for donors that they were not fitted on?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_positive_int, check_range, problem
from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights, interval
from dtp_scvi.stats._check import as_codes, as_labels, as_probabilities
from dtp_scvi.stats._conformal import MondrianConformal, fewest_donors
from dtp_scvi.stats._coverage_table import coverage_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_MEASURED: Final = ("coverage", "set_size", "single", "empty")


def conformal_coverage(
    labels: ArrayLike,
    probabilities: ArrayLike,
    groups: ArrayLike | None,
    *,
    levels: Sequence[float] = (0.8, 0.9, 0.95),
    n_folds: int = 20,
    n_boot: int = 200,
    seed: int | None = 0,
) -> pd.DataFrame:
    """
    Coverage of conformal sets on donors left out, by promised level and class.

    Donors are left out in turn, one by one or in ``n_folds`` parts where there are more; sets are
    fitted on the others and judged on those left out. Donors count alike. A level that asks
    for more donors than are left to fit on gets a reason instead of numbers.

    Parameters
    ----------
    labels
        True for the positive class, one value per row.
    probabilities
        Out-of-fold values in [0, 1].
    groups
        The donor of each row; ``None`` gives a reason for every level.
    levels
        Promised coverages, in (0, 1).
    n_folds
        Most parts that donors are divided into.
    n_boot
        Resamples of the tested donors for the 95 % interval; thresholds stay as they are.
    seed
        Seed of the parts and the resamples.

    Returns
    -------
    One row per level and class: level, class (0 or 1), coverage, low, high, set_size (mean number
    of classes), single (share of sets of one class), empty (share of empty ones), n (rows),
    n_groups (donors of the class), reason (empty where there are numbers, which are NaN
    otherwise).

    Raises
    ------
    ValueError
        One class, unequal lengths, a level outside (0, 1), probabilities outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> rng = np.random.default_rng(0)
    >>> labels, donors = rng.random(600) < 0.5, np.arange(600) % 12
    >>> p = stats.sigmoid(rng.normal(size=600) + 2 * labels - 1)
    >>> table = stats.conformal_coverage(labels, p, donors)
    >>> table.groupby("level")["coverage"].min().round(1).tolist()
    [0.8, 0.9, nan]
    >>> table["reason"].iloc[-1]
    'needs 19 donors of each class to fit on, 11 left'
    """
    truth = as_labels(labels)
    score = as_probabilities(probabilities, "probabilities", len(truth))
    check_positive_int(n_folds, "n_folds")
    if len(levels) == 0:
        msg = problem("at least one of `levels`", "none", "Name a promised coverage.")
        raise ValueError(msg)
    for level in levels:
        check_range(level, "levels", 0.0, 1.0, inclusive=False)
    codes = None if groups is None else as_codes(groups, len(truth))
    if codes is None or codes.max() == 0:
        few = _without_numbers(truth, codes, "donors unknown" if codes is None else "one donor")
        return _stack([(level, few) for level in levels])
    left_out = _parts(truth, codes, n_folds, np.random.default_rng(seed))[codes]
    rows = _Rows(truth, score, codes, left_out)
    fewest = rows.fewest_to_fit_on()
    draws = np.array(
        list(cluster_bootstrap_weights(np.arange(codes.max() + 1), n_boot, seed=seed))
    )
    tables = []
    for level in levels:
        needed = fewest_donors(level)
        if fewest < needed:
            reason = f"needs {needed} donors of each class to fit on, {fewest} left"
            tables.append((level, _without_numbers(truth, codes, reason)))
        else:
            tables.append((level, rows.judge(level, draws)))
    return _stack(tables)


@dataclass(frozen=True)
class _Rows:
    """Rows with the donor and the part they are left out with."""

    truth: NDArray[np.bool_]
    score: NDArray[np.float64]
    codes: NDArray[np.intp]
    part: NDArray[np.intp]

    def fewest_to_fit_on(self) -> int:
        """Fewest donors of a class that remain while a part is left out."""
        return min(
            len(np.unique(self.codes[(self.part != part) & (self.truth == side)]))
            for part in np.unique(self.part)
            for side in (False, True)
        )

    def judge(self, level: float, draws: NDArray[np.float64]) -> pd.DataFrame:
        """Fit on the other parts, predict each, and let donors count alike."""
        sets = np.zeros((len(self.truth), 2), dtype=bool)
        for part in np.unique(self.part):
            here = self.part == part
            fitted = MondrianConformal.fit(
                self.score[~here], self.truth[~here], groups=self.codes[~here], level=level
            )
            sets[here] = fitted.predict(self.score[here])
        table = coverage_table(self.truth, sets, self.codes).assign(reason="")
        ends = [self._interval(sets, own, draws) for own in (~self.truth, self.truth)]
        table["low"], table["high"] = zip(*ends, strict=True)
        return table

    def _interval(
        self, sets: NDArray[np.bool_], own: NDArray[np.bool_], draws: NDArray[np.float64]
    ) -> tuple[float, float]:
        """Interval of the coverage of the rows of a class."""
        size = draws.shape[1]
        count = np.bincount(self.codes[own], minlength=size)
        inside = sets[own, self.truth[own].astype(np.intp)]
        held = np.bincount(self.codes[own], inside, minlength=size)
        with_class = count > 0
        weights = draws[:, with_class]
        total = weights.sum(axis=1)
        drawn = total > 0
        values = (weights[drawn] @ (held / np.maximum(count, 1))[with_class]) / total[drawn]
        low, high = interval(values, n_clusters=int(with_class.sum()))
        return float(low), float(high)


def _parts(
    truth: NDArray[np.bool_], codes: NDArray[np.intp], n_folds: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Part of each donor; donors with one class are spread over the parts."""
    n = int(codes.max()) + 1
    classes = [np.bincount(codes, truth == side, minlength=n) > 0 for side in (False, True)]
    order = np.lexsort((rng.random(n), classes[0] + 2 * classes[1]))
    parts = np.empty(n, dtype=np.intp)
    parts[order] = np.arange(n) % min(n, n_folds)
    return parts


def _without_numbers(
    truth: NDArray[np.bool_], codes: NDArray[np.intp] | None, reason: str
) -> pd.DataFrame:
    sides = [truth == side for side in (False, True)]
    groups = [0 if codes is None else len(np.unique(codes[side])) for side in sides]
    return pd.DataFrame(
        {"class": [0, 1], **dict.fromkeys((*_MEASURED, "low", "high"), np.nan)}
    ).assign(n=[int(side.sum()) for side in sides], n_groups=groups, reason=reason)


def _stack(tables: list[tuple[float, pd.DataFrame]]) -> pd.DataFrame:
    columns = [
        "level",
        "class",
        "coverage",
        "low",
        "high",
        *_MEASURED[1:],
        "n",
        "n_groups",
        "reason",
    ]
    parts = [table.assign(level=float(level))[columns] for level, table in tables]
    return pd.concat(parts, ignore_index=True)
