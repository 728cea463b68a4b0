"""How closely a student follows its teacher."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from dtp_scvi._validate import problem
from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights, interval
from dtp_scvi.stats._check import as_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FIDELITY: Final = ("spearman", "pearson", "agreement", "kappa")


def fidelity(
    teacher_logit: ArrayLike,
    student_logit: ArrayLike,
    *,
    teacher_threshold: float,
    student_threshold: float,
) -> dict[str, float]:
    """
    Rank correlation of teacher and student, and agreement of their calls.

    Parameters
    ----------
    teacher_logit, student_logit
        Logits of the same rows, on data neither was trained on.
    teacher_threshold, student_threshold
        Thresholds on the logit scale; a row is called positive where logit >= threshold.

    Returns
    -------
    ``spearman`` and ``pearson`` in [-1, 1] (NaN where a side is constant), ``agreement`` (share of
    equal calls), ``kappa`` (Cohen's; NaN where both sides call all rows alike), ``n`` (rows).

    Raises
    ------
    ValueError
        Unequal lengths, NaN, or fewer than two rows.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> found = stats.fidelity(
    ...     [-2.0, -1.0, 1.0, 2.0],
    ...     [-1.0, 0.5, 1.0, 3.0],
    ...     teacher_threshold=0.0,
    ...     student_threshold=0.0,
    ... )
    >>> found["spearman"], found["agreement"], found["kappa"]
    (1.0, 0.75, 0.5)
    """
    teacher, student = _pair(teacher_logit, student_logit)
    calls = _thresholds(teacher, student, teacher_threshold, student_threshold)
    return {**_fidelity(teacher, student, *calls), "n": len(teacher)}


def fidelity_interval(
    teacher_logit: ArrayLike,
    student_logit: ArrayLike,
    *,
    teacher_threshold: float,
    student_threshold: float,
    groups: ArrayLike | None = None,
    n_boot: int = 200,
    seed: int | None = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """
    ``fidelity`` with cluster-bootstrap intervals.

    Parameters
    ----------
    teacher_logit, student_logit
        Logits of the same rows.
    teacher_threshold, student_threshold
        Thresholds on the logit scale.
    groups
        The donor of each row, resampled whole; ``None`` resamples rows.
    n_boot
        Number of resamples.
    seed
        Seed of the resamples.
    level
        Coverage of the percentile interval.

    Returns
    -------
    Columns metric (spearman, pearson, agreement, kappa), value, low, high, n_boot (resamples in
    which it exists).

    Raises
    ------
    ValueError
        Unequal lengths, NaN, fewer than two rows or clusters.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> logit = np.linspace(-3, 3, 50)
    >>> table = stats.fidelity_interval(logit, logit, teacher_threshold=0, student_threshold=0)
    >>> table["low"].round(3).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    teacher, student = _pair(teacher_logit, student_logit)
    calls = _thresholds(teacher, student, teacher_threshold, student_threshold)
    value = _fidelity(teacher, student, *calls)
    resamples = cluster_bootstrap_weights(groups, n_boot, seed=seed, n_rows=len(teacher))
    draws = np.full((n_boot, len(FIDELITY)), np.nan)
    for index, weights in enumerate(resamples):
        rows = np.repeat(np.arange(len(teacher)), weights.astype(np.intp))
        parts = (teacher[rows], student[rows], calls[0][rows], calls[1][rows])
        draws[index] = list(_fidelity(*parts).values())
    low, high = interval(draws, level)
    return pd.DataFrame(
        {
            "metric": list(FIDELITY),
            "value": list(value.values()),
            "low": low,
            "high": high,
            "n_boot": np.count_nonzero(~np.isnan(draws), axis=0),
        }
    )


def _fidelity(
    teacher: NDArray[np.float64],
    student: NDArray[np.float64],
    teacher_call: NDArray[np.bool_],
    student_call: NDArray[np.bool_],
) -> dict[str, float]:
    agreement = float(np.mean(teacher_call == student_call))
    a, b = float(teacher_call.mean()), float(student_call.mean())
    chance = a * b + (1 - a) * (1 - b)
    kappa = (agreement - chance) / (1 - chance) if chance < 1 else math.nan
    ranked = _correlation(rankdata(teacher), rankdata(student))
    return {
        "spearman": ranked,
        "pearson": _correlation(teacher, student),
        "agreement": agreement,
        "kappa": kappa,
    }


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))


def _pair(
    teacher_logit: ArrayLike, student_logit: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n = len(np.atleast_1d(np.asarray(teacher_logit)))
    teacher = as_vector(teacher_logit, "teacher_logit", n)
    student = as_vector(student_logit, "student_logit", n)
    if n < 2:
        msg = problem("at least 2 rows to compare", f"{n}", "Pass logits of more rows.")
        raise ValueError(msg)
    return teacher, student


def _thresholds(
    teacher: NDArray[np.float64],
    student: NDArray[np.float64],
    teacher_threshold: float,
    student_threshold: float,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    for name, value in (
        ("teacher_threshold", teacher_threshold),
        ("student_threshold", student_threshold),
    ):
        if math.isnan(value):
            msg = problem(f"`{name}` to be a number", "NaN", "Choose a threshold first.")
            raise ValueError(msg)
    return teacher >= teacher_threshold, student >= student_threshold
