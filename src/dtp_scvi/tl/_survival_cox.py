"""Cox models of a score: per standard deviation, its assumption, and whether it is a line."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.stats import chi2

from dtp_scvi._labels import label_text
from dtp_scvi._logging import warn
from dtp_scvi._optional import require
from dtp_scvi._validate import problem, shorten
from dtp_scvi.stats import spline_basis, spline_knots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dtp_scvi.tl._survival_input import Patients

EXTRA: Final = "survival"
SCORE: Final = "score"
# Peduzzi et al. 1995, doi:10.1016/0895-4356(95)00048-8.
EVENTS_PER_TERM: Final = 10
# Above this correlation the effects of score and covariate can't be told apart.
_COLLINEAR: Final = 0.95
_FEW_FOR_SPLINE: Final = 100
# lifelines warns of this and returns the numbers at which it stopped.
_NOT_CONVERGED: Final = "failed to converge"


@dataclass(frozen=True)
class Row:
    """A row of the result, without its numbers of patients and events."""

    term: str
    sentence: str
    estimate: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    p: float = float("nan")


def design(patients: Patients) -> pd.DataFrame:
    """Covariates as numbers, categories as 0/1 against the first; refuses what can't be fitted."""
    score = patients.frame["score"].to_numpy()
    parts = [_encode(patients.covariates[key]) for key in patients.covariates]
    for part in parts:
        key = part.attrs["key"]
        if part.shape[1] == 0 or (part.nunique() < 2).all():
            msg = problem(
                f"a covariate that differs between patients in adata.obs[{key!r}]",
                f"{patients.covariates[key].iloc[0]!r} in all {len(part):,}",
                "Leave it out.",
            )
            raise ValueError(msg)
        _check_apart(score, part, key)
    columns = pd.concat(parts, axis=1) if parts else pd.DataFrame(index=patients.frame.index)
    if len(parts) > 1:
        _check_apart(score, columns, shorten(patients.covariates.columns, 10))
        _check_rank(columns)
    return columns


def cox_rows(
    patients: Patients, covariates: pd.DataFrame, score_key: str
) -> tuple[list[Row], pd.DataFrame]:
    """Fit the models; return the rows of the result and all terms of the last model."""
    alone = patients.frame[["time", "event"]].assign(score=per_sd(patients.frame["score"]))
    full = pd.concat([alone, _scaled(covariates)], axis=1)
    strata = patients.strata
    fitter, doubt = fit_cox(alone, strata)
    note = _notes(doubt, _too_few(patients.n_events, covariates.shape[1] + 1))
    start = f"Each SD higher {score_key}"
    rows = [_hazard_ratio(fitter, "hazard_ratio", start, strata, note)]
    if covariates.shape[1]:
        fitter, more = fit_cox(full, strata)
        note = _notes(more, _too_few(patients.n_events, covariates.shape[1] + 1))
        start = f"At equal {shorten(patients.covariates.columns, 10)}, each SD higher {score_key}"
        rows.append(_hazard_ratio(fitter, "hazard_ratio_adjusted", start, strata, note))
    if note:
        warn(f"Survival:{note}")
    rows.append(_proportional(fitter, full, strata, score_key))
    rows.append(_non_linear(fitter, full, strata, score_key))
    return rows, _terms(fitter, covariates)


def fit_cox(table: pd.DataFrame, strata: pd.DataFrame) -> tuple[Any, str]:
    """Fit by lifelines (Efron's ties); return what it doubts as well, or raise where it fails."""
    lifelines = require("lifelines", EXTRA)
    fitter = lifelines.CoxPHFitter()
    joined = pd.concat([table, strata.add_prefix("stratum: ")], axis=1).reset_index(drop=True)
    names = [f"stratum: {key}" for key in strata] or None
    failure: Exception | None = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fitter.fit(joined, "time", "event", strata=names)
        except lifelines.exceptions.ConvergenceError as error:
            failure = error
    doubt = " ".join(_worries(caught))
    if failure is not None or _NOT_CONVERGED in doubt:
        msg = problem(
            "a Cox model that can be fitted",
            "no convergence: " + " ".join(str(failure or doubt).split())[:300],
            "Drop covariates or merge rare categories; a score or category that sorts all events "
            "apart has no finite hazard ratio.",
        )
        raise ValueError(msg) from failure
    return fitter, doubt


