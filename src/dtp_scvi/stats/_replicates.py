"""How well one replicate predicts another: what a perfect model could reach."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_positive_int, check_range, problem
from dtp_scvi.stats._profiles import as_profiles, profile_correlation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class ReplicateCeiling:
    """
    Correlations between replicates of one condition, means over conditions.

    Attributes
    ----------
    pair
        Of two single replicates.
    half
        Of the means of two random halves of the replicates.
    full
        Of the mean of all replicates with that of as many others: ``half`` by Spearman and Brown.
    ceiling_single, ceiling_mean
        What the noise-free profile would reach against a single replicate and against their mean:
        square roots of ``pair`` and ``full``; 0 where these are negative.
    groups, pairs
        The conditions, and the mean correlation of pairs in each.
    n_rows
        Replicates in all of them.
    """

    pair: float
    half: float
    full: float
    ceiling_single: float
    ceiling_mean: float
    groups: NDArray[np.object_]
    pairs: NDArray[np.float64]
    n_rows: int


def replicate_ceiling(
    first: ArrayLike,
    second: ArrayLike,
    groups: ArrayLike,
    *,
    n_splits: int = 10,
    seed: int | None = 0,
) -> ReplicateCeiling:
    """
    Correlate the changes of replicates, each side against controls of its own.

    Parameters
    ----------
    first, second
        Changes of the same rows against two disjoint sets of controls, shape (rows, genes): where
        both sides use one set, its noise is taken for agreement.
    groups
        The condition of each row: drug, dose, time, cell line.
    n_splits
        Random splits into halves.
    seed
        Seed of the splits.

    Returns
    -------
    The correlations; NaN where no condition has two rows.

    Raises
    ------
    ValueError
        Different shapes, or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> rng = np.random.default_rng(0)
    >>> effect = np.repeat(rng.normal(size=(20, 200)), 2, axis=0)
    >>> changes = effect + rng.normal(size=effect.shape)  # half of the variance is noise
    >>> found = stats.replicate_ceiling(changes, changes, np.repeat(np.arange(20), 2))
    >>> round(found.pair, 1), round(found.ceiling_single, 1)
    (0.5, 0.7)
    """
    check_positive_int(n_splits, "n_splits")
    a, b = as_profiles(first, second)
    codes, names = pd.factorize(np.asarray(groups), sort=True)
    if len(codes) != len(a):
        msg = problem(f"a group for each of {len(a):,} rows", f"{len(codes):,}", "Check them.")
        raise ValueError(msg)
    sizes = np.bincount(codes[codes >= 0], minlength=len(names))
    kept = np.flatnonzero(sizes > 1)
    rng = np.random.default_rng(seed)
    pairs, halves, fulls = [], [], []
    for code in kept:
        rows = np.flatnonzero(codes == code)
        pairs.append(_pairs(a[rows], b[rows]))
        half = _halves(a[rows], b[rows], n_splits, rng)
        halves.append(half)
        fulls.append(2 * half / (1 + half) if half > 0 else half)
    pair, half, full = (float(np.mean(x)) if x else math.nan for x in (pairs, halves, fulls))
    return ReplicateCeiling(
        pair=pair,
        half=half,
        full=full,
        ceiling_single=_root(pair),
        ceiling_mean=_root(full),
        groups=np.asarray(names, object)[kept],
        pairs=np.asarray(pairs),
        n_rows=int(sizes[kept].sum()),
    )


def control_artefact(control_sd: float, treated_sd: float, effect_sd: float) -> float:
    """
    What predicting the mean of the controls earns where truth and prediction share one control.

    ``s_c / sqrt(s_c² + s_y² + s_d²)``: the expected correlation of changes of a predictor that knows
    nothing of the drug, with the noise of a control well, of a treated well, and the spread of true
    effects over genes.

    Parameters
    ----------
    control_sd, treated_sd, effect_sd
        Standard deviations, not negative.

    Returns
    -------
    In [0, 1]; 0.71 for equal noise and no effect.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> round(stats.control_artefact(1.0, 1.0, 0.0), 2)
    0.71
    """
    for name, value in (
        ("control_sd", control_sd),
        ("treated_sd", treated_sd),
        ("effect_sd", effect_sd),
    ):
        check_range(value, name, 0.0)
    total = control_sd**2 + treated_sd**2 + effect_sd**2
    return math.sqrt(control_sd**2 / total) if total else 0.0


def _root(value: float) -> float:
    return value if math.isnan(value) else math.sqrt(max(value, 0.0))


def _pairs(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    first, second = np.nonzero(~np.eye(len(a), dtype=bool))
    return float(np.nan_to_num(profile_correlation(a[first], b[second])[0]).mean())


def _halves(
    a: NDArray[np.float64], b: NDArray[np.float64], n_splits: int, rng: np.random.Generator
) -> float:
    found = []
    for _ in range(n_splits):
        order = rng.permutation(len(a))
        left, right = order[: len(a) // 2], order[len(a) // 2 :]
        means = a[left].mean(axis=0)[None], b[right].mean(axis=0)[None]
        found.append(float(np.nan_to_num(profile_correlation(*means)[0])[0]))
    return float(np.mean(found))
