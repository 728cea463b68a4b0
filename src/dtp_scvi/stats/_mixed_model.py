"""Linear mixed model with crossed random effects for patients and drugs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import sparse
from scipy.linalg import LinAlgError
from scipy.optimize import minimize
from scipy.stats import t

from dtp_scvi._validate import check_range, problem
from dtp_scvi.stats._check import as_codes, as_vector
from dtp_scvi.stats._rank_correlation import as_columns
from dtp_scvi.stats._restricted_deviance import RestrictedDeviance

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_FEWEST_DRUGS: Final = 2
# Drugs below which a slope per drug is not worth asking for.
_FEWEST_FOR_SLOPE: Final = 4
_FEWEST_PATIENTS: Final = 10
# Ratio of a variance to the residual's.
_LARGEST: Final = 1e5
# Of the deviance, which is in units of twice a log-likelihood.
_FLAT: Final = 0.05


@dataclass(frozen=True, slots=True)
class MixedModel:
    """
    Effect of a score over all pairs of patient and drug.

    Attributes
    ----------
    effect
        Change of the response, in standard deviations of the drug's response, per standard
        deviation of the score over patients.
    low, high, p
        Wald interval and two-sided test by Student's t with as many degrees of freedom as there
        are patients beyond the columns that belong to them.
    se
        Standard error of the effect.
    sd_patient, sd_drug, sd_slope, sd_residual
        Standard deviations of the random effects and of the residual; ``sd_slope`` is 0 without a
        slope per drug.
    deviance
        -2 times the restricted log-likelihood.
    n_pairs, n_patients, n_drugs
        What it rests on.
    random_slope
        Whether each drug has a slope of its own.
    converged
        Whether a minimum of the deviance was found; if not, do not use the numbers.
    message
        What was left out or went wrong; empty otherwise.
    """

    effect: float
    low: float
    high: float
    p: float
    se: float
    sd_patient: float
    sd_drug: float
    sd_slope: float
    sd_residual: float
    deviance: float
    n_pairs: int
    n_patients: int
    n_drugs: int
    random_slope: bool
    converged: bool
    message: str


def mixed_model(
    response: ArrayLike,
    score: ArrayLike,
    patients: ArrayLike,
    drugs: ArrayLike,
    covariates: ArrayLike = (),
    *,
    random_slope: bool = True,
    level: float = 0.95,
) -> MixedModel:
    """
    Effect of a score on drug response over all pairs, with random patients and drugs.

    The response of each drug is divided by its standard deviation, then
    ``response ~ score + covariates + (1|patient) + (1|drug) + (0 + score|drug)`` is fitted by
    restricted maximum likelihood. The intercept of a patient stands for what a patient's drugs
    have in common.

    Parameters
    ----------
    response
        One number per pair of patient and drug that was measured.
    score
        The patient's score, repeated for each pair.
    patients, drugs
        Who and what, one per pair.
    covariates
        Columns of the patient, shape (pairs,) or (pairs, covariates).
    random_slope
        Give each drug a slope of its own, where there are at least four drugs and a fit is found;
        otherwise it is left out, and ``message`` says so.
    level
        Coverage of the interval.

    Returns
    -------
    Effect, interval and variances.

    Raises
    ------
    ValueError
        Unequal lengths, NaN, fewer than two drugs or ten patients, no patient with two drugs, a
        constant score, or a score that the covariates determine.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> rng = np.random.default_rng(0)
    >>> score, patient = rng.normal(size=40), np.repeat(np.arange(40), 5)
    >>> response = score[patient] + rng.normal(size=40)[patient] + rng.normal(size=200)
    >>> found = stats.mixed_model(response, score[patient], patient, np.tile(np.arange(5), 40))
    >>> found.low > 0, found.n_patients
    (True, 40)
    """
    check_range(level, "level", 0.0, 1.0, inclusive=False)
    n = len(np.asarray(response))
    y, x = as_vector(response, "response", n), as_vector(score, "score", n)
    who, what = as_codes(patients, n, "patients"), as_codes(drugs, n, "drugs")
    _check(who, what)
    y = _in_units_of_each(y, what)
    design = _design(x, as_columns(covariates, n), who)
    fitted = _fit(y, design, who, what, level, slope=False)
    if not random_slope:
        return fitted
    if fitted.n_drugs < _FEWEST_FOR_SLOPE:
        note = f"no slope per drug: {fitted.n_drugs} drugs, fewer than {_FEWEST_FOR_SLOPE}"
        return replace(fitted, message="; ".join(filter(None, [fitted.message, note])))
    sloped = _fit(y, design, who, what, level, slope=True)
    if sloped.converged:
        return sloped
    note = f"no slope per drug: {sloped.message}"
    return replace(fitted, message="; ".join(filter(None, [fitted.message, note])))


def _check(who: NDArray[np.intp], what: NDArray[np.intp]) -> None:
    n_patients, n_drugs = len(np.unique(who)), len(np.unique(what))
    if n_drugs < _FEWEST_DRUGS or n_patients < _FEWEST_PATIENTS:
        msg = problem(
            f"at least {_FEWEST_DRUGS} drugs and {_FEWEST_PATIENTS} patients",
            f"{n_drugs} and {n_patients}",
            "Correlate each drug on its own.",
        )
        raise ValueError(msg)
    if np.bincount(who).max() < 2:
        msg = problem(
            "patients with several drugs",
            "one drug for each patient",
            "Use pooled_rank_correlation: pairs are independent here.",
        )
        raise ValueError(msg)


def _in_units_of_each(y: NDArray[np.float64], what: NDArray[np.intp]) -> NDArray[np.float64]:
    """Divide by each drug's standard deviation; levels stay, they are the drugs' intercepts."""
    n = np.bincount(what)
    mean = np.bincount(what, y) / n
    spread = np.sqrt(np.bincount(what, (y - mean[what]) ** 2) / np.maximum(n - 1, 1))
    if (spread == 0).any():
        msg = problem(
            "drugs whose response varies",
            f"{int((spread == 0).sum())} that do not",
            "Leave them out.",
        )
        raise ValueError(msg)
    scaled = y / spread[what]
    return np.asarray(scaled - scaled.mean())


def _design(
    score: NDArray[np.float64], covariates: list[NDArray[np.float64]], who: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Intercept, score and covariates in units of their standard deviation over patients."""
    _, first = np.unique(who, return_index=True)
    columns = []
    for column in (score, *covariates):
        spread = float(column[first].std(ddof=1))
        if spread > 0:
            columns.append((column - column[first].mean()) / spread)
        elif column is score:
            msg = problem("a score that varies", "one value", "Score the patients first.")
            raise ValueError(msg)
    design = np.column_stack([np.ones(len(score)), *columns])
    others = np.delete(design, 1, axis=1)
    if np.linalg.matrix_rank(design) == np.linalg.matrix_rank(others):
        todo = "Leave out the covariate that repeats the score."
        msg = problem("a score that covariates do not determine", "one that they do", todo)
        raise ValueError(msg)
    if np.linalg.matrix_rank(others) < others.shape[1]:
        # What repeats other covariates changes nothing but makes the equations singular.
        kept = [0, 1]
        for index in range(2, design.shape[1]):
            if np.linalg.matrix_rank(design[:, [*kept, index]]) > len(kept):
                kept.append(index)
        design = design[:, kept]
    return design