def p_text(p: float) -> str:
    """Write a p-value: three digits, and no zero."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _worries(caught: list[warnings.WarningMessage]) -> Iterator[str]:
    for item in caught:
        if item.category.__module__.startswith("lifelines"):
            # The first sentence; advice about code and links follow.
            yield " ".join(str(item.message).split()).split(". ")[0].rstrip(".") + "."


def _notes(doubt: str, few: str) -> str:
    said = f" lifelines doubts the fit: {doubt}" if doubt else ""
    return said + (f" {few}" if few else "")


def per_sd(score: pd.Series) -> pd.Series:
    """Centre and scale to a standard deviation of one."""
    return (score - score.mean()) / score.std(ddof=1)


def _scaled(covariates: pd.DataFrame) -> pd.DataFrame:
    """Centre and scale, for the optimiser; ratios are given back per unit."""
    return (covariates - covariates.mean()) / covariates.std(ddof=1)


def _encode(column: pd.Series) -> pd.DataFrame:
    key = str(column.name)
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        values = column.astype(np.float64)
        if np.isinf(values).any():
            msg = problem(f"finite numbers in adata.obs[{key!r}]", "infinite ones", "Mend them.")
            raise ValueError(msg)
        coded = values.to_frame(key)
    else:
        levels = pd.Series(label_text(column), index=column.index)
        coded = pd.get_dummies(levels, drop_first=True, dtype=np.float64)
        base = min(levels)
        coded.columns = [f"{key}: {level} against {base}" for level in coded.columns]
    coded.attrs["key"] = key
    return coded


def _check_apart(score: np.ndarray, columns: pd.DataFrame, key: str) -> None:
    """Raise where the covariate, or all of them, say almost what the score says."""
    centred = columns.to_numpy() - columns.to_numpy().mean(axis=0)
    target = score - score.mean()
    fitted = centred @ np.linalg.lstsq(centred, target, rcond=None)[0]
    share = float(fitted @ fitted / (target @ target))
    # A handful of columns on few patients fit any score: count the degrees of freedom.
    n, k = centred.shape
    share = share if k == 1 else 1 - (1 - share) * (n - 1) / max(n - k - 1, 1)
    size = np.sqrt(max(share, 0.0))
    if size > _COLLINEAR:
        value = float(np.corrcoef(score, columns.iloc[:, 0])[0, 1]) if k == 1 else size
        kind = "correlation" if k == 1 else "multiple correlation"
        msg = problem(
            f"covariates that say something else than the score (|r| up to {_COLLINEAR})",
            f"{key} with a {kind} of {value:.3f} with the score",
            "Their effects can't be told apart: leave it out, or test it alone.",
        )
        raise ValueError(msg)


def _check_rank(columns: pd.DataFrame) -> None:
    scaled = _scaled(columns).to_numpy()
    if np.linalg.matrix_rank(scaled, tol=1e-6 * np.sqrt(len(scaled))) < scaled.shape[1]:
        msg = problem(
            "covariates that do not determine one another",
            f"a linear relation among {shorten(columns.columns, 10)}",
            "Leave one of them out.",
        )
        raise ValueError(msg)


def _too_few(n_events: int, n_terms: int) -> str:
    if n_events >= EVENTS_PER_TERM * n_terms:
        return ""
    return (
        f"Only {n_events:,} events for {n_terms} terms, fewer than {EVENTS_PER_TERM} each: the "
        "estimate is unstable."
    )


def _hazard_ratio(fitter: Any, term: str, start: str, strata: pd.DataFrame, note: str) -> Row:
    ratio = float(np.exp(fitter.params_[SCORE]))
    low, high = (float(end) for end in np.exp(fitter.confidence_intervals_.loc[SCORE]))
    p = float(fitter.summary.loc[SCORE, "p"])
    within = f", within strata of {shorten(strata.columns, 10)}" if strata.shape[1] else ""
    if low <= 1 <= high:
        verdict = "No association is shown."
    else:
        verdict = f"A higher score goes with {'earlier' if ratio > 1 else 'later'} events."
    text = (
        f"{start} goes with a hazard {ratio:.2f} times as high (95 % interval {low:.2f} to "
        f"{high:.2f}, {p_text(p)}{within}). {verdict}{note}"
    )
    return Row(term, text, ratio, low, high, p)


def proportional_test(
    fitter: Any, table: pd.DataFrame, strata: pd.DataFrame
) -> tuple[float, float]:
    """Scaled Schoenfeld residuals of the score against the rank of the event time: statistic, p."""
    test = require("lifelines.statistics", EXTRA).proportional_hazard_test
    joined = pd.concat([table, strata.add_prefix("stratum: ")], axis=1).reset_index(drop=True)
    found = test(fitter, joined, time_transform=_event_rank).summary.loc[SCORE]
    return float(found["test_statistic"]), float(found["p"])


def _proportional(fitter: Any, table: pd.DataFrame, strata: pd.DataFrame, score_key: str) -> Row:
    statistic, p = proportional_test(fitter, table, strata)
    if p < 0.05:
        text = (
            f"The hazard ratio of {score_key} changes over time ({p_text(p)}, Schoenfeld residuals "
            "against the rank of the event time): it is a mean over the follow-up. Read the restricted mean "
            "survival beside it."
        )
    else:
        text = (
            f"Nothing shows that the hazard ratio of {score_key} changes over time ({p_text(p)}, "
            "Schoenfeld residuals against the rank of the event time); few events would hide it."
        )
    return Row("proportional_hazards", text, statistic, p=p)


def _event_rank(time: pd.Series, event: pd.Series, weights: pd.Series) -> pd.Series:
    """Rank of each event's time among the events, ties sharing their mean."""
    # lifelines' own "rank" counts events in the order of its rows, which is by stratum first.
    return time.where(event.astype(bool)).rank()


