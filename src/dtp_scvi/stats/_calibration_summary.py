"""All calibration metrics with donor-bootstrap intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.sparse import csr_array

from dtp_scvi.stats._bins import equal_mass, equal_width
from dtp_scvi.stats._bootstrap import cluster_counts, interval
from dtp_scvi.stats._calibration_line import CalibrationLine
from dtp_scvi.stats._calibration_metrics import (
    ace,
    brier_decomposition,
    ece,
    log_loss,
    mce,
    rows,
    surprise,
)
from dtp_scvi.stats._check import as_labels
from dtp_scvi.stats._link import logit
from dtp_scvi.stats._norm_interval import norm_interval, total
from dtp_scvi.stats._smooth_ece import (
    MESH,
    bandwidth,
    mesh_position,
    smooth_ece,
    smoothed,
    to_spectrum,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_BINS: Final = 15
CALIBRATION_METRICS: Final = (
    "brier",
    "reliability",
    "resolution",
    "uncertainty",
    "log_loss",
    "ece",
    "ace",
    "mce",
    "smooth_ece",
    "intercept",
    "slope",
)


def calibration_metrics(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int | None = 0,
) -> dict[str, dict[str, float]]:
    """
    Every calibration metric with an interval from resampling whole donors.

    Intervals are percentiles of the resamples, widened as a t distribution is for few donors.
    ECE, ACE, MCE, smooth ECE, reliability and resolution are sizes of noisy gaps and so biased
    upwards; theirs hold the true sizes under which the one seen is no surprise, reach 0 where
    noise explains it, and may lie below the value. Bins, and the width of the smooth ECE, stay
    those of the full sample.

    Parameters
    ----------
    labels
        True for the positive class, one value per row.
    probabilities
        Values in [0, 1].
    groups
        The donor of each row; ``None`` resamples rows, which is optimistic where rows of a donor
        resemble one another.
    n_boot
        Number of resamples.
    level
        Coverage of the intervals, in (0, 1).
    seed
        Seed of the resamples.

    Returns
    -------
    For each of ``CALIBRATION_METRICS`` a dictionary of ``value``, ``low`` and ``high``. 15 bins
    throughout. The slope is NaN where all probabilities are equal, infinite where they part the
    classes.

    Raises
    ------
    ValueError
        One class, unequal lengths, probabilities outside [0, 1], fewer than two donors.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> rng = np.random.default_rng(0)
    >>> p = rng.random(300)
    >>> found = stats.calibration_metrics(rng.random(300) < p, p, groups=np.arange(300) % 10)
    >>> found["ece"]["low"] == 0 and found["slope"]["low"] < 1 < found["slope"]["high"]
    True
    """
    as_labels(labels)
    truth, score, weights = rows(labels, probabilities, None)
    codes, counts = cluster_counts(groups, n_boot, seed=seed, n_rows=len(truth))
    line = CalibrationLine(truth, logit(score))
    value = _values(truth, score, line, weights)
    sums = _Sums(truth, score, codes)
    drawn = list(counts)
    tables = np.array([sums(count) for count in drawn])
    lines = np.array([line(count[codes]) for count in drawn])
    n_clusters = int(codes.max()) + 1
    ends = sums.intervals(tables, level, n_clusters)
    ends["intercept"] = interval(lines[:, 0], level, n_clusters=n_clusters)
    # On the angle: a resample that the probability parts has an infinite slope.
    angle = interval(np.arctan(lines[:, 1]), level, n_clusters=n_clusters)
    ends["slope"] = (_tangent(float(angle[0])), _tangent(float(angle[1])))
    return {
        name: {"value": value[name], "low": float(ends[name][0]), "high": float(ends[name][1])}
        for name in CALIBRATION_METRICS
    }


def _tangent(angle: float) -> float:
    return math.inf if angle >= math.pi / 2 else math.tan(angle)


def _values(
    truth: NDArray[np.float64],
    score: NDArray[np.float64],
    line: CalibrationLine,
    weights: NDArray[np.float64],
) -> dict[str, float]:
    intercept, slope = line(weights)
    return {
        **brier_decomposition(truth, score, _BINS),
        "log_loss": log_loss(truth, score),
        "ece": ece(truth, score, _BINS),
        "ace": ace(truth, score, _BINS),
        "mce": mce(truth, score, _BINS),
        "smooth_ece": smooth_ece(truth, score),
        "intercept": intercept,
        "slope": slope,
    }


class _Sums:
    """Sums per donor of what the metrics are made of: a resample only adds donors up."""

    def __init__(
        self, truth: NDArray[np.float64], score: NDArray[np.float64], codes: NDArray[np.intp]
    ) -> None:
        n, gap, ones = len(truth), score - truth, np.ones(len(truth))
        width, mass = equal_width(score, _BINS), equal_mass(score, ones, _BINS)
        left, share = mesh_position(score)
        parts = (
            ("width", _BINS, width, gap),
            ("equal", _BINS, mass, gap),
            ("true", _BINS, width, truth),
            ("rows", _BINS, width, ones),
            ("mesh", MESH, left, gap * (1 - share)),
            ("brier", 1, np.zeros(n, dtype=np.intp), gap**2),
            ("log_loss", 1, np.zeros(n, dtype=np.intp), surprise(truth, score)),
        )
        self.columns: dict[str, slice] = {}
        place, data, stop = [], [], 0
        for name, size, cell, values in parts:
            self.columns[name] = slice(stop, stop + size)
            place.append(stop + cell)
            data.append(values)
            stop += size
        place.append(self.columns["mesh"].start + left + 1)
        data.append(gap * share)
        shape = (stop, int(codes.max()) + 1)
        where = (np.concatenate(place), np.tile(codes, len(place)))
        self.table = csr_array((np.concatenate(data), where), shape=shape)
        self.full = self(np.ones(shape[1]))
        self.sigma = bandwidth(to_spectrum(self.full[self.columns["mesh"]]))

    def __call__(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over the drawn donors, over the rows they hold."""
        sums = self.table @ counts
        return sums / sums[self.columns["rows"]].sum()

    def intervals(
        self, tables: NDArray[np.float64], level: float, n_clusters: int
    ) -> dict[str, tuple[float, float]]:
        """Interval of each metric but the calibration line."""
        full = {name: self.full[part] for name, part in self.columns.items()}
        draws = {name: tables[:, part] for name, part in self.columns.items()}
        ends = {
            name: interval(draws[name][:, 0], level, n_clusters=n_clusters)
            for name in ("brier", "log_loss")
        }
        rate = draws["true"].sum(axis=1)
        ends["uncertainty"] = interval(rate * (1 - rate), level, n_clusters=n_clusters)
        mass = full["rows"]
        kept = mass > 0

        def squares(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
            return (gaps[..., kept] ** 2 / mass[kept]).sum(axis=-1)

        def largest(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.abs(gaps[..., kept] / mass[kept]).max(axis=-1)

        for name, part, size in (
            ("ece", "width", total),
            ("ace", "equal", total),
            ("mce", "width", largest),
            ("reliability", "width", squares),
        ):
            ends[name] = norm_interval(
                full[part], draws[part], level, n_clusters=n_clusters, size=size
            )
        apart = [
            found["true"] - found["rows"] * found["true"].sum(axis=-1, keepdims=True)
            for found in (full, draws)
        ]
        ends["resolution"] = norm_interval(
            apart[0], apart[1], level, n_clusters=n_clusters, size=squares
        )
        curves = [smoothed(to_spectrum(found["mesh"]), self.sigma) for found in (full, draws)]
        ends["smooth_ece"] = norm_interval(curves[0], curves[1], level, n_clusters=n_clusters)
        return ends
