"""What a protocol finds where there is nothing to find."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._constants import LOGISTIC_REGRESSION, PERMUTATION_KEY, RANDOM_FOREST, STUDY_ONLY
from dtp_scvi._docs import docs
from dtp_scvi._logging import progress
from dtp_scvi._validate import check_positive_int, problem
from dtp_scvi.stats import auroc
from dtp_scvi.tl._cv_arguments import (
    baseline_matrix,
    check_class,
    comparators,
    given_arguments,
    model_name,
    train_arguments,
)
from dtp_scvi.tl._cv_plan import check_plan, checked_plan, make_plan
from dtp_scvi.tl._cv_protocol import Protocol, fingerprint
from dtp_scvi.tl._cv_run import Task, run_folds
from dtp_scvi.tl._cv_study import strata
from dtp_scvi.tl._permutation_labels import (
    exchange_units,
    permute_labels,
    relabelled,
    resolve_by,
)
from dtp_scvi.tl._permutation_result import stored_values, summarise_draws
from dtp_scvi.train import study_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData

    from dtp_scvi.model import ExpressionClassifier
    from dtp_scvi.tl._cv_plan import Plan

_Found = dict[tuple[str, str], float]


@docs.dedent
def permutation_control(
    model_cls: type[ExpressionClassifier],
    adata: AnnData,
    *,
    models: Sequence[str] = (LOGISTIC_REGRESSION, RANDOM_FOREST),
    n_permutations: int = 20,
    by: str | None = None,
    protocol: Mapping[str, Any] | None = None,
    observed: Mapping[str, Any] | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    train_kwargs: Mapping[str, Any] | None = None,
    seed: int | None = 0,
    key_added: str = PERMUTATION_KEY,
    verbose: bool = True,
) -> pd.DataFrame:
    """
    Run a cross-validation again and again on permuted labels, from the folds on.

    An honest protocol then has an AUROC near 0.5. Where copies of a row are on both sides, or
    labels are tied to something that the split does not hold out, it has more, and the same is
    in its observed value. With a ``study_key`` labels are exchanged within studies alone: what
    is left of the AUROC is what the study says.

    Parameters
    ----------
    model_cls
        Class that ``adata`` was set up for.
    %(adata)s
    models
        What is fitted: names of baselines (see :func:`cross_validate`), ``study_only``, and the
        name that the model itself has in results (``teacher``, ``student``, or its class). The
        model is fitted ``n_folds`` times for each permutation.
    n_permutations
        Number of permutations. The smallest p-value is ``1 / (n_permutations + 1)``.
    by
        What is exchanged: ``"donor"``, the labels of whole donors of one class; ``"within_donor"``,
        those of a donor's rows; ``"row"``, those of all rows. Default: donors where each has one
        class, else rows within donors, or all rows without donors. Rows with the same values and
        label keep one label.
    protocol
        Arguments of :func:`cross_validate` that make the protocol: ``n_folds``, ``batch_folds``,
        ``study_key``, ``study_folds``, ``cell_level``, ``resample``, ``allow_shared_rows`` and
        ``seed``. Default: those of ``observed``, or its defaults.
    observed
        Result of :func:`cross_validate` to compare with, such as ``adata.uns["dtp_cv"]``; its
        protocol and data must be the same. Without it the protocol is run once on true labels.
    model_kwargs, train_kwargs
        Arguments of the model, as in :func:`cross_validate`; used where it is among ``models``.
    %(seed)s
    key_added
        Key of ``adata.uns`` under which the result is written.
    %(verbose)s

    Returns
    -------
    Columns model, metric (auroc; with studies also auroc_within_study and
    auroc_within_study_and_fold), observed, mean, sd, low, high (2.5 and 97.5 % of the
    permutations), n_permutations, n_as_high, p: the share of permutations that reach the
    observed value, with one added to both counts. Also written:

    ``uns[key_added]``
        ``table`` (this one), ``draws`` (permutation, model, metric, value), ``params``.

    Raises
    ------
    ValueError
        When ``observed`` comes from another protocol or other data, with what differs; when it
        holds no value for a model; when ``by`` can't be done.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=6)
    >>> dtp.model.DTPTransformer.setup_anndata(
    ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    ... )
    >>> table = dtp.tl.permutation_control(
    ...     dtp.model.DTPTransformer,
    ...     cells,
    ...     models=["mean_expression"],
    ...     n_permutations=3,
    ...     protocol={"n_folds": 2},
    ...     verbose=False,
    ... )
    >>> table[["model", "metric", "n_permutations"]].values.tolist()
    [['mean_expression', 'auroc', 3]]
    """
    check_class(model_cls)
    check_positive_int(n_permutations, "n_permutations")
    run = _prepare(
        model_cls,
        adata,
        models,
        _protocol(protocol, observed),
        dict(model_kwargs or {}),
        dict(train_kwargs or {}),
    )
    kind = resolve_by(by, run.task.reg)
    truth = _measure(run.task, run.plan, run.protocol) if observed is None else None
    if observed is not None:
        given = given_arguments(model_kwargs, train_kwargs) if run.task.with_model else None
        truth = stored_values(
            observed,
            run.protocol.as_dict(),
            mark=run.mark,
            models=run.task.names,
            model_arguments=given,
        )
    unit, stratum = exchange_units(run.task.reg, run.hashes, run.plan.studies, kind)
    rng = np.random.default_rng(seed)
    draws = []
    with progress(n_permutations, "permutations", verbose=verbose, unit="permutations") as bar:
        for number in range(n_permutations):
            labels = permute_labels(run.task.reg.labels, unit, stratum, rng)
            for (model, metric), value in _permuted(run, labels).items():
                draws.append((number, model, metric, value))
            bar.update()
    table = pd.DataFrame(draws, columns=["permutation", "model", "metric", "value"])
    result = {
        "table": summarise_draws(table, truth or {}),
        "draws": table,
        "params": {
            "protocol": run.plan.protocol,
            "optimistic": run.plan.optimistic,
            "arguments": run.protocol.as_dict(),
            "fingerprint": run.mark,
            "by": kind,
            "within_study": run.plan.studies is not None,
            "n_units": len(set(unit.tolist())),
            "n_permutations": n_permutations,
            **({} if seed is None else {"seed": seed}),
        },
    }
    adata.uns[key_added] = result
    return result["table"].copy()


@dataclass(frozen=True)
class _Run:
    """The protocol on true labels."""

    task: Task
    plan: Plan
    protocol: Protocol
    hashes: np.ndarray
    mark: str


def _protocol(arguments: Mapping[str, Any] | None, observed: Mapping[str, Any] | None) -> Protocol:
    if arguments is None and observed is not None:
        stored = {"seed": None, **observed["params"]["arguments"]}
        # What was read from a file comes as numpy's own numbers.
        arguments = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in stored.items()
        }
    found = Protocol.of(arguments or {})
    found.check()
    return found


def _prepare(
    model_cls: Any,
    adata: AnnData,
    models: Sequence[str],
    protocol: Protocol,
    model_kwargs: dict[str, Any],
    train_kwargs: dict[str, Any],
) -> _Run:
    reg, own = model_cls.registration(adata), model_name(model_cls)
    asked = [name for name in models if name != own]
    names, left_out = comparators(asked, reg, protocol)
    wanted = tuple(name for name in names if name in asked)
    lost = [name for name in asked if name in left_out]
    if lost or not models:
        found = "; ".join(f"{name}: {left_out[name]}" for name in lost) or "none"
        msg = problem("models that can be fitted", found, "Name others.")
        raise ValueError(msg)
    plan, hashes = checked_plan(adata, reg, protocol)
    task = Task(
        adata=adata,
        reg=reg,
        model_cls=model_cls,
        name=own,
        model_kwargs=model_kwargs,
        train_kwargs=train_arguments(model_cls, train_kwargs, {"rule": "youden"}),
        distill=None,
        baselines=wanted,
        matrix=baseline_matrix(adata, reg) if set(wanted) - {STUDY_ONLY} else None,
        negatives=None,
        studies=None if plan.studies is None else study_rows(plan.studies),
        resample=protocol.resample,
        with_model=own in models,
    )
    return _Run(task, plan, protocol, hashes, fingerprint(reg, hashes))


def _measure(task: Task, plan: Plan, protocol: Protocol) -> _Found:
    """AUROC of each model from held-out scores, over all pairs and within studies."""
    found = run_folds(task, plan, seed=protocol.seed, verbose=False)
    labels = task.reg.is_positive
    kinds: dict[str, np.ndarray | None] = {"auroc": None}
    if plan.studies is not None:
        kinds |= strata(plan.studies, found.fold)
    return {
        (model, metric): auroc(labels, scores, strata=stratum)
        for model, scores in found.logits.items()
        for metric, stratum in kinds.items()
    }


def _permuted(run: _Run, labels: np.ndarray) -> _Found:
    reg = replace(run.task.reg, labels=labels)
    plan = make_plan(reg, run.protocol, run.plan.studies)
    names = run.task.adata.obs_names.to_numpy(dtype=str)
    plan = check_plan(plan, run.hashes, names, allowed=run.protocol.allow_shared_rows)
    task = replace(run.task, reg=reg)
    if task.with_model:
        task = replace(task, adata=relabelled(task.model_cls, task.adata, run.task.reg, labels))
    return _measure(task, plan, run.protocol)
