"""Test the sets of a network on one statistic: overlap, score and p-values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dtp_scvi._validate import problem
from dtp_scvi.data import match_network
from dtp_scvi.tl._enrichment_methods import METHODS, run_method
from dtp_scvi.tl._enrichment_net import why_untested
from dtp_scvi.tl._enrichment_null import false_discovery, gene_permutations, permutation_p

if TYPE_CHECKING:
    import pandas as pd
    import scipy.sparse as sp
    from numpy.typing import NDArray

    from dtp_scvi.data import NetworkMatch
    from dtp_scvi.tl._enrichment_input import GeneStatistic

_LEADING: Final = 5


@dataclass(frozen=True)
class Options:
    """How sets are tested."""

    method: str
    background: list[str] | None
    min_overlap: int
    n_permutations: int
    seed: int | None


def score_sets(
    statistic: GeneStatistic, net: pd.DataFrame, options: Options
) -> tuple[pd.DataFrame, NetworkMatch]:
    """Return one row a set, tested ones first, by falling score, and the match behind them."""
    known = ~np.isnan(statistic.values)
    names = np.where(known, statistic.names, "")
    match = match_network(net, names, background=options.background)
    values = np.nan_to_num(statistic.values) @ match.collapse
    _check_varies(values, statistic.contrast)
    table = match.table.copy()
    table.insert(0, "contrast", statistic.contrast)
    table["reason"] = why_untested(table, options.min_overlap)
    table["tested"] = table["reason"] == ""
    kept = table["tested"].to_numpy()
    weights = match.weights[:, np.flatnonzero(kept)].tocsc()
    scores, p = run_method(options.method, values[None, :], weights)
    found = {"score": scores[0], "p": np.full(kept.sum(), np.nan) if p is None else p[0]}
    found |= _permuted(statistic, values, weights, match, scores[0], options)
    for name, column in found.items():
        table[name] = np.nan
        table.loc[kept, name] = column
    for name in ("p", "p_permutation", "p_donors"):
        table[name.replace("p", "q", 1)] = false_discovery(table[name].to_numpy())
    table["leading"] = ""
    table.loc[kept, "leading"] = _leading(values, weights, scores[0], match.genes, options.method)
    order = ["tested", "score", "source"]
    table = table.sort_values(order, ascending=[False, False, True], kind="stable")
    return table[list(COLUMNS)].reset_index(drop=True), match


COLUMNS: Final = (
    "contrast",
    "source",
    "score",
    "p",
    "q",
    "p_permutation",
    "q_permutation",
    "p_donors",
    "q_donors",
    "n_in_set",
    "n_found",
    "share_found",
    "share_weight_found",
    "tested",
    "reason",
    "leading",
)


def _check_varies(values: NDArray[np.float64], contrast: str) -> None:
    if len(values) < 3 or np.ptp(values) == 0:
        msg = problem(
            f"a statistic {contrast!r} that varies over genes",
            f"{len(np.unique(values))} value(s) in {len(values):,} genes",
            "Name another `statistic`.",
        )
        raise ValueError(msg)


def _permuted(
    statistic: GeneStatistic,
    values: NDArray[np.float64],
    weights: sp.csc_matrix,
    match: NetworkMatch,
    scores: NDArray[np.float64],
    options: Options,
) -> dict[str, NDArray[np.float64]]:
    """P of permuted gene labels and, for an association with a score, of permuted donors."""
    found = dict.fromkeys(("p_permutation", "p_donors"), np.full(len(scores), np.nan))
    n = options.n_permutations
    if n == 0:
        return found
    rng = np.random.default_rng(options.seed)
    null = gene_permutations(values, n, rng)
    found["p_permutation"] = permutation_p(options.method, scores, weights, null)
    if statistic.association is not None:
        donors = (rows @ match.collapse for rows in statistic.association.permuted(n, rng))
        found["p_donors"] = permutation_p(options.method, scores, weights, donors)
    return found


def _leading(
    values: NDArray[np.float64],
    weights: sp.csc_matrix,
    scores: NDArray[np.float64],
    genes: NDArray[np.object_],
    method: str,
) -> list[str]:
    """The members that pull a score furthest its way, strongest first."""
    centred = values - values.mean()
    found = []
    for column, score in enumerate(scores):
        part = slice(*weights.indptr[column : column + 2])
        members = weights.indices[part]
        weight = weights.data[part] if METHODS[method].weighted else 1.0
        pull = centred[members] * weight * (-1 if score < 0 and METHODS[method].signed else 1)
        best = np.argsort(-pull, kind="stable")[:_LEADING]
        found.append(", ".join(genes[members[k]] for k in best if pull[k] > 0))
    return found
