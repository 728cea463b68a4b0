"""Judge a model, and its comparators, on donors that it has not seen."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi import pp
from dtp_scvi._constants import CV_KEY, FIDELITY_KEY, STUDENT, TEACHER
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_key, check_positive_int, problem, shorten
from dtp_scvi.data import get_matrix
from dtp_scvi.stats import choose_threshold
from dtp_scvi.tl._cv_plan import make_plan
from dtp_scvi.tl._cv_result import fidelity_result, summarise
from dtp_scvi.tl._cv_run import Task, run_folds
from dtp_scvi.train import BASELINES, log_rows, read_rows, usable_baselines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData

    from dtp_scvi.model import ExpressionClassifier, Registration
    from dtp_scvi.tl._cv_plan import Plan

_NAMES = {"DTPTransformer": TEACHER, "DTPStudent": STUDENT}
_OURS = ("indices", "seed")


@docs.dedent
def cross_validate(
    model_cls: type[ExpressionClassifier],
    adata: AnnData,
    *,
    n_folds: int = 5,
    batch_folds: bool = False,
    cell_level: bool = False,
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
    cell_level
        Hold out single cells although there are donors; optimistic.
    baselines
        Any of ``logistic_regression`` (ridge, C by inner folds), ``gradient_boosting`` (on 50
        principal components), ``random_forest`` (300 trees), ``mean_expression`` and ``lsc17``
        (Ng et al., Nature 2016). All read log1p CP10k of the registered genes and tell the
        positive class from the rest.
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
        When ``adata`` was not set up for ``model_cls``, or the donors allow fewer folds; the
        message names how many.
    KeyError
        When ``negatives`` names no column.

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
    _check_class(model_cls)
    reg = model_cls.registration(adata)
    check_positive_int(n_boot, "n_boot")
    rule = _threshold_rule(adata, reg, threshold_rule, threshold_kwargs or {})
    names, notes = usable_baselines(baselines, reg.genes)
    plan = make_plan(
        reg, n_folds=n_folds, batch_folds=batch_folds, cell_level=cell_level, seed=seed
    )
    _check_negatives(rule, plan)
    task = Task(
        adata=adata,
        reg=reg,
        model_cls=model_cls,
        name=_NAMES.get(model_cls.__name__, model_cls.__name__),
        model_kwargs=dict(model_kwargs or {}),
        train_kwargs=_train_arguments(model_cls, train_kwargs or {}, rule),
        distill=_distill_arguments(model_cls, distill=distill),
        baselines=names,
        matrix=_baseline_matrix(adata, reg) if names else None,
        negatives=rule.get("negatives"),
    )
    found = run_folds(task, plan, seed=seed, verbose=verbose)
    params = {"left_out": notes}
    result = summarise(task, plan, found, rule, params, n_boot=n_boot, seed=seed)
    fidelity = None
    if task.distill is not None:
        fidelity = fidelity_result(task, plan, found, result["params"], n_boot=n_boot, seed=seed)
    if audit:
        result["audit"] = _audit(adata, reg, seed)
    adata.uns[key_added] = result
    if fidelity is not None:
        adata.uns[FIDELITY_KEY] = fidelity
    return result["metrics"].copy()


def _check_class(model_cls: Any) -> None:
    if not (inspect.isclass(model_cls) and hasattr(model_cls, "registration")):
        msg = problem(
            "a model class, e.g. dtp.model.DTPTransformer",
            repr(model_cls) if inspect.isclass(model_cls) else type(model_cls).__name__,
            "Pass the class first, then the AnnData that was set up for it.",
        )
        raise TypeError(msg)


def _audit(adata: AnnData, reg: Registration, seed: int | None) -> pd.DataFrame:
    # Set-up has refused a batch that determines the label, or was told to accept it.
    return pp.audit(
        adata,
        reg.labels_key,
        donor_key=reg.donor_key,
        batch_keys=() if reg.batch_key is None else (reg.batch_key,),
        layer=reg.layer,
        positive=reg.positive,
        allow_confounded=True,
        seed=seed,
    )


def _check_negatives(rule: Mapping[str, Any], plan: Plan) -> None:
    """Raise where a fold would have no named negative to choose its threshold on."""
    if "negatives" not in rule:
        return
    for number, fold in enumerate(plan.folds):
        if not rule["negatives"][fold.train].any():
            msg = problem(
                "`negatives` among the training rows of every fold",
                f"all of them in the test rows of fold {number + 1} ({fold.held_out})",
                "Name negatives of more donors.",
            )
            raise ValueError(msg)


def _baseline_matrix(adata: AnnData, reg: Registration) -> Any:
    rows, total = read_rows(get_matrix(adata, reg.layer), reg.scale, None)
    return log_rows(rows, total, reg.scale)


def _threshold_rule(
    adata: AnnData, reg: Registration, name: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of ``choose_threshold``, tried before anything is fitted."""
    allowed = ("target", "fixed", "negatives")
    wrong = [key for key in arguments if key not in allowed]
    if wrong:
        msg = problem(
            f"`threshold_kwargs` of {', '.join(allowed)}", shorten(wrong), "Leave the rest out."
        )
        raise TypeError(msg)
    rule = {"rule": name, **arguments}
    negatives = rule.get("negatives")
    if isinstance(negatives, str):
        check_key(adata.obs, negatives, "adata.obs", "negatives")
        negatives = adata.obs[negatives].to_numpy()
    if negatives is not None:
        rule["negatives"] = np.asarray(negatives)
    choose_threshold(reg.is_positive, reg.is_positive.astype(float), n_boot=0, **rule)
    return rule


def _train_arguments(
    model_cls: Any, arguments: Mapping[str, Any], rule: Mapping[str, Any]
) -> dict[str, Any]:
    """Add to the arguments of ``train`` the rule of the threshold, where the class takes one."""
    _check_not_ours(arguments, "train_kwargs")
    known = inspect.signature(model_cls.train).parameters
    added = {"verbose": False, **arguments}
    if "threshold_rule" in known and "threshold_rule" not in arguments:
        rest = {key: value for key, value in rule.items() if key != "rule"}
        # The interval of a fold's own threshold is of no use here.
        added |= {"threshold_rule": rule["rule"], "threshold_kwargs": {**rest, "n_boot": 0}}
    return added


def _distill_arguments(
    model_cls: Any, *, distill: bool | Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if distill is None or distill is False:
        return None
    if not hasattr(model_cls, "distill"):
        msg = problem(
            "a model with a `distill` method",
            model_cls.__name__,
            "Leave `distill` out, or cross-validate DTPTransformer.",
        )
        raise TypeError(msg)
    arguments = {} if distill is True else dict(distill)
    _check_not_ours(arguments, "distill")
    return {"verbose": False, **arguments}


def _check_not_ours(arguments: Mapping[str, Any], name: str) -> None:
    taken = [key for key in _OURS if key in arguments]
    if taken:
        msg = problem(
            f"`{name}` without {' and '.join(_OURS)}",
            ", ".join(taken),
            "The folds set the rows; pass `seed` to cross_validate.",
        )
        raise TypeError(msg)
