"""Write a model's score into an AnnData."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scipy.stats import rankdata

from dtp_scvi._constants import (
    CALL_SUFFIX,
    DEFAULT_MODEL,
    KEY_ADDED,
    LOGIT_SUFFIX,
    RANK_SUFFIX,
    RESEARCH_USE,
    RESPONSES_SUFFIX,
    SCORE_SUFFIX,
    SET_SUFFIX,
    SIMULATION_KEY,
    STD_SUFFIX,
)
from dtp_scvi._docs import docs
from dtp_scvi._logging import logger, warn
from dtp_scvi._validate import check_one_of, check_range, near_matches, problem
from dtp_scvi.hub import load
from dtp_scvi.model import ALIGN, ResponseBase, load_predictor, versions
from dtp_scvi.tl._calls import as_sets, called
from dtp_scvi.tl._predict import MOST_ROWS, predict
from dtp_scvi.tl._score_response import check_arguments, score_response
from dtp_scvi.tl._transfer_check import donors_of, report
from dtp_scvi.tl._transfer_rules import VERDICTS

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from dtp_scvi.model import ExpressionClassifier, Query
    from dtp_scvi.tl._predict import Prediction

_WARN_COVERAGE = 0.8


@docs.dedent
def score(
    adata: AnnData | MuData,
    model: ExpressionClassifier | ResponseBase | str | Path | None = None,
    *,
    layer: str | None = None,
    gene_key: str | None = None,
    key_added: str = KEY_ADDED,
    missing: Literal["mean", "zero", "error"] = "mean",
    min_coverage: float = 0.5,
    scale: str = "auto",
    mod: str | None = None,
    transfer: Literal["check", "skip", "calls", "recalibrate", "rank_only"] = "check",
    donor_key: str | None = None,
    align: Literal["none", "moments", "rank"] = "none",
    target: str | None = None,
    batch_size: int | None = None,
    verbose: bool = False,
) -> None:
    """Score cells or bulk samples with a trained model.

    The score is the predicted membership of the model's positive class. No label, donor or batch
    column is needed, and nothing but the fields listed below is written. Rows are streamed, so
    an AnnData backed by a file is scored in constant memory. Everything is checked before
    anything is written.

    The threshold and the probabilities were learned on the training data. Whether they hold for
    this object is checked first, see :func:`transfer_check`; where they do not, no call is written
    and the rank is what to read.

    A model of a response (:class:`~dtp_scvi.model.ResponseModel`, such as those of
    :func:`dtp_scvi.hub.available`, or :class:`~dtp_scvi.model.ResponseTransformer`) predicts a
    value instead: its score is on the scale of the training response, there is no call, and the
    check says which ``align`` is warranted.

    Parameters
    ----------
    %(adata)s
    model
        Trained model, or the directory of a saved one; ``None`` takes the bundled
        ``aml-tolerance`` of :func:`dtp_scvi.hub.load`, and the record says so.
    %(layer)s
    %(gene_key)s
    %(key_added)s
    %(missing)s
    min_coverage
        Least share of the model's genes that must be found, 0 to 1.
    %(scale)s
    %(mod)s
    transfer
        ``"check"``, or ``"skip"`` to leave :func:`transfer_check` out, or the name of a verdict
        that overrides the one found; that is recorded.
    donor_key
        Column of ``adata.obs`` with the donor of each row, for the check; rows count as
        independent without it.
    align
        For a response model, across platforms: ``"none"``; ``"moments"`` maps each gene's mean
        and deviation in this object onto the training ones, at least ten rows; ``"rank"`` uses
        ranks within each row. See :meth:`dtp_scvi.model.ResponseModel.predict`.
    target
        For a response model of several targets: the one to score.
    %(batch_size)s
    %(verbose)s

    Returns
    -------
    Nothing. Written are, for the default ``key_added``:

    ``adata.obs["dtp_logit"]``
        Log-odds of the positive class against the others, float64.
    ``adata.obs["dtp_score"]``
        The calibrated probability of the positive class, float64, 0 to 1. A probability only
        where ``uns["dtp"]["probability_holds"]`` is true.
    ``adata.obs["dtp_rank"]``
        Rank within this object divided by the number of rows, float64, above 0 to 1; 1 is the
        highest logit, ties share their mean.
    ``adata.obs["dtp_call"]``
        Name of the positive class where the score reaches the model's threshold, else
        ``"not <class>"``; ``"indeterminate"`` where it lies within the threshold's interval;
        categorical. All missing where the verdict is ``rank_only``.
    ``adata.obs["dtp_std"]``
        Standard deviation of the probability over the members of a teacher with ``n_members`` of
        two or more, float64; each member left another part of the donors out. How far the score
        depends on the training donors and the seed, not how likely it is to be right.
    ``adata.obs["dtp_set"]``
        The classes that can't be excluded: the positive class, "not <class>", "either" or
        "neither"; categorical. Of the cells of a class in a new donor, the set holds the class
        for the promised share, see :class:`dtp_scvi.stats.MondrianConformal`. Only of models that
        have held out enough donors, see :meth:`dtp_scvi.model.DTPTransformer.adopt`; all missing
        unless the verdict is ``calls``.
    ``adata.uns["dtp"]``
        Model class and id, versions, threshold with rule and interval, calibration, coverage
        (plain and weighted by importance), the gene report, scale found, seed; the verdict with
        its reasons and evidence under ``"transfer"``; for a
        :class:`~dtp_scvi.model.DrugSensitivity` that was adapted to the rows, how, and that this
        is transductive, under ``"adaptation"``.

    Of a response model, ``obsm["dtp_responses"]`` (all targets of a
    :class:`~dtp_scvi.model.ResponseTransformer`, one column each), ``obs["dtp_score"]`` (the predicted response, NaN for rows without any
    value in its genes), ``obs["dtp_rank"]`` and ``uns["dtp"]`` are written: name, units, direction,
    what the model was worth on patients of others (``"worth"``, ``"external"``), ``align``,
    ``transductive`` (whether a row's score depends on the other rows), coverage, and under
    ``"transfer"`` the alignment that is ``"warranted"`` with its evidence.

    Raises
    ------
    ValueError
        When expression is missing, infinite, negative or on a scale that the model can't use, or
        too few genes are found; when ``align`` is given for a classifier, or ``"moments"`` meets
        fewer than ten rows.
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
    >>> dtp.tl.score(query, teacher, transfer="skip")
    >>> sorted(query.obs.filter(like="dtp_"))
    ['dtp_call', 'dtp_logit', 'dtp_rank', 'dtp_score']
    """
    adata = _one_modality(adata, mod)
    check_range(min_coverage, "min_coverage", 0, 1)
    check_one_of(transfer, ("check", "skip", *VERDICTS), "transfer")
    check_one_of(align, ALIGN, "align")
    given = _opened(model)
    if isinstance(given, ResponseBase):
        check_arguments(transfer, donor_key)
        given.target_index(target)
    else:
        _refuse_for_classifiers(align, target)
    donors = donors_of(adata, donor_key)
    query = given.prepare(
        adata,
        layer=layer,
        gene_key=gene_key,
        scale=scale,
        missing=missing,
        min_coverage=min_coverage,
    )
    alignment = query.alignment
    weighted = alignment.weighted_coverage(given.importance_)
    logger.info(
        "%s: %s; %r, weighted coverage %.0f %%", query.name, query.scale, alignment, 100 * weighted
    )
    if alignment.coverage < _WARN_COVERAGE:
        warn(
            f"{alignment.observed.sum():,} of {alignment.n_targets:,} model genes found (coverage "
            f"{alignment.coverage:.0%}, weighted by importance {weighted:.0%}). Missing genes: "
            f"{missing}."
        )
    if isinstance(given, ResponseBase):
        score_response(
            adata,
            given,
            query,
            align=align,
            target=target,
            check=transfer == "check",
            bundled=model is None,
            layer=layer,
            key=key_added,
            min_coverage=min_coverage,
        )
        return
    predicted = predict(
        given,
        query,
        adata.n_obs,
        batch_size=batch_size,
        verbose=verbose,
        n_space=0 if transfer == "skip" else MOST_ROWS,
    )
    record = _record(given, query, weighted, layer, min_coverage)
    if given.score_reference_ is not None:
        record["score_reference"] = given.score_reference_.to_dict()
    record["simulated"] = SIMULATION_KEY in adata.uns
    if query.adaptation:
        record["adaptation"] = dict(query.adaptation)
    if transfer != "skip":
        override = None if transfer == "check" else transfer
        record["transfer"] = report(given, query, predicted, donors, override)
    _write(adata, key_added, predicted, given, record)


def _opened(
    model: ExpressionClassifier | ResponseBase | str | Path | None,
) -> ExpressionClassifier | ResponseBase:
    if model is None:
        found = load(DEFAULT_MODEL)
        logger.info("No model was named: %s is used, %s.", DEFAULT_MODEL, found.worth_)
        return found
    return load_predictor(model) if isinstance(model, str | Path) else model


def _refuse_for_classifiers(align: str, target: str | None) -> None:
    if align != "none":
        msg = problem(
            '`align="none"` with a classifier', repr(align), "See `transfer` and tl.recalibrate."
        )
        raise ValueError(msg)
    if target is not None:
        msg = problem("no `target` with a classifier", repr(target), "Leave it out.")
        raise ValueError(msg)


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
        "conformal": {} if model.conformal_ is None else model.conformal_.to_dict(),
        "calibration": {} if model.calibration_ is None else model.calibration_.to_dict(),
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
    predicted: Prediction,
    model: ExpressionClassifier,
    record: dict[str, Any],
) -> None:
    logit = predicted.logits
    probability = model.calibrated(logit)
    verdict = record.get("transfer", {}).get("verdict", "calls")
    record["probability_holds"] = verdict == "calls" and "transfer" in record
    adata.obs[f"{key}{LOGIT_SUFFIX}"] = logit
    adata.obs[f"{key}{SCORE_SUFFIX}"] = probability
    adata.obs[f"{key}{RANK_SUFFIX}"] = rankdata(logit) / len(logit)
    adata.obs[f"{key}{CALL_SUFFIX}"] = called(
        probability, record["threshold"], model.positive_, withheld=verdict == "rank_only"
    )
    # What an earlier model left under this name does not belong to the new score.
    for suffix in (STD_SUFFIX, SET_SUFFIX):
        adata.obs.drop(columns=f"{key}{suffix}", inplace=True, errors="ignore")
    adata.obsm.pop(f"{key}{RESPONSES_SUFFIX}", None)
    if predicted.spread is not None:
        adata.obs[f"{key}{STD_SUFFIX}"] = predicted.spread
    if model.conformal_ is not None:
        adata.obs[f"{key}{SET_SUFFIX}"] = as_sets(
            model.conformal_.predict(probability), model.positive_, withheld=verdict != "calls"
        )
    adata.uns[key] = record
