"""Score with a model of a continuous response: values and ranks, no probability and no call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from dtp_scvi._constants import (
    CALL_SUFFIX,
    FEWEST_FOR_MOMENTS,
    LOGIT_SUFFIX,
    RANK_SUFFIX,
    RESPONSE_RESEARCH_USE,
    RESPONSES_SUFFIX,
    SCORE_SUFFIX,
    SET_SUFFIX,
    SIMULATION_KEY,
    STD_SUFFIX,
)
from dtp_scvi._logging import logger, warn
from dtp_scvi._validate import problem
from dtp_scvi.model import versions

if TYPE_CHECKING:
    from anndata import AnnData

    from dtp_scvi.model import Query, ResponseBase

    Align = Literal["none", "moments", "rank"]

# A gene whose mean lies over three training deviations off was not measured in the same way.
_MOST_SHIFTED = 0.05
_ENOUGH_COVERAGE = 0.8


def score_response(
    adata: AnnData,
    model: ResponseBase,
    query: Query,
    *,
    align: Align,
    target: str | None,
    check: bool,
    bundled: bool,
    layer: str | None,
    key: str,
    min_coverage: float,
) -> None:
    """Predict, check which alignment is warranted, and write score, rank and record."""
    weighted = query.alignment.weighted_coverage(model.importance_)
    name = model.name_ or type(model).__name__
    logger.info("%s: %s; %s, %s", query.name, query.scale, name, model.worth_)
    which = model.target_index(target)
    responses = model.predict_query(query, align=align).reshape(adata.n_obs, -1)
    predicted = responses[:, which]
    record: dict[str, Any] = {
        "model": type(model).__name__,
        "name": model.name_,
        "bundled": bundled,
        "model_id": model.id_,
        "worth": model.worth_,
        "target": model.targets_[which],
        "units": model.units_,
        "direction": model.direction_,
        "versions": versions(),
        "align": align,
        "transductive": align == "moments",
        "coverage": query.alignment.coverage,
        "weighted_coverage": weighted,
        "genes": query.alignment.report(),
        "scale": str(query.scale),
        "layer": layer or "X",
        "missing": query.missing,
        "min_coverage": min_coverage,
        "simulated": SIMULATION_KEY in adata.uns,
        "research_use": RESPONSE_RESEARCH_USE,
    }
    if model.evaluation_:
        found = model.evaluation_["spearman"]
        record["external"] = {
            "cohort": model.evaluation_["cohort"],
            "n": model.evaluation_["n"],
            "spearman": found["value"],
            "low": found["low"],
            "high": found["high"],
        }
    n_empty = int(np.isnan(predicted).sum())
    if n_empty:
        warn(
            f"{n_empty:,} of {adata.n_obs:,} rows have no value above zero in any gene of the "
            "model: their score is missing."
        )
    if check:
        record["transfer"] = _warranted(model, query, align)
    _write(adata, key, predicted, record)
    adata.obsm.pop(f"{key}{RESPONSES_SUFFIX}", None)
    if len(model.targets_) > 1:
        table = pd.DataFrame(responses, index=adata.obs_names, columns=list(model.targets_))
        adata.obsm[f"{key}{RESPONSES_SUFFIX}"] = table


def check_arguments(transfer: str, donor_key: str | None) -> None:
    """Refuse what belongs to classifiers."""
    if transfer not in ("check", "skip"):
        msg = problem(
            '`transfer` to be "check" or "skip" for a model of a response, which makes no calls',
            repr(transfer),
            "Pick one of these.",
        )
        raise ValueError(msg)
    if donor_key is not None:
        msg = problem(
            "no `donor_key` with a model of a response, whose check compares means over all rows",
            repr(donor_key),
            "Leave it out.",
        )
        raise ValueError(msg)


def _warranted(model: ResponseBase, query: Query, align: Align) -> dict[str, Any]:
    """Say which alignment leaves the query where the training rows were."""
    plain, ranked = model.shift(query), model.shift(query, align="rank")
    evidence = {
        "n_rows": plain["n_rows"],
        "coverage": query.alignment.coverage,
        "shifted": plain["shifted"],
        "shifted_by_rank": ranked["shifted"],
        "shifted_from": _MOST_SHIFTED,
    }
    reasons = [
        f"the mean of {plain['shifted']:.0%} of the found genes lies over three training "
        f"deviations off, {ranked['shifted']:.0%} after ranking"
    ]
    if plain["shifted"] <= _MOST_SHIFTED:
        found = "none"
    elif ranked["shifted"] <= _MOST_SHIFTED:
        found = "rank"
    elif plain["n_rows"] >= FEWEST_FOR_MOMENTS:
        found = "moments"
        reasons.append("moments set every gene's mean to the training mean: compare within only")
    else:
        found = "rank"
        reasons.append(f"{plain['n_rows']:,} rows are too few to take moments of")
    if query.alignment.coverage < _ENOUGH_COVERAGE:
        reasons.append(f"{query.alignment.coverage:.0%} of the model's genes were found")
    if found != "none" and align == "none":
        warn(
            f"Transfer check: {reasons[0]}. Values are not on the training scale: read the rank, "
            f'or pass align="{found}". See the transfer record.'
        )
    return {
        "warranted": found,
        "align": align,
        "values_hold": found == "none" and align == "none",
        "reasons": np.array(reasons, dtype=object),
        "evidence": evidence,
    }


def _write(adata: AnnData, key: str, predicted: np.ndarray, record: dict[str, Any]) -> None:
    adata.obs[f"{key}{SCORE_SUFFIX}"] = predicted
    ranks = rankdata(predicted, nan_policy="omit")
    adata.obs[f"{key}{RANK_SUFFIX}"] = ranks / max(int(np.isfinite(predicted).sum()), 1)
    # What an earlier model left under this name does not belong to the new score.
    for suffix in (LOGIT_SUFFIX, CALL_SUFFIX, STD_SUFFIX, SET_SUFFIX):
        adata.obs.drop(columns=f"{key}{suffix}", inplace=True, errors="ignore")
    adata.uns[key] = record