def _fit(
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    who: NDArray[np.intp],
    what: NDArray[np.intp],
    level: float,
    *,
    slope: bool,
) -> MixedModel:
    n, pairs = len(y), np.arange(len(y))
    n_patients, n_drugs = len(np.unique(who)), len(np.unique(what))
    blocks = [
        sparse.csr_array((np.ones(n), (pairs, who))),
        sparse.csr_array((np.ones(n), (pairs, what))),
    ]
    if slope:
        blocks.append(sparse.csr_array((x[:, 1], (pairs, what))))
    deviance = RestrictedDeviance(y, x, blocks)
    theta, message = _minimum(deviance, len(blocks))
    value, fixed, covariance, variance = deviance.fit(theta)
    se, residual = float(np.sqrt(covariance[1, 1])), float(np.sqrt(variance))
    freedom = n_patients - x.shape[1]
    reach = float(t.ppf((1 + level) / 2, freedom)) * se
    effect = float(fixed[1])
    return MixedModel(
        effect=effect,
        low=effect - reach,
        high=effect + reach,
        p=float(2 * t.sf(abs(effect) / se, freedom)),
        se=se,
        sd_patient=float(theta[0]) * residual,
        sd_drug=float(theta[1]) * residual,
        sd_slope=float(theta[2]) * residual if slope else 0.0,
        sd_residual=residual,
        deviance=value,
        n_pairs=n,
        n_patients=n_patients,
        n_drugs=n_drugs,
        random_slope=slope,
        converged=not message,
        message=message,
    )


def _minimum(deviance: RestrictedDeviance, n_blocks: int) -> tuple[NDArray[np.float64], str]:
    """Standard deviations at the least deviance, and what is wrong with it, if anything."""

    # In variances: the deviance is flat in a standard deviation of 0, which would end the search.
    def of_variances(ratios: NDArray[np.float64]) -> float:
        return deviance(np.sqrt(ratios))

    start = np.full(n_blocks, 0.3)
    try:
        # Near the minimum one-sided differences are wrong in the digits that decide.
        found = minimize(
            of_variances,
            start,
            method="L-BFGS-B",
            jac="3-point",
            bounds=[(0.0, _LARGEST)] * n_blocks,
            options={"ftol": 1e-13, "gtol": 1e-3},
        )
    except LinAlgError as error:
        return np.sqrt(start), f"not converged: {error}"
    ratios = np.asarray(found.x, dtype=np.float64)
    slope = np.asarray(found.jac, dtype=np.float64)
    if (ratios >= _LARGEST).any():
        return np.sqrt(ratios), "not converged: a variance grew without bound"
    # At 0 a rising deviance is a minimum: there is no such variance.
    left = np.where(ratios <= 0, np.minimum(slope, 0.0), slope) * np.maximum(ratios, 1e-2)
    steepest = float(np.abs(left).max())
    if steepest > _FLAT:
        return np.sqrt(ratios), f"not converged: {found.message} (gradient {steepest:.2g})"
    return np.sqrt(ratios), ""
