"""What each gene contributes to a model's prediction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dtp_scvi._constants import SIMULATION_KEY
from dtp_scvi._logging import progress, warn
from dtp_scvi._validate import check_positive_int, shorten
from dtp_scvi.data import draw_rows
from dtp_scvi.model._attribute_checks import completeness, judge, output_shares
from dtp_scvi.model._attribute_methods import (
    INTEGRATED,
    Attributor,
    check_method,
)
from dtp_scvi.model._attribute_net import (
    Outcome,
    ProgramNet,
    classifier_net,
    linear_response_net,
)
from dtp_scvi.model._attribute_rows import (
    ExplainedRows,
    baseline_inputs,
    choose_rows,
    classifier_rows,
    panel_rows,
    response_rows,
    sensitivity_rows,
)
from dtp_scvi.model._attribute_summary import Tally, gene_table, group_table, rank_stability
from dtp_scvi.model._response_fit import Fitted
from dtp_scvi.module import AMUModule, DrugSensitivityModule

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from dtp_scvi.model._attribute_net import DenseNet
    from dtp_scvi.model._classifier_query import ClassifierQueries
    from dtp_scvi.model._query import Query
    from dtp_scvi.model._response_input import Align
    from dtp_scvi.model._response_query import ResponseQueries

_SHOWN_GENES, _SHOWN_CELLS = 30, 500


@dataclass(frozen=True)
class Attribution:
    """What each gene contributes to a prediction, from ``model.attribute``.

    A contribution is in the units of the prediction: log-odds of a classifier's positive class, or
    the units of a response. Those of a row sum to its prediction less that at the baseline.

    Attributes
    ----------
    table
        One row a gene (index), largest ``mean_abs`` first; averages over the rows of a donor,
        then over donors. ``mean`` and ``mean_abs``, the signed and the absolute contribution;
        ``linear`` and ``residual``, the parts of ``mean``, with ``linear_abs`` and
        ``residual_abs``; ``sd`` of ``mean`` over donors; ``direction``, correlation over rows of
        the gene's value with its contribution: above 0, more of it raises the prediction;
        ``frequency``, share of donors in which the gene is among the ``n_top`` largest; ``rank``
        by ``mean_abs``, from 1. float64; NaN for genes that the rows lack.
    groups
        With ``groupby``, one row a group and gene: ``group``, ``gene``, ``mean``, ``mean_abs``,
        ``rank``, ``n_rows``, ``n_donors``; else ``None``.
    record
        ``completeness`` (error of the sums as a share of what they should be: ``median`` and
        ``max`` over rows, ``overall``, ``n_above`` the tolerance of one per cent, and ``least``,
        what the error of a row is a share of where its prediction is nearer to the baseline's), ``shares``
        of the prediction that the ``linear`` and the ``residual`` part carry (of its
        ``variance``, and of the mean ``absolute`` contribution), ``stability`` over donors
        (``donor_spearman``, ``split_half``, and a ``reason`` where they are NaN), ``missing``
        (genes that the rows lack) and ``params``.
    donors
        Mean absolute contribution by donor of the 30 first genes, for figures: ``genes``,
        ``donors``, ``mean_abs`` (n_donors, n_genes).
    cells
        A sample of at most 500 rows for figures: ``genes``, ``rows`` (their names),
        ``attribution`` and ``expression`` (n_rows, n_genes).
    """

    table: pd.DataFrame
    groups: pd.DataFrame | None
    record: dict[str, Any]
    donors: dict[str, Any]
    cells: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return everything in one dictionary, as ``uns`` takes it and ``dtp.pl`` draws it."""
        groups = {} if self.groups is None else {"groups": self.groups}
        return {
            **self.record,
            **groups,
            "table": self.table,
            "donors": self.donors,
            "cells": self.cells,
        }


def attribute_classifier(
    model: ClassifierQueries, adata: AnnData, query: Query, how: Explanation
) -> Attribution:
    """Explain the log-odds of the positive class."""
    module, chosen = model.module, how.choose(adata)
    if isinstance(module, AMUModule):
        rows = panel_rows(module, query, *chosen)
    elif isinstance(module, DrugSensitivityModule):
        rows = sensitivity_rows(module, query, *chosen)
    else:
        rows = classifier_rows(query, *chosen)
    position = model.classes_.index(model.positive_)
    single = not isinstance(module, AMUModule | DrugSensitivityModule)
    outcome = Outcome.of_class(position, len(model.classes_), single=single)
    net = classifier_net(module, outcome, _mask(rows.observed), adapted=bool(query.adaptation))
    units = f"log-odds of {model.positive_} against the rest"
    about = {"model": type(model).__name__, "units": units, **_read(query)}
    if query.adaptation:
        about["adaptation"] = str(query.adaptation["method"])
    return how(net, rows, adata, model.genes_, about)


def attribute_response(
    model: ResponseQueries,
    adata: AnnData,
    query: Query,
    target: str | None,
    align: Align,
    how: Explanation,
) -> Attribution:
    """Explain the prediction of one target."""
    which = model.target_index(target)
    rows = response_rows(model._check_fitted(), query, align, *how.choose(adata))
    fit = model._fit_of()
    if isinstance(fit, Fitted):
        net: DenseNet = linear_response_net(fit)
    else:
        outcome = Outcome(which, float(fit.sd[which]), float(fit.mean[which]))
        net = ProgramNet(fit.module, outcome, None)
    about = {
        "model": type(model).__name__,
        "units": model.units_,
        "target": model.targets_[which],
        "align": align,
        **_read(query),
    }
    return how(net, rows, adata, model.genes_, about)


def _read(query: Query) -> dict[str, str]:
    """Say where the expression was found."""
    return {"expression": query.name or "as registered", "scale": str(query.scale)}


def _mask(observed: np.ndarray) -> torch.Tensor | None:
    return None if observed.all() else torch.from_numpy(observed.astype(np.float64))


@dataclass(frozen=True)
class Explanation:
    """The options of one call, checked before anything is computed."""

    method: str = INTEGRATED
    baseline: str | np.ndarray = "train_mean"
    groupby: str | None = None
    donor_key: str | None = None
    indices: np.ndarray | None = None
    max_cells: int | None = 1000
    n_steps: int | None = None
    n_top: int = 50
    seed: int | None = 0
    verbose: bool = False
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        check_method(self.method)
        check_positive_int(self.n_top, "n_top")
        if self.n_steps is not None:
            check_positive_int(self.n_steps, "n_steps")
        object.__setattr__(self, "rng", np.random.default_rng(self.seed))

    def choose(self, adata: AnnData) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Draw rows, with their donors and groups."""
        return choose_rows(
            adata, self.indices, self.donor_key, self.groupby, self.max_cells, self.rng
        )

    def __call__(
        self,
        net: DenseNet,
        rows: ExplainedRows,
        adata: AnnData,
        genes: np.ndarray,
        about: dict[str, Any],
    ) -> Attribution:
        """Explain the rows of an AnnData."""
        missing = genes[~rows.observed]
        if len(missing):
            warn(
                f"{len(missing):,} of {len(genes):,} model genes are not in the rows "
                f"({shorten(missing)}): they stand at the training mean and have no attribution."
            )
        mean = net.mean.numpy()
        baselines, name = baseline_inputs(self.baseline, rows, mean, self.method, self.rng)
        # A gene that the rows lack stands at its mean in them, so it must in the baseline too.
        lacking = np.flatnonzero(np.tile(~rows.observed, len(rows.kinds)))
        baselines[:, lacking] = mean[lacking]
        run = Attributor(net, baselines, self.method, self.n_steps, self.seed)
        tally = Tally(rows)
        groups = None if rows.donors is None else rows.donors.tolist()
        shown = draw_rows(len(rows), groups, _SHOWN_CELLS, self.rng)
        outputs, error, sample = self._stream(run, rows, tally, shown)
        record = self._record(rows, run, name, tally, outputs, error, adata)
        record["params"] |= about
        record["missing"] = missing.astype(object)
        table = gene_table(tally, genes, rows.observed, self.n_top)
        first = table.index[: min(_SHOWN_GENES, int(rows.observed.sum()))]
        place = {gene: i for i, gene in enumerate(genes)}
        top = np.array([place[gene] for gene in first])
        cells = {
            "genes": first.to_numpy(dtype=object),
            "rows": adata.obs_names[rows.positions[shown]].to_numpy(dtype=object),
            "attribution": sample[:, top],
            "expression": rows.expression(rows.dense(shown))[:, top],
        }
        by_group = None if self.groupby is None else group_table(tally, genes, rows.observed)
        return Attribution(table, by_group, record, _by_donor(tally, first, top), cells)

    def _stream(
        self, run: Attributor, rows: ExplainedRows, tally: Tally, shown: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Explain batch by batch: outputs (n_rows, 2), errors (n_rows,), a sample's values."""
        outputs, error = np.empty((len(rows), 2)), np.empty(len(rows))
        sample = np.empty((len(shown), len(rows.observed)), np.float32)
        with progress(len(rows), "explaining", verbose=self.verbose) as bar:
            for start in range(0, len(rows), run.batch_size):
                here = slice(start, min(start + run.batch_size, len(rows)))
                inputs = rows.dense(here)
                parts = run(inputs)
                outputs[here, 0], outputs[here, 1] = parts.linear_output, parts.residual_output
                error[here] = parts.error
                total = tally.add(here, parts, inputs, rows)
                wanted = (shown >= here.start) & (shown < here.stop)
                sample[wanted] = total[shown[wanted] - here.start]
                bar.update(len(inputs))
        return outputs, error, sample

    def _record(
        self,
        rows: ExplainedRows,
        run: Attributor,
        baseline: str,
        tally: Tally,
        outputs: np.ndarray,
        error: np.ndarray,
        adata: AnnData,
    ) -> dict[str, Any]:
        found = completeness(error, outputs.sum(axis=1), run.net.least)
        judge(self.method, found, len(rows))
        profile = tally.by_donor(tally.absolute)
        return {
            "completeness": found,
            "shares": output_shares(outputs[:, 0], outputs[:, 1]),
            "stability": {
                **rank_stability(profile, rows.observed, self.seed),
                "n_top": self.n_top,
            },
            "params": {
                "method": self.method,
                "baseline": baseline,
                "n_baselines": len(run.baselines),
                "n_steps": self.n_steps or 0,
                "gradients_per_row": run.n_gradients / len(rows),
                "n_rows": len(rows),
                "n_rows_given": adata.n_obs,
                "n_donors": len(tally.donor_names) if rows.donors is not None else 0,
                "donor_key": self.donor_key or "",
                "groupby": self.groupby or "",
                "seed": -1 if self.seed is None else self.seed,
                "simulated": SIMULATION_KEY in adata.uns,
            },
        }


def _by_donor(tally: Tally, genes: pd.Index, top: np.ndarray) -> dict[str, Any]:
    return {
        "genes": genes.to_numpy(dtype=object),
        "donors": tally.donor_names.astype(object),
        "mean_abs": tally.by_donor(tally.absolute[:, top]),
    }
