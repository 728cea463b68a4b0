"""Scores of gene sets from rows of gene statistics: decoupler's methods and over-representation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np

from dtp_scvi._optional import require
from dtp_scvi._validate import near_matches, problem
from dtp_scvi.stats import over_representation

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

EXTRA: Final = "mechanism"
# decoupler's default as well: the share of genes that counts as the top of a list.
_TOP_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Method:
    """What is known of a method beforehand."""

    score: str
    """What its score is, in words."""
    signed: bool = True
    """Whether both signs mean something, so that tests are two-sided."""
    weighted: bool = True
    """Whether it uses the weights of the network, rather than membership alone."""
    has_p: bool = True
    """Whether it has a p-value that needs no permutation."""


METHODS: Final = {
    "ulm": Method("t of the slope of the statistic on the set's weights, one set at a time"),
    "mlm": Method("t of the slope of the statistic on the set's weights, all sets in one model"),
    "viper": Method("normalised enrichment score on ranks (aREA), corrected for pleiotropy"),
    "zscore": Method("mean of the set less the mean of all, over its standard error"),
    "waggr": Method("mean of the statistic, weighted", has_p=False),
    "gsea": Method("running-sum enrichment score", weighted=False, has_p=False),
    "aucell": Method(
        "area under the recovery curve of the top 5 % of genes",
        signed=False,
        weighted=False,
        has_p=False,
    ),
    "ora": Method(
        "log odds ratio of the top 5 % of genes (hypergeometric)", signed=False, weighted=False
    ),
}


def decoupler() -> Any:
    """Import decoupler, and leave the plotting defaults as they were."""
    with mpl.rc_context():  # legendkit, which decoupler imports, sets those of legends
        return require("decoupler", EXTRA)


def check_method(method: str) -> Method:
    """Return what is known of a method, or say which name was probably meant."""
    if method not in METHODS:
        todo = f"{near_matches(str(method).lower(), METHODS)} All: {', '.join(METHODS)}."
        msg = problem("`method` to name an enrichment method", repr(method), todo)
        raise ValueError(msg)
    return METHODS[method]


def run_method(
    method: str, rows: NDArray[np.float64], weights: sp.csc_matrix
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """
    Score every set in every row.

    Parameters
    ----------
    method
        One of :data:`METHODS`.
    rows
        Gene statistics, shape (rows, genes). Ties are broken by the order of the genes.
    weights
        Weight of each gene in each set, shape (genes, sets); no set is empty.

    Returns
    -------
    Scores and p-values without correction, each (rows, sets); ``None`` where the method has no p.
    A row without variation scores NaN.
    """
    rows = np.ascontiguousarray(rows, dtype=np.float64)
    scores: NDArray[np.float64]
    p: NDArray[np.float64] | None
    if method == "ora":
        scores, p = _top_genes(rows, weights)
    else:
        function: Any = getattr(decoupler().mt, method).func
        # A constant row has no spread to divide by; it is set to NaN below.
        with np.errstate(divide="ignore", invalid="ignore"):
            scores, p = _call(method, function, rows, weights)
    flat = np.ptp(rows, axis=1) == 0
    scores = np.where(flat[:, None], np.nan, scores)
    if p is None or not METHODS[method].has_p:
        return scores, None
    return scores, np.where(flat[:, None], np.nan, p)


def _call(
    method: str, function: Any, rows: NDArray[np.float64], weights: sp.csc_matrix
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    if METHODS[method].weighted:
        adjacency = weights.toarray()
        if method == "mlm":
            _check_rank(adjacency)
        # Permutations are drawn here, for every method in the same way.
        extra = {"times": 0} if method == "waggr" else {}
        found: tuple[NDArray[np.float64], NDArray[np.float64]] = function(rows, adjacency, **extra)
        return found
    members, sizes = weights.indices.astype(np.int64), np.diff(weights.indptr).astype(np.int64)
    starts = weights.indptr[:-1].astype(np.int64)
    extra = {"times": 0} if method == "gsea" else {}
    scores, p = function(rows, members, starts, sizes, **extra)
    return np.asarray(scores), p


def _check_rank(adjacency: NDArray[np.float64]) -> None:
    n_genes, n_sets = adjacency.shape
    design = np.column_stack([np.ones(n_genes), adjacency])
    if n_sets + 1 >= n_genes or np.linalg.matrix_rank(design) <= n_sets:
        msg = problem(
            "sets that one linear model can tell apart (`method='mlm'`)",
            f"{n_sets:,} sets over {n_genes:,} genes, some of them sums of others",
            "Drop sets that repeat each other, or take method='ulm'.",
        )
        raise ValueError(msg)


def _top_genes(
    rows: NDArray[np.float64], weights: sp.csc_matrix
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Over-representation among the genes with the highest statistic.

    decoupler's own ``ora`` takes all but the lowest genes up to 2.2.0 (scverse/decoupler#346).
    """
    n_rows, n_genes = rows.shape
    n_top = max(2, math.ceil(_TOP_SHARE * n_genes))
    top = np.zeros((n_rows, n_genes))
    order = np.argsort(-rows, axis=1, kind="stable")[:, :n_top]
    np.put_along_axis(top, order, 1.0, axis=1)
    member = weights.copy()
    member.data = np.ones_like(member.data)
    hits = np.rint(np.asarray(top @ member)).astype(np.int64)
    return over_representation(hits, np.diff(weights.indptr), n_top, n_genes)
