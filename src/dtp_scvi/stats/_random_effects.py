"""Random-effects meta-analysis of correlations from drugs that share their patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.stats import chi2, norm, t

from dtp_scvi._validate import check_one_of, check_range, problem
from dtp_scvi.stats._check import as_vector
from dtp_scvi.stats._rank_correlation import fisher

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class RandomEffects:
    """
    Mean of correlations over drugs and how far drugs differ.

    Attributes
    ----------
    rho
        Mean of the Fisher-transformed correlations, transformed back.
    low, high
        Interval of that mean over these drugs.
    p
        Two-sided, of a mean of 0.
    se
        Standard error of the mean on Fisher's scale.
    se_independent
        What it would be if drugs shared no patient.
    tau2, i2
        Variance between drugs on Fisher's scale, and its share of the variance seen, in [0, 1].
        Errors that drugs share do not spread them, so both are low where drugs share patients.
    q, q_p
        Cochran's test of no difference between drugs.
    prediction_low, prediction_high
        Where the correlation of another drug would lie; NaN with fewer than three drugs.
    n_drugs
        Number of drugs.
    se_from
        ``"patients"``, or ``"independence"`` where no resamples were given.
    """

    rho: float
    low: float
    high: float
    p: float
    se: float
    se_independent: float
    tau2: float
    i2: float
    q: float
    q_p: float
    prediction_low: float
    prediction_high: float
    n_drugs: int
    se_from: str


def random_effects(
    rho: ArrayLike,
    n: ArrayLike,
    draws: ArrayLike | None = None,
    *,
    method: Literal["pm", "dl"] = "pm",
    level: float = 0.95,
) -> RandomEffects:
    """
    Combine Spearman correlations of several drugs by a random-effects meta-analysis.

    Parameters
    ----------
    rho
        One correlation per drug, in [-1, 1].
    n
        Patients per drug, at least 4. The variance of a Fisher-transformed correlation is
        (1 + rho² / 2) / (n - 3) (Bonett & Wright 2000, doi:10.1007/BF02294183).
    draws
        The correlations in resamples of the patients, shape (resamples, drugs), as
        :func:`pooled_rank_correlation` returns them: the standard error is then that of the
        weighted mean over the resamples. Without them drugs count as independent, which they are
        not where they share patients.
    method
        Variance between drugs by Paule and Mandel (``"pm"``) or DerSimonian and Laird (``"dl"``).
    level
        Coverage of the intervals.

    Returns
    -------
    Mean, intervals and heterogeneity.

    Raises
    ------
    ValueError
        Fewer than two drugs, fewer than four patients, or a correlation out of range.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> found = stats.random_effects([0.3, 0.5, 0.4], [100, 120, 90])
    >>> round(found.rho, 2), found.se_from
    (0.41, 'independence')
    """
    # Takes most of a second, and nothing else of this folder needs it.
    from statsmodels.stats.meta_analysis import combine_effects

    check_one_of(method, ("pm", "dl"), "method")
    check_range(level, "level", 0.0, 1.0, inclusive=False)
    values = as_vector(rho, "rho", len(np.atleast_1d(np.asarray(rho))))
    sizes = as_vector(n, "n", len(values))
    _check(values, sizes)
    z, variance = fisher(values), (1 + values**2 / 2) / (sizes - 3)
    # Less variance than chance gives is no variance; statsmodels leaves it negative, and takes the
    # root of what follows from it.
    with np.errstate(invalid="ignore"):
        fitted = combine_effects(z, variance, method_re=method)
    tau2 = max(0.0, float(fitted.tau2))
    weights = 1 / (variance + tau2)
    independent = float(1 / np.sqrt(weights.sum()))
    weights /= weights.sum()
    mean = float(weights @ z)
    se = independent if draws is None else _spread(draws, weights)
    reach = float(norm.ppf((1 + level) / 2)) * se
    ends = (float("nan"),) * 2
    k = len(z)
    if k > 2:
        # The drugs are a sample too: their own spread makes the mean of all drugs uncertain.
        far = np.sqrt(tau2 * (1 + float(weights @ weights)) + se**2)
        far *= t.ppf((1 + level) / 2, k - 2)
        ends = float(np.tanh(mean - far)), float(np.tanh(mean + far))
    q = float(fitted.q)
    return RandomEffects(
        rho=float(np.tanh(mean)),
        low=float(np.tanh(mean - reach)),
        high=float(np.tanh(mean + reach)),
        p=float(2 * norm.sf(abs(mean) / se)) if se > 0 else float("nan"),
        se=se,
        se_independent=independent,
        tau2=tau2,
        i2=max(0.0, 1 - (k - 1) / q) if q > 0 else 0.0,
        q=q,
        q_p=float(chi2.sf(q, k - 1)),
        prediction_low=ends[0],
        prediction_high=ends[1],
        n_drugs=k,
        se_from="independence" if draws is None else "patients",
    )


def _check(values: NDArray[np.float64], sizes: NDArray[np.float64]) -> None:
    if len(values) < 2:
        msg = problem("at least 2 drugs to combine", f"{len(values)}", "Report the one drug.")
        raise ValueError(msg)
    if sizes.min() < 4:
        msg = problem("at least 4 patients per drug", f"{sizes.min():g}", "Leave out such drugs.")
        raise ValueError(msg)
    if np.abs(values).max() > 1:
        found = f"{values[np.abs(values).argmax()]:g}"
        msg = problem("correlations in [-1, 1]", found, "Pass correlations, not Fisher's z.")
        raise ValueError(msg)


def _spread(draws: ArrayLike, weights: NDArray[np.float64]) -> float:
    """Standard deviation of the weighted mean over the resamples."""
    z = fisher(np.asarray(draws, dtype=np.float64))
    if z.ndim != 2 or z.shape[1] != len(weights):
        todo = "Pass the draws of the same drugs."
        msg = problem(f"`draws` of shape (resamples, {len(weights)})", f"{z.shape}", todo)
        raise ValueError(msg)
    weight = np.where(np.isnan(z), 0.0, weights)
    total = weight.sum(axis=1)
    means = (np.nan_to_num(z) * weight).sum(axis=1)[total > 0] / total[total > 0]
    return float(np.std(means, ddof=1))
