"""Find rows that are nearly the same, in bounded memory, for up to ``n_rows`` rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from scipy.stats import chi2

from dtp_scvi.data import draw_rows
from dtp_scvi.pp._audit_rows import blocks_of, comparable, row_sums

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dtp_scvi.pp._audit_input import AuditInput
    from dtp_scvi.pp._audit_rows import RowSummary

# Cosine after the mean profile is taken off: unrelated rows lie near 0, so this is a copy with
# noise of a tenth of what sets rows apart.
SIMILARITY: Final = 0.99
# Rows with fewer detected genes resemble others by chance.
MIN_GENES: Final = 50
_N_DIRECTIONS = 24
_N_NEIGHBOURS = 8
# A pair at the limit is missed with this probability, a closer one less often.
_MISSED = 1e-6
_PAIRS_AT_ONCE = 2**16


@dataclass(frozen=True)
class NearRows:
    """
    Groups of nearly identical rows.

    Attributes
    ----------
    group
        Group of each row, -1 for a row without a near-identical one, int64, (n_obs,).
    n_searched
        Rows that were compared; copies of one row count once.
    n_left_out
        Rows with too few detected genes to be compared.
    """

    group: np.ndarray
    n_searched: int
    n_left_out: int


def near_rows(given: AuditInput, rows: RowSummary, *, n_rows: int, seed: int | None) -> NearRows:
    """
    Find rows whose cosine, after the mean profile is taken off, is at least ``SIMILARITY``.

    Rows are projected on random directions, near neighbours are looked up in a k-d tree, and
    each pair so found is compared on all genes.
    """
    group = np.full(given.n, -1, np.int64)
    enough = rows.n_genes >= MIN_GENES
    left_out = int((~enough).sum())
    # Identical rows have been found already, so one of each is compared.
    _, first = np.unique(rows.digest, return_index=True)
    candidates = np.sort(first[enough[first]])
    rng = np.random.default_rng(seed)
    donors = None if given.donors is None else given.donors[candidates].tolist()
    chosen = candidates[draw_rows(len(candidates), donors, n_rows, rng)]
    if len(chosen) < 2:
        return NearRows(group, len(chosen), left_out)
    pairs = _candidate_pairs(_project(given, rows, chosen, rng))
    kept = [
        chosen[part[_similarity(given, rows, chosen[part]) >= SIMILARITY]]
        for part in np.array_split(pairs, max(1, -(-len(pairs) // _PAIRS_AT_ONCE)))
    ]
    edges = np.concatenate(kept)
    if len(edges):
        graph = sp.coo_matrix((np.ones(len(edges)), tuple(edges.T)), shape=(given.n, given.n))
        _, member = connected_components(graph, directed=False)
        joined = np.unique(edges)
        group[joined] = member[joined]
    return NearRows(group, len(chosen), left_out)


def _project(
    given: AuditInput, rows: RowSummary, chosen: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return unit rows without the mean profile in a few random directions, (chosen, directions)."""
    mean = rows.gene_mean
    directions = rng.standard_normal((len(mean), _N_DIRECTIONS)) / np.sqrt(_N_DIRECTIONS)
    centre = mean @ directions
    out = np.empty((len(chosen), _N_DIRECTIONS))
    start = 0
    for block in blocks_of(given, chosen):
        values = comparable(block, given.kind)
        here = slice(start, start + values.shape[0])
        start = here.stop
        length = np.sqrt(_squared_length(values, mean))
        out[here] = (values @ directions - centre) / np.maximum(length, 1e-12)[:, None]
    return out


def _squared_length(values: sp.csr_matrix, mean: np.ndarray) -> np.ndarray:
    square = row_sums(values.multiply(values).tocsr())
    return np.maximum(square - 2 * (values @ mean) + mean @ mean, 0.0)


def _candidate_pairs(points: np.ndarray) -> np.ndarray:
    """Return pairs of positions that lie near each other in the random directions, (pairs, 2)."""
    limit = 2 * (1 - SIMILARITY)
    reach = np.sqrt(limit * chi2.isf(_MISSED, _N_DIRECTIONS) / _N_DIRECTIONS)
    k = min(_N_NEIGHBOURS + 1, len(points))
    _, found = KDTree(points).query(points, k=k, distance_upper_bound=reach)
    here = np.repeat(np.arange(len(points)), k)
    there = found.ravel()
    use = (there < len(points)) & (there != here)
    both = np.sort(np.stack([here[use], there[use]], axis=1), axis=1)
    return np.unique(both, axis=0)


def _similarity(given: AuditInput, rows: RowSummary, pairs: np.ndarray) -> np.ndarray:
    """Return the cosine of pairs of rows on all genes, without the mean profile."""
    if not len(pairs):
        return np.zeros(0)
    mean = rows.gene_mean
    out = []
    for block in _even_blocks(given, pairs.ravel()):
        values = comparable(block, given.kind)
        left, right = values[::2], values[1::2]
        dot = row_sums(left.multiply(right).tocsr()) - left @ mean - right @ mean + mean @ mean
        length = np.sqrt(_squared_length(left, mean) * _squared_length(right, mean))
        out.append(np.divide(dot, length, out=np.zeros_like(dot), where=length > 0))
    return np.concatenate(out)


def _even_blocks(given: AuditInput, indices: np.ndarray) -> Iterator[sp.csr_matrix]:
    """Yield blocks with whole pairs: an odd row waits for the next block."""
    waiting: sp.csr_matrix | None = None
    for block in blocks_of(given, indices):
        rows = block if waiting is None else sp.vstack([waiting, block]).tocsr()
        even = rows.shape[0] - rows.shape[0] % 2
        waiting = rows[even:] if even < rows.shape[0] else None
        if even:
            yield rows[:even]
