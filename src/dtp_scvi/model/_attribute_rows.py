"""Which rows are explained, in which units they are averaged, and against what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy.sparse as sp
import torch

from dtp_scvi._labels import text_column
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_positive_int, near_matches, problem
from dtp_scvi.data import draw_rows
from dtp_scvi.model._attribute_methods import SHAP
from dtp_scvi.model._response_input import RANK
from dtp_scvi.model._response_predict import standardised
from dtp_scvi.module import sparse_batch
from dtp_scvi.train import log_rows

if TYPE_CHECKING:
    from anndata import AnnData

    from dtp_scvi.model._query import Query
    from dtp_scvi.model._response_input import Align
    from dtp_scvi.model._response_reference import InputReference
    from dtp_scvi.module import AMUModule, DrugSensitivityModule

BASELINES: Final = ("train_mean", "query_mean", "query", "zero")
_QUERY_ROWS = 100


@dataclass(frozen=True)
class ExplainedRows:
    """Inputs of the rows to explain, with the units that they are averaged in."""

    values: sp.csr_matrix | np.ndarray
    """Inputs, (n_rows, n_kinds · n_genes)."""
    positions: np.ndarray
    """Where the rows lie in the AnnData."""
    donors: np.ndarray | None
    groups: np.ndarray | None
    observed: np.ndarray
    """Which genes of the model the rows have, (n_genes,)."""
    kinds: tuple[str, ...]
    """Kinds of inputs, each a set of genes."""

    def __len__(self) -> int:
        return len(self.positions)

    def dense(self, rows: Any) -> np.ndarray:
        """Return some rows as an array."""
        part = self.values[rows]
        return part.toarray() if sp.issparse(part) else part

    def by_gene(self, inputs: np.ndarray) -> np.ndarray:
        """Sum over kinds of inputs: (n_rows, n_kinds · n_genes) to (n_rows, n_genes)."""
        return inputs.reshape(len(inputs), len(self.kinds), -1).sum(axis=1)

    def expression(self, inputs: np.ndarray) -> np.ndarray:
        """Return the first kind of inputs, (n_rows, n_genes)."""
        return inputs[:, : inputs.shape[1] // len(self.kinds)]


def choose_rows(
    adata: AnnData,
    indices: np.ndarray | None,
    donor_key: str | None,
    groupby: str | None,
    max_cells: int | None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Draw rows so that every donor counts; return them, ascending, with donors and groups."""
    donors = None if donor_key is None else text_column(adata.obs, donor_key, "donor_key")
    groups = None if groupby is None else text_column(adata.obs, groupby, "groupby")
    chosen = np.arange(adata.n_obs)
    chosen = chosen if indices is None else np.sort(chosen[np.asarray(indices)])
    if not len(chosen):
        msg = problem("at least one row to explain", "none", "Check `indices`.")
        raise ValueError(msg)
    if max_cells is not None:
        check_positive_int(max_cells, "max_cells")
        of_donor = None if donors is None else donors[chosen].tolist()
        chosen = chosen[draw_rows(len(chosen), of_donor, max_cells, rng)]
    return chosen, _at(donors, chosen), _at(groups, chosen)


