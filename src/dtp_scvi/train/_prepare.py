"""From a registered AnnData to what a fit needs: rows, normalised rows, folds, token basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch

from dtp_scvi._logging import warn
from dtp_scvi._validate import problem
from dtp_scvi.data import Scale, feasible_folds, group_folds, iter_blocks, scale_kind
from dtp_scvi.nn import log_normalize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dtp_scvi.train._axes import Axes
    from dtp_scvi.train._linear import Folds


def read_rows(
    matrix: Any, scale: Scale, indices: np.ndarray | None
) -> tuple[sp.csr_matrix, np.ndarray]:
    """Read rows into one CSR matrix on the scale of the input, with their linear totals."""
    blocks = list(iter_blocks(matrix, None, scale=scale, indices=indices))
    rows = sp.vstack([block.matrix for block in blocks], format="csr")
    return rows, np.concatenate([block.total for block in blocks])


def log_rows(matrix: sp.csr_matrix, total: np.ndarray, scale: Scale) -> sp.csr_matrix:
    """Return log1p of 10,000 counts a row, (n_rows, n_genes)."""
    values = log_normalize(
        torch.from_numpy(matrix.data.astype(np.float32)),
        torch.from_numpy(np.diff(matrix.indptr).astype(np.int64)),
        torch.from_numpy(np.asarray(total, dtype=np.float64)),
        scale_kind(scale),
    )
    return sp.csr_matrix((values.numpy(), matrix.indices, matrix.indptr), shape=matrix.shape)


@dataclass(frozen=True)
class InnerFolds:
    """Folds of the training rows and what they keep apart."""

    folds: Folds
    unit: str
    """``"donor"`` or ``"cell"``."""


def inner_folds(
    labels: np.ndarray, donors: np.ndarray | None, n_folds: int, seed: int
) -> InnerFolds:
    """Split the training rows by donor where that is possible, else by cell, and say so."""
    if donors is not None and len(set(donors)) > 1:
        feasible = feasible_folds(labels.tolist(), donors.tolist())
        if feasible >= 2:
            folds = group_folds(
                labels.tolist(), donors.tolist(), min(n_folds, feasible), seed=seed
            )
            return InnerFolds(folds, "donor")
        warn(
            "A class is present in one donor only, so no donor can be held out inside the "
            "training data: early stopping and the threshold rest on held-out cells of the same "
            "donors and are optimistic."
        )
    smallest = int(np.unique(labels, return_counts=True)[1].min())
    if smallest < 2:
        msg = problem(
            "at least two rows of every class to train on", "one row of a class", "Add rows."
        )
        raise ValueError(msg)
    return InnerFolds(
        group_folds(labels.tolist(), None, min(n_folds, smallest), seed=seed), "cell"
    )


@dataclass(frozen=True)
class TokenBasis:
    """How columns are laid out and where the tokens start."""

    order: np.ndarray
    """Gene of each column, (n_columns,)."""
    programs: np.ndarray
    """Program of each column, ascending; ``n_programs`` for none, (n_columns,)."""
    projection: np.ndarray
    """Initial token weights, (n_columns, n_components)."""
    first: np.ndarray
    """Whether a column is the first of its gene, bool, (n_columns,)."""


def token_basis(
    programs: Sequence[np.ndarray], axes: Axes, n_programs: int, n_components: int
) -> TokenBasis:
    """Lay out the columns by program and start each token at its program's components.

    The components are those of the program's loadings on the leading principal axes, weighted by
    the variance of the axes: noise that no axis carries has no part in them. They are scaled to
    unit variance of the first component over cells.
    """
    n_genes = len(axes.mean)
    inside = np.unique(np.concatenate([np.empty(0, np.int64), *programs]))
    rest = np.setdiff1d(np.arange(n_genes), inside)
    order = np.concatenate([*programs, rest]).astype(np.int64)
    sizes = [len(genes) for genes in programs]
    label = np.repeat(np.arange(len(sizes)), sizes)
    label = np.concatenate([label, np.full(len(rest), n_programs)]).astype(np.int64)
    weighted = axes.loadings * axes.component_sd
    projection = np.zeros((len(order), n_components), np.float32)
    start = 0
    for genes in programs:
        left, values, _ = np.linalg.svd(weighted[genes], full_matrices=False)
        use = min(n_components, int((values > 1e-6).sum()))
        scale = max(float(values[0]), 1e-6)
        # The sign of a singular vector is arbitrary; most genes of a program shall count up.
        sign = np.where(left[:, :use].sum(axis=0) < 0, -1.0, 1.0)
        projection[start : start + len(genes), :use] = left[:, :use] * sign / scale
        start += len(genes)
    first = np.zeros(len(order), bool)
    first[np.unique(order, return_index=True)[1]] = True
    return TokenBasis(order, label, projection, first)
