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
        What the noise-free change would reach against a single replicate of ``second``, and against
        the mean of its replicates: the root of the share of variance that is no noise.
    groups, pairs, shares
        The conditions, and in each the mean correlation of pairs and the share of the variance of
        a single replicate that another one repeats (unbiased, so it may be negative).
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
    shares: NDArray[np.float64]
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
    The correlations; NaN where no condition has two rows. Ceilings are upper ones: a root of means
    is not below the mean of roots.

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
    pairs, halves, fulls, shares, wholes = [], [], [], [], []
    for code in kept:
        rows = np.flatnonzero(codes == code)
        pair, share = _pairs(a[rows], b[rows])
        half, whole = _halves(a[rows], b[rows], n_splits, rng)
        pairs.append(pair)
        halves.append(half)
        fulls.append(2 * half / (1 + half) if half > 0 else half)
        shares.append(share)
        wholes.append(whole)
    return ReplicateCeiling(
        pair=_mean(pairs),
        half=_mean(halves),
        full=_mean(fulls),
        ceiling_single=_root(_mean(shares)),
        ceiling_mean=_root(_mean(wholes)),
        groups=np.asarray(names, object)[kept],
        pairs=np.asarray(pairs),
        shares=np.asarray(shares),
        n_rows=int(sizes[kept].sum()),
    )


def control_artefact(control_sd: float, treated_sd: float, effect_sd: float) -> float:
    """
    What predicting the mean of the controls earns where both sides share one control.

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


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _pairs(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[float, float]:
    """Correlation of different replicates, and their covariance as a share of the variance."""
    first, second = np.nonzero(~np.eye(len(a), dtype=bool))
    found = np.nan_to_num(profile_correlation(a[first], b[second])[0])
    return float(found.mean()), _share(a[first], b[second], b)


def _halves(
    a: NDArray[np.float64], b: NDArray[np.float64], n_splits: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The same of random halves, the covariance as a share of the variance of the whole mean."""
    left, right = np.empty((2, n_splits, a.shape[1]))
    for i in range(n_splits):
        order = rng.permutation(len(a))
        left[i] = a[order[: len(a) // 2]].mean(axis=0)
        right[i] = b[order[len(a) // 2 :]].mean(axis=0)
    found = np.nan_to_num(profile_correlation(left, right)[0])
    return float(found.mean()), _share(left, right, b.mean(axis=0, keepdims=True))


def _share(
    left: NDArray[np.float64], right: NDArray[np.float64], whole: NDArray[np.float64]
) -> float:
    centred = (x - x.mean(axis=1, keepdims=True) for x in (left, right))
    covariance = float(np.mean(next(centred) * next(centred)))
    variance = float(whole.var(axis=1).mean())
    return covariance / variance if variance else 0.0
