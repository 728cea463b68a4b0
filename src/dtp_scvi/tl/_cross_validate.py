"""Judge a model, and its comparators, on donors that it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dtp_scvi._constants import CV_KEY, FIDELITY_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_positive_int
from dtp_scvi.tl._cv_arguments import (
    baseline_matrix,
    check_class,
    check_negatives,
    comparators,
    distill_arguments,
    given_arguments,
    model_name,
    run_audit,
    threshold_arguments,
    train_arguments,
)
from dtp_scvi.tl._cv_plan import checked_plan
from dtp_scvi.tl._cv_protocol import Protocol, fingerprint
from dtp_scvi.tl._cv_result import fidelity_result, summarise
from dtp_scvi.tl._cv_run import Task, run_folds
from dtp_scvi.train import BASELINES, study_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData

    from dtp_scvi.model import ExpressionClassifier


@docs.dedent
def cross_validate(
    model_cls: type[ExpressionClassifier],
    adata: AnnData,
    *,
    n_folds: int = 5,
    batch_folds: bool = False,
    study_key: str | None = None,
    study_folds: bool = False,
    cell_level: bool = False,
    allow_shared_rows: bool = False,
    resample: str | None = None,
    baselines: Sequence[str] = BASELINES,
    distill: bool | Mapping[str, Any] | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    train_kwargs: Mapping[str, Any] | None = None,
    threshold_rule: str = "youden",
    threshold_kwargs: Mapping[str, Any] | None = None,
    audit: bool = True,
    n_boot: int = 200,
    seed: int | None = 0,
    key_added: str = CV_KEY,
    verbose: bool = True,
) -> pd.DataFrame:
    """
    Cross-validate a model by donor, beside baselines on the same genes and folds.

    Whole donors are held out. Everything that is learned (gene panel, programs, linear part,
    components, thresholds) is learned from the other donors of the fold. Without two donors, or
    on request, single cells are held out; the result then says that it is optimistic.

    Read the table so: ``value`` is the metric over all held-out rows, ``low`` and ``high`` are
    its 95 % interval when donors are drawn anew. F1, MCC and balanced accuracy use the
    threshold that each model chose inside its training fold, by one rule, on rows that the
    respective fit had not seen.

    Parameters
    ----------
    model_cls
        Class that ``adata`` was set up for.
    %(adata)s
    n_folds
        Number of folds.
    batch_folds
        Hold out one batch (``batch_key``) after the other instead; ``n_folds`` is not used. Cells
        of the held-out batch's donors are kept out of training, whatever batch they are in.
    study_key
        Column of ``adata.obs`` with the study (cohort) of each row. Adds the AUROC over pairs of
        one study to the metrics, and a comparator that knows the study alone.
    study_folds
        Hold out one study after the other, as ``batch_folds`` does with batches.
    cell_level
        Hold out single cells although there are donors; optimistic.
    allow_shared_rows
        Go on where a held-out row has an identical row in training data; optimistic.
    resample
        ``"over"``, ``"under"``, ``"smote"`` or ``"smote_tomek"``: balance the classes of the
        training rows of each fold, and of each inner fold, for the baselines (extra
        ``resampling``). The model is trained on the rows as they are.
    baselines
        Any of ``logistic_regression`` (ridge, C by inner folds), ``gradient_boosting`` (on 50
        principal components), ``random_forest`` (300 trees), ``mean_expression`` and ``lsc17``
        (Ng et al., Nature 2016); when named also ``svm_rbf``, ``adaboost``, ``xgboost`` (extra
        ``xgboost``), ``ifng`` and ``ctl`` (means of six and of five genes, Ayers et al. 2017 and
        Jiang et al. 2018; left out without half of them), and ``svm_grid``,
        ``random_forest_grid`` and ``adaboost_grid``, whose settings are chosen by inner folds.
        All read log1p CP10k of the registered genes and tell the positive
        class from the rest.
    distill
        Distil a student in every fold and judge it as ``"student"``: true, or arguments of
        ``distill``.
    model_kwargs
        Arguments of ``model_cls``.
    train_kwargs
        Arguments of ``train``.
    threshold_rule
        One of :data:`dtp_scvi.stats.RULES`.
    threshold_kwargs
        ``target``, ``fixed`` or ``negatives`` of :func:`dtp_scvi.stats.choose_threshold`;
        ``negatives`` may be a boolean column of ``adata.obs``.
    audit
        Also run :func:`dtp_scvi.pp.audit` on labels, donors and batches.
    n_boot
        Resamples for intervals.
    %(seed)s
    key_added
        Key of ``adata.uns`` under which the result is written.
    %(verbose)s

    Returns
    -------
    Columns model, metric, value, low, high, n_boot (resamples used). Also written, at the end and
    all at once:

    ``uns[key_added]``
        ``metrics`` (this table), ``differences`` (model minus each other one, paired),
        ``within_study`` (AUROC of each model in each study, with ``study_key``),
        ``threshold`` (chosen on all held-out probabilities, with interval), ``threshold_sweep``,
        ``calibration`` (fitted to all held-out log-odds), ``roc``, ``pr``, ``reliability``,
        ``decision_curve`` (net benefit of all models), ``coverage`` (of conformal sets fitted on
        other donors' held-out rows; NaN with a ``reason`` for levels that need more donors),
        ``scores`` and ``probabilities`` (held-out log-odds and probabilities, rows x models),
        ``label`` (bool), ``fold`` (int), ``group`` (donor),
        ``folds`` (sizes and thresholds), ``audit`` (its findings),
        ``params`` (protocol, seeds, versions, warnings, time).
    ``uns["dtp_audit"]``
        What :func:`dtp_scvi.pp.audit` writes, unless it was left out.
    ``uns["dtp_fidelity"]``
        With ``distill``: ``table`` (teacher and student logits), ``summary`` (spearman, pearson,
        agreement, kappa with intervals), the median thresholds of the folds as logits, ``params``.

    Raises
    ------
    ValueError
        When ``adata`` was not set up for ``model_cls``, the donors allow fewer folds, or the same
        row is in training and test data; the message names how many.
    KeyError
        When ``negatives`` or ``study_key`` names no column.

    Warns
    -----
    UserWarning
        When cells are split for want of donors, or donor or batch determines the label.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=6)
    >>> dtp.model.DTPTransformer.setup_anndata(
    ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    ... )
    >>> table = dtp.tl.cross_validate(
    ...     dtp.model.DTPTransformer,
    ...     cells,
    ...     n_folds=2,
    ...     baselines=["mean_expression"],
    ...     model_kwargs={"n_programs": 8},
    ...     train_kwargs={"max_epochs": 2},
    ...     verbose=False,
    ... )
    >>> table["model"].unique().tolist()
    ['teacher', 'mean_expression']
    >>> cells.uns["dtp_cv"]["params"]["protocol"]
    'donor-grouped 2-fold'
    """
    check_class(model_cls)
    reg = model_cls.registration(adata)
    check_positive_int(n_boot, "n_boot")
    protocol = Protocol(
        n_folds=n_folds,
        batch_folds=batch_folds,
        study_key=study_key,
        study_folds=study_folds,
        cell_level=cell_level,
        resample=resample,
        allow_shared_rows=allow_shared_rows,
        seed=seed,
    )
    protocol.check()
    rule = threshold_arguments(adata, reg, threshold_rule, threshold_kwargs or {})
    names, notes = comparators(baselines, reg, protocol)
    train_with = train_arguments(model_cls, train_kwargs or {}, rule)
    plan, hashes = checked_plan(adata, reg, protocol)
    check_negatives(rule, plan)
    task = Task(
        adata=adata,
        reg=reg,
        model_cls=model_cls,
        name=model_name(model_cls),
        model_kwargs=dict(model_kwargs or {}),
        train_kwargs=train_with,
        distill=distill_arguments(model_cls, distill=distill),
        baselines=names,
        matrix=baseline_matrix(adata, reg) if names else None,
        negatives=rule.get("negatives"),
        studies=None if plan.studies is None else study_rows(plan.studies),
        resample=resample,
    )
    found = run_folds(task, plan, seed=seed, verbose=verbose)
    params = {
        "left_out": notes,
        "arguments": protocol.as_dict(),
        "fingerprint": fingerprint(reg, hashes),
        "model_arguments": given_arguments(model_kwargs, train_kwargs),
    }
    result = summarise(task, plan, found, rule, params, n_boot=n_boot, seed=seed)
    fidelity = None
    if task.distill is not None:
        fidelity = fidelity_result(task, plan, found, result["params"], n_boot=n_boot, seed=seed)
    if audit:
        result["audit"] = run_audit(adata, reg, seed)
    adata.uns[key_added] = result
    if fidelity is not None:
        adata.uns[FIDELITY_KEY] = fidelity
    return result["metrics"].copy()