def _at(labels: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if labels is None else labels[rows]


def classifier_rows(
    query: Query, chosen: np.ndarray, donors: np.ndarray | None, groups: np.ndarray | None
) -> ExplainedRows:
    """Read log1p(1e4 · x / total) of the chosen rows in the model's genes."""
    parts = [
        log_rows(block.matrix, block.total, query.scale) for block in query.blocks(indices=chosen)
    ]
    seen = query.alignment.observed
    observed = np.ones_like(seen) if query.missing == "zero" else seen
    values = sp.vstack(parts, format="csr")
    return ExplainedRows(values, chosen, donors, groups, observed, ("log1p",))


@torch.no_grad()
def panel_rows(
    module: AMUModule,
    query: Query,
    chosen: np.ndarray,
    donors: np.ndarray | None,
    groups: np.ndarray | None,
) -> ExplainedRows:
    """Read log1p per million of the closed panel of the chosen rows."""
    values = np.vstack(
        [
            module.closed(sparse_batch(block.matrix, block.total, query.kind), query.observed)
            for block in query.blocks(indices=chosen)
        ]
    )
    seen = query.alignment.observed
    observed = np.ones_like(seen) if query.missing == "zero" else seen
    return ExplainedRows(values, chosen, donors, groups, observed, ("log1p",))


@torch.no_grad()
def sensitivity_rows(
    module: DrugSensitivityModule,
    query: Query,
    chosen: np.ndarray,
    donors: np.ndarray | None,
    groups: np.ndarray | None,
) -> ExplainedRows:
    """Read the inputs of an encoder: mapped, where the query goes through an adaptation."""
    codes = np.zeros(len(chosen), int) if query.samples is None else query.samples[chosen]
    parts = []
    for block in query.blocks(indices=chosen):
        sample = torch.from_numpy(codes[block.rows]) if query.adaptation else None
        batch = sparse_batch(block.matrix, block.total, query.kind)
        parts.append(module.inputs(batch, query.observed, sample).numpy())
    seen = query.alignment.observed
    observed = np.ones_like(seen) if query.missing == "zero" else seen
    observed = observed & (module.known.numpy() > 0)
    return ExplainedRows(np.vstack(parts), chosen, donors, groups, observed, ("aligned",))


def response_rows(
    reference: InputReference,
    query: Query,
    align: Align,
    chosen: np.ndarray,
    donors: np.ndarray | None,
    groups: np.ndarray | None,
) -> ExplainedRows:
    """Read the chosen rows' inputs of a response model, on the scale before standardising."""
    parts = []
    for rows, z in standardised(reference, query, align):
        here = chosen[(chosen >= rows.start) & (chosen < rows.stop)] - rows.start
        inputs = z[:, here] * reference.sd[:, None] + reference.mean[:, None]
        parts.append(inputs.transpose(1, 0, 2).reshape(len(here), -1))
    values = np.vstack(parts)
    full = np.isfinite(values).all(axis=1)
    if not full.all():
        warn(f"{(~full).sum():,} rows have no value in the model's genes and are left out.")
        if not full.any():
            msg = problem("a row with expression", "none", "Check the input.")
            raise ValueError(msg)
    seen = query.alignment.observed
    observed = np.ones_like(seen) if query.missing == "zero" else seen
    return ExplainedRows(
        values[full],
        chosen[full],
        None if donors is None else donors[full],
        None if groups is None else groups[full],
        observed,
        reference.kinds,
    )


def baseline_inputs(
    baseline: str | np.ndarray,
    rows: ExplainedRows,
    mean: np.ndarray,
    method: str,
    rng: np.random.Generator,
) -> tuple[np.ndarray, str]:
    """Return what the rows are compared with, (n_baselines, n_inputs), and its name."""
    if not isinstance(baseline, str):
        return _given(baseline, len(mean), method), "given"
    if baseline not in BASELINES:
        msg = problem(
            f"`baseline` to be one of {', '.join(map(repr, BASELINES))}, or an array",
            repr(baseline),
            near_matches(baseline, BASELINES),
        )
        raise ValueError(msg)
    if baseline == "train_mean":
        return mean[None].copy(), baseline
    if baseline == "zero":
        if RANK in rows.kinds:
            msg = problem(
                "a baseline that is a sample", '"zero" with ranks as inputs', "Use train_mean."
            )
            raise ValueError(msg)
        return np.zeros((1, len(mean))), baseline
    if baseline == "query_mean":
        return _query_mean(rows)[None], baseline
    if method != SHAP:
        msg = problem(
            f'`baseline="query"`, a set of rows, with method="{SHAP}"',
            f"method={method!r}",
            'Use baseline="query_mean".',
        )
        raise ValueError(msg)
    groups = None if rows.donors is None else rows.donors.tolist()
    return rows.dense(draw_rows(len(rows), groups, _QUERY_ROWS, rng)), baseline


def _given(baseline: np.ndarray, n_inputs: int, method: str) -> np.ndarray:
    array = np.atleast_2d(np.array(baseline, dtype=np.float64))
    several = array.ndim == 2 and len(array) > 1
    if array.ndim != 2 or array.shape[1] != n_inputs or not np.isfinite(array).all():
        msg = problem(
            f"a baseline of {n_inputs:,} finite values, one for each gene of the model in its order",
            f"an array of shape {np.shape(baseline)}",
            "Use the order of `model.genes_`.",
        )
        raise ValueError(msg)
    if several and method != SHAP:
        msg = problem(
            f"one baseline with method={method!r}", f"{len(array):,}", f'Use method="{SHAP}".'
        )
        raise ValueError(msg)
    return array


def _query_mean(rows: ExplainedRows) -> np.ndarray:
    """Mean of the rows by donor, then over donors."""
    donors = np.zeros(len(rows), int) if rows.donors is None else rows.donors
    codes = np.unique(donors, return_inverse=True)[1]
    weight = 1 / np.bincount(codes)[codes] / (codes.max() + 1)
    return np.asarray(weight @ rows.values).ravel()
