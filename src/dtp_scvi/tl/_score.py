"""Write a model's score into an AnnData."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import rankdata

from dtp_scvi._constants import (
    CALL_SUFFIX,
    KEY_ADDED,
    LOGIT_SUFFIX,
    RANK_SUFFIX,
    RESEARCH_USE,
    SCORE_SUFFIX,
    SIMULATION_KEY,
)
from dtp_scvi._docs import docs
from dtp_scvi._logging import logger, progress, warn
from dtp_scvi._validate import check_range, near_matches, problem
from dtp_scvi.model import load_model, versions

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from dtp_scvi.model import ExpressionClassifier, Query

_WARN_COVERAGE = 0.8


@docs.dedent
def score(
    adata: AnnData | MuData,
    model: ExpressionClassifier | str | Path,
    *,
    layer: str | None = None,
    gene_key: str | None = None,
    key_added: str = KEY_ADDED,
    missing: Literal["mean", "zero", "error"] = "mean",
    min_coverage: float = 0.5,
    scale: str = "auto",
    mod: str | None = None,
    batch_size: int | None = None,
    verbose: bool = False,
) -> None:
    """Score cells or bulk samples with a trained model.

    The score is the predicted membership of the model's positive class. No label, donor or batch
    column is needed, and nothing but the fields listed below is written. Rows are streamed, so
    an AnnData backed by a file is scored in constant memory. Everything is checked before
    anything is written.

    The threshold and the probabilities were learned on the training data: on another tissue,
    platform or on bulk samples read the rank first.

    Parameters
    ----------
    %(adata)s
    model
        Trained model, or the directory of a saved one.
    %(layer)s
    %(gene_key)s
    %(key_added)s
    %(missing)s
    min_coverage
        Least share of the model's genes that must be found, 0 to 1.
    %(scale)s
    %(mod)s
    %(batch_size)s
    %(verbose)s

    Returns
    -------
    Nothing. Written are, for the default ``key_added``:

    ``adata.obs["dtp_logit"]``
        Log-odds of the positive class against the others, float64.
    ``adata.obs["dtp_score"]``
        Its sigmoid, the predicted probability, float64, 0 to 1.
    ``adata.obs["dtp_rank"]``
        Rank within this object divided by the number of rows, float64, above 0 to 1; 1 is the
        highest logit, ties share their mean.
    ``adata.obs["dtp_call"]``
        Name of the positive class where the score reaches the model's threshold, else
        ``"not <class>"``, categorical.
    ``adata.uns["dtp"]``
        Model class and id, versions, threshold with rule and interval, coverage (plain and
        weighted by importance), the gene report, scale found, seed.

    Raises
    ------
    ValueError
        When expression is missing, infinite, negative or on a scale that the model can't use, or
        too few genes are found.
    KeyError
        When ``layer``, ``gene_key`` or ``mod`` is missing.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
    >>> dtp.model.DTPTransformer.setup_anndata(
    ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    ... )
    >>> teacher = dtp.model.DTPTransformer(cells, n_programs=8)
    >>> teacher.train(max_epochs=2, verbose=False)
    >>> query = dtp.datasets.simulate_cells(100, 200, n_donors=4, seed=1)
    >>> dtp.tl.score(query, teacher)
    >>> sorted(query.obs.filter(like="dtp_"))
    ['dtp_call', 'dtp_logit', 'dtp_rank', 'dtp_score']
    """
    adata = _one_modality(adata, mod)
    check_range(min_coverage, "min_coverage", 0, 1)
    if isinstance(model, str | Path):
        model = load_model(model)
    query = model.prepare(
        adata,
        layer=layer,
        gene_key=gene_key,
        scale=scale,
        missing=missing,
        min_coverage=min_coverage,
    )
    alignment = query.alignment
    weighted = alignment.weighted_coverage(model.importance_)
    logger.info(
        "%s: %s; %r, weighted coverage %.0f %%", query.name, query.scale, alignment, 100 * weighted
    )
    if alignment.coverage < _WARN_COVERAGE:
        warn(
            f"{alignment.observed.sum():,} of {alignment.n_targets:,} model genes found (coverage "
            f"{alignment.coverage:.0%}, weighted by importance {weighted:.0%}). Missing genes: "
            f"{missing}."
        )
    logit = np.empty(adata.n_obs)
    positive = model.classes_.index(model.positive_)
    with progress(adata.n_obs, "scoring", verbose=verbose) as bar:
        for rows, values in model.stream(query, batch_size=batch_size):
            logit[rows] = values[:, positive]
            bar.update(rows.stop - rows.start)
    record = _record(model, query, weighted, layer, min_coverage)
    record["simulated"] = SIMULATION_KEY in adata.uns
    _write(adata, key_added, logit, model, record)


def _one_modality(adata: AnnData | MuData, mod: str | None) -> AnnData:
    """Return the AnnData itself or the named modality of a MuData."""
    modalities = getattr(adata, "mod", None)
    if modalities is None:
        if mod is not None:
            msg = problem("a MuData where `mod` is given", "an AnnData", "Leave `mod` out.")
            raise ValueError(msg)
        return adata
    if mod is None or mod not in modalities:
        msg = problem(
            "`mod` to name a modality of the MuData", repr(mod), near_matches(str(mod), modalities)
        )
        raise KeyError(msg)
    return modalities[mod]


def _record(
    model: ExpressionClassifier,
    query: Query,
    weighted: float,
    layer: str | None,
    min_coverage: float,
) -> dict[str, Any]:
    return {
        "model": type(model).__name__,
        "model_id": model.id_,
        "positive": model.positive_,
        "versions": versions(),
        "threshold": dict(model.threshold_),
        "coverage": query.alignment.coverage,
        "weighted_coverage": weighted,
        "genes": query.alignment.report(),
        "scale": str(query.scale),
        "training_scale": model.scale_,
        "layer": layer or "X",
        "missing": query.missing,
        "min_coverage": min_coverage,
        "seed": -1 if model.seed_ is None else model.seed_,
        "research_use": RESEARCH_USE,
    }


def _write(
    adata: AnnData,
    key: str,
    logit: np.ndarray,
    model: ExpressionClassifier,
    record: dict[str, Any],
) -> None:
    probability = expit(logit)
    names = [model.positive_, f"not {model.positive_}"]
    under = (probability < model.threshold_["value"]).astype(np.int8)
    adata.obs[f"{key}{LOGIT_SUFFIX}"] = logit
    adata.obs[f"{key}{SCORE_SUFFIX}"] = probability
    adata.obs[f"{key}{RANK_SUFFIX}"] = rankdata(logit) / len(logit)
    adata.obs[f"{key}{CALL_SUFFIX}"] = pd.Categorical.from_codes(under, names)
    adata.uns[key] = record
