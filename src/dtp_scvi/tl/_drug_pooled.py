"""All drugs together, each patient counted once."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.stats import norm, spearmanr

from dtp_scvi._logging import logger, warn
from dtp_scvi.stats import (
    MixedModel,
    PooledRank,
    mixed_model,
    pooled_rank_correlation,
    random_effects,
    rank_correlation,
    within_drug_rank,
)

if TYPE_CHECKING:
    from dtp_scvi.tl._drug_input import Patients
    from dtp_scvi.tl._drug_table import Draws

WRONG: Final = "WRONG: takes a patient's drugs for independent patients"
_COLUMNS: Final = [
    "estimator",
    "value",
    "low",
    "high",
    "p",
    "n_patients",
    "n_pairs",
    "n_drugs",
    "unit",
    "valid",
    "note",
]


def pool(
    patients: Patients, resistance: pd.DataFrame, draws: Draws, n_permutations: int
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]], PooledRank]:
    """
    Estimate one effect over all drugs in several ways.

    Returns
    -------
    One estimator a row, the headline first and the naive one last; details by estimator; the
    headline with its draws.
    """
    kept = resistance.notna().any(axis=1).to_numpy()
    score, values = patients.score[kept], resistance.to_numpy()[kept]
    counts = {"n_patients": int(kept.sum()), "n_drugs": values.shape[1]}
    counts["n_pairs"] = int(np.count_nonzero(~np.isnan(values)))
    main = pooled_rank_correlation(
        score, values, n_permutations=n_permutations, **draws.arguments()
    )
    mean = rank_correlation(score, within_drug_rank(values), **draws.arguments())
    rows = [
        _row("within_drug", main, counts, "rho", note="p by permuting patients over all drugs"),
        _row("mean_rank", mean, counts, "rho", note="score and the patient's mean rank"),
    ]
    details: dict[str, dict[str, Any]] = {}
    if values.shape[1] > 1:
        n = np.count_nonzero(~np.isnan(values), axis=0)
        meta = random_effects(main.drug_rho, n, main.draws)
        note = f"I² {meta.i2:.0%}; another drug {meta.prediction_low:.2f} to {meta.prediction_high:.2f}"
        rows.append(_row("meta_analysis", meta, counts, "rho", value=meta.rho, note=note))
        details["meta_analysis"] = asdict(meta)
    mixed = _mixed(score, values, patients.covariates.to_numpy()[kept])
    if isinstance(mixed, str):
        details["mixed_model"] = {"converged": False, "message": mixed}
    else:
        own = {name: getattr(mixed, name) for name in counts}
        note = "given covariates; " if patients.covariates.shape[1] else ""
        note += mixed.message or "slope per drug"
        rows.append(
            _row(
                "mixed_model",
                mixed,
                own,
                "SD per SD",
                value=mixed.effect,
                valid=mixed.converged,
                note=note,
            )
        )
        details["mixed_model"] = asdict(mixed)
    rows.append(_naive(score, values, counts))
    return pd.DataFrame(rows, columns=_COLUMNS), details, main


def _row(
    name: str,
    found: Any,
    counts: dict[str, int],
    unit: str,
    *,
    value: float | None = None,
    valid: bool = True,
    note: str = "",
) -> dict[str, Any]:
    number = found.rho if value is None else value
    ends = {"low": found.low, "high": found.high, "p": found.p}
    given = {"estimator": name, "value": number, "unit": unit, "valid": valid, "note": note}
    return {**given, **ends, **counts}


def _mixed(score: np.ndarray, values: np.ndarray, covariates: np.ndarray) -> MixedModel | str:
    """The mixed model over the pairs of patients with all covariates, or why there is none."""
    full = ~np.isnan(covariates).any(axis=1)
    who, what = np.nonzero(~np.isnan(values) & full[:, None])
    if (np.bincount(what, minlength=values.shape[1]) == 0).any():
        logger.info("A drug has no patient with all covariates: not in the mixed model.")
    try:
        fitted = mixed_model(values[who, what], score[who], who, what, covariates[who])
    except ValueError as error:
        return f"not fitted: {error}"
    if not fitted.converged:
        warn(f"Mixed model: {fitted.message}. Its row in `pooled` is marked as not valid.")
    return fitted


def _naive(score: np.ndarray, values: np.ndarray, counts: dict[str, int]) -> dict[str, Any]:
    """Spearman's correlation over all pairs by the textbook, shown to be seen as wrong."""
    who, what = np.nonzero(~np.isnan(values))
    found = spearmanr(score[who], values[who, what])
    reach = norm.ppf(0.975) / np.sqrt(max(1, len(who) - 3))
    middle = np.arctanh(np.clip(found.statistic, -0.999999, 0.999999))
    ends = {"low": float(np.tanh(middle - reach)), "high": float(np.tanh(middle + reach))}
    given = {"estimator": "naive_pairs", "value": found.statistic, "unit": "rho"}
    return {**given, **ends, "p": found.pvalue, **counts, "valid": False, "note": WRONG}