def _non_linear(fitter: Any, table: pd.DataFrame, strata: pd.DataFrame, score_key: str) -> Row:
    n_knots = 3 if len(table) < _FEW_FOR_SPLINE else 4
    try:
        basis = spline_basis(table[SCORE], spline_knots(table[SCORE], n_knots))
        # At right angles to the line, or the optimiser gets lost with a skewed score.
        line = np.column_stack([np.ones(len(table)), table[SCORE]])
        bend = np.linalg.qr(np.hstack([line, basis]))[0][:, 2:] * np.sqrt(len(table))
        columns = {f"spline {i}": bend[:, i] for i in range(bend.shape[1])}
        curved, doubt = fit_cox(table.assign(**columns), strata)
    except ValueError as error:
        return Row("non_linearity", f"Not tested for {score_key}: {error}")
    if doubt:
        return Row("non_linearity", f"Not tested for {score_key}: lifelines doubts it: {doubt}")
    # Nested models by the same optimiser: below 0 only by rounding.
    gain = max(0.0, 2 * float(curved.log_likelihood_ - fitter.log_likelihood_))
    p = float(chi2.sf(gain, n_knots - 2))
    shape = "is not a straight line" if p < 0.05 else "shows no departure from a straight line"
    text = (
        f"The log hazard over {score_key} {shape} (restricted cubic spline with {n_knots} knots, "
        f"likelihood ratio {gain:.2f} on {n_knots - 2} df, {p_text(p)})."
    )
    return Row("non_linearity", text, gain, p=p)


def _terms(fitter: Any, covariates: pd.DataFrame) -> pd.DataFrame:
    """Hazard ratios of all terms: the score per SD, covariates per unit."""
    unit = pd.Series(1.0, index=fitter.params_.index)
    unit.update(covariates.std(ddof=1))
    ends = fitter.confidence_intervals_
    # A category without an event has no finite ratio; its row says so by its ends.
    with np.errstate(over="ignore"):
        ratios = {
            "hazard_ratio": np.exp(fitter.params_ / unit).to_numpy(),
            "low": np.exp(ends.iloc[:, 0] / unit).to_numpy(),
            "high": np.exp(ends.iloc[:, 1] / unit).to_numpy(),
        }
    terms = {"term": [str(name) for name in fitter.params_.index]}
    index = pd.RangeIndex(len(unit)).astype(str)
    return pd.DataFrame({**terms, **ratios, "p": fitter.summary["p"].to_numpy()}, index=index)
