"""Whether refits on other donors point at the same genes, beside refits on permuted labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._constants import ATTRIBUTION_STABILITY_KEY, SIMULATION_KEY
from dtp_scvi._docs import docs
from dtp_scvi._logging import progress, warn
from dtp_scvi._validate import check_positive_int, problem
from dtp_scvi.tl._attribution_folds import Explained, Refit
from dtp_scvi.tl._cv_arguments import check_class, model_name, train_arguments
from dtp_scvi.tl._cv_plan import check_plan, checked_plan, make_plan
from dtp_scvi.tl._cv_protocol import Protocol
from dtp_scvi.tl._permutation_labels import (
    exchange_units,
    permute_labels,
    relabelled,
    resolve_by,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from anndata import AnnData

    from dtp_scvi.model import ExpressionClassifier, Registration
    from dtp_scvi.tl._cv_plan import Plan


@docs.dedent
def attribution_stability(
    model_cls: type[ExpressionClassifier],
    adata: AnnData,
    *,
    n_folds: int = 5,
    study_key: str | None = None,
    method: str = "integrated_gradients",
    n_top: int = 20,
    max_cells: int | None = 200,
    n_steps: int | None = None,
    n_permutations: int = 1,
    by: str | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    train_kwargs: Mapping[str, Any] | None = None,
    seed: int | None = 0,
    key_added: str = ATTRIBUTION_STABILITY_KEY,
    verbose: bool = True,
) -> pd.DataFrame:
    """
    Refit a model without each fold of donors and compare which genes it then relies on.

    Every row is explained by the model that has not seen its donor. Models of two folds share
    most of their training rows, and genes of large variance weigh more whatever is learned, so
    folds agree on labels that say nothing as well; ranks of all genes by far more than the first
    genes do. The same refits on permuted labels tell to what extent: agreement that is not above
    theirs is no evidence for a gene. Nor is any where the held-out AUROC is near 0.5.

    Parameters
    ----------
    model_cls
        Class that ``adata`` was set up for. Donors are those that it was set up with.
    %(adata)s
    n_folds
        Number of folds of whole donors, as in :func:`cross_validate` with the same seed.
    study_key
        Column of ``adata.obs`` with the study of each row: labels of the control are exchanged
        within studies alone.
    method
        As in :func:`attribute`, against the training mean of each fold.
    n_top
        Number of genes whose membership among the largest is compared; less than there are genes.
    max_cells
        Rows to explain in a fold, drawn so that every donor counts; ``None`` for all of them.
    n_steps
        As in :func:`attribute`.
    n_permutations
        Control runs, each of which takes as long as the observed one. One shows about where
        permuted labels get, at twice the time; several show how that varies. 0 leaves the control
        out, and then the numbers have nothing to be compared with.
    by
        What is exchanged, as in :func:`permutation_control`.
    model_kwargs, train_kwargs
        Arguments of the model, as in :func:`cross_validate`.
    %(seed)s
    key_added
        Key of ``adata.uns`` under which the result is written.
    %(verbose)s

    Returns
    -------
    One row a gene of the data, largest first: ``gene``; ``mean_abs``, its absolute contribution
    to the log-odds over held-out rows, each donor counted once; ``rank``, from 1; ``rank_sd``, standard
    deviation of its ranks over folds; ``frequency``, share of folds in which it is among the
    ``n_top`` largest. A gene that the model of a fold does not read contributes 0. Also written:

    ``uns[key_added]``
        ``table`` (this one); ``stability``: mean over pairs of folds of ``spearman`` (ranks of
        all genes) and ``jaccard`` (of the ``n_top`` largest), ``auroc`` of held-out rows, and
        with a control ``spearman_permuted``, ``jaccard_permuted`` and ``auroc_permuted``, means
        over permutations; ``runs``, the three numbers of each run, the observed one first;
        ``by_fold``, ``mean_abs`` of each gene in each fold, (n_genes, n_folds); ``folds``, what
        was held out, sizes and the median completeness error; ``params``.

    Raises
    ------
    ValueError
        When ``adata`` was not set up for ``model_cls``, the donors allow fewer folds, ``n_top``
        leaves no gene out, or ``by`` can't be done.
    ImportError
        When captum (extra ``mechanism``) is missing and the prediction is not linear.

    Warns
    -----
    UserWarning
        When rows are split for want of donors; when they share no more of their largest
        genes than on permuted labels.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=6)
    >>> dtp.model.DTPTransformer.setup_anndata(
    ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    ... )
    >>> table = dtp.tl.attribution_stability(
    ...     dtp.model.DTPTransformer,
    ...     cells,
    ...     n_folds=2,
    ...     max_cells=20,
    ...     model_kwargs={"n_programs": 8},
    ...     train_kwargs={"max_epochs": 1},
    ...     verbose=False,
    ... )
    >>> table.columns.tolist()
    ['gene', 'mean_abs', 'rank', 'rank_sd', 'frequency']
    >>> cells.uns["dtp_attribution_stability"]["runs"]["run"].tolist()
    ['observed', 'permutation 1']
    """
    check_class(model_cls)
    reg = model_cls.registration(adata)
    _check_counts(n_top, n_permutations, len(reg.genes))
    protocol = Protocol(n_folds=n_folds, study_key=study_key, seed=seed)
    refit = Refit(
        model_cls,
        dict(model_kwargs or {}),
        train_arguments(model_cls, train_kwargs or {}, {"rule": "youden"}),
        {"method": method, "max_cells": max_cells, "n_steps": n_steps, "n_top": n_top},
    )
    kind = resolve_by(by, reg) if n_permutations else ""
    plan, hashes = checked_plan(adata, reg, protocol)
    n_fits = len(plan.folds) * (1 + n_permutations)
    with progress(n_fits, "attribution stability", verbose=verbose, unit="fits") as bar:
        observed = refit(adata, reg, plan, seed, bar.update)
        runs = [observed.agreement(reg.is_positive, n_top)]
        if n_permutations:
            labels = _permutations(reg, plan, hashes, kind, n_permutations, seed)
            for number, drawn in enumerate(labels):
                bar.set_postfix_str(f"permutation {number + 1}")
                runs.append(
                    _permuted(refit, adata, reg, protocol, plan, hashes, drawn, bar.update, n_top)
                )
    params = {
        "model": model_name(model_cls),
        "method": method,
        "protocol": plan.protocol,
        "optimistic": plan.optimistic,
        "n_top": n_top,
        "n_permutations": n_permutations,
        "by": kind,
        "within_study": plan.studies is not None,
        "simulated": SIMULATION_KEY in adata.uns,
        **({} if seed is None else {"seed": seed}),
    }
    result = _result(observed, runs, reg, n_top) | {"params": params}
    _judge(result["stability"])
    adata.uns[key_added] = result
    return result["table"].copy()


def _check_counts(n_top: int, n_permutations: int, n_genes: int) -> None:
    check_positive_int(n_top, "n_top")
    if n_permutations != 0:
        check_positive_int(n_permutations, "n_permutations")
    if n_top >= n_genes:
        msg = problem(
            f"`n_top` below the {n_genes:,} genes of the data",
            f"{n_top:,}",
            "Where all genes are at the top, all folds agree; lower it.",
        )
        raise ValueError(msg)


def _permutations(
    reg: Registration,
    plan: Plan,
    hashes: np.ndarray,
    kind: str,
    n_permutations: int,
    seed: int | None,
) -> Iterator[np.ndarray]:
    unit, stratum = exchange_units(reg, hashes, plan.studies, kind)
    rng = np.random.default_rng(seed)
    for _ in range(n_permutations):
        yield permute_labels(reg.labels, unit, stratum, rng)


def _permuted(
    refit: Refit,
    adata: AnnData,
    reg: Registration,
    protocol: Protocol,
    plan: Plan,
    hashes: np.ndarray,
    labels: np.ndarray,
    done: Callable[[], object],
    n_top: int,
) -> dict[str, float]:
    """Split, refit and explain from scratch on other labels."""
    other = replace(reg, labels=labels)
    folds = make_plan(other, protocol, plan.studies)
    names = adata.obs_names.to_numpy(dtype=str)
    folds = check_plan(folds, hashes, names, allowed=False)
    rows = relabelled(refit.model_cls, adata, reg, labels)
    return refit(rows, other, folds, protocol.seed, done).agreement(other.is_positive, n_top)


def _result(
    observed: Explained, runs: list[dict[str, float]], reg: Registration, n_top: int
) -> dict[str, Any]:
    names = ["observed", *(f"permutation {number}" for number in range(1, len(runs)))]
    table = pd.DataFrame(runs).assign(run=names)[["run", *runs[0]]]
    control = table[1:].drop(columns="run").mean()
    permuted = {f"{name}_permuted": float(value) for name, value in control.items()}
    columns = [f"fold {number}" for number in range(len(observed.size))]
    return {
        "table": observed.table(reg.genes, n_top),
        "stability": {**runs[0], **(permuted if len(runs) > 1 else {})},
        "runs": table,
        "by_fold": pd.DataFrame(observed.size.T, reg.genes.astype(object), columns),
        "folds": observed.folds,
    }


def _judge(found: Mapping[str, float]) -> None:
    """Say where the first genes are no more stable than on labels that say nothing."""
    if "jaccard_permuted" in found and not found["jaccard"] > found["jaccard_permuted"]:
        warn(
            f"Folds share {found['jaccard']:.2f} of their largest genes (Jaccard index), on "
            f"permuted labels {found['jaccard_permuted']:.2f}: these attributions are no more "
            "stable than those of a model with nothing to learn."
        )
