"""P-values of set scores by permutation: of gene labels, and of donors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import false_discovery_control

from dtp_scvi.tl._enrichment_methods import METHODS, run_method

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import scipy.sparse as sp
    from numpy.typing import NDArray

# Numbers of a batch of permuted rows; 32 MB.
_BATCH_VALUES: Final = 2**22


def batches(n: int, n_genes: int) -> list[int]:
    """Split ``n`` rows of ``n_genes`` into sizes that fit in memory."""
    step = max(1, _BATCH_VALUES // n_genes)
    return [min(step, n - start) for start in range(0, n, step)]


def gene_permutations(
    statistic: NDArray[np.float64], n: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """Yield ``n`` rows in which the genes have changed places, in batches."""
    for size in batches(n, len(statistic)):
        yield rng.permuted(np.tile(statistic, (size, 1)), axis=1)


def permutation_p(
    method: str,
    observed: NDArray[np.float64],
    weights: sp.csc_matrix,
    null: Iterable[NDArray[np.float64]],
) -> NDArray[np.float64]:
    """
    Share of permutations with a score at least as far out; the one found counts as one of them.

    Two-sided for signed methods, of a higher score for the others. NaN where the score is.

    Parameters
    ----------
    method
        One of the methods.
    observed
        Score of each set, shape (sets,).
    weights
        Weights of the genes, shape (genes, sets).
    null
        Batches of permuted statistics, each (rows, genes).
    """
    signed = METHODS[method].signed
    reach = np.abs(observed) if signed else observed
    # The same score summed in another order differs in the last digits.
    reach = reach - 1e-9 * np.maximum(1.0, np.abs(reach))
    as_far, total = np.zeros(len(observed)), 0
    for rows in null:
        scores, _ = run_method(method, rows, weights)
        as_far += ((np.abs(scores) if signed else scores) >= reach).sum(axis=0)
        total += len(rows)
    return np.where(np.isnan(observed), np.nan, (1 + as_far) / (1 + total))


def false_discovery(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Benjamini and Hochberg's adjusted p over what is not NaN."""
    q = np.full(len(p), np.nan)
    known = ~np.isnan(p)
    if known.any():
        q[known] = false_discovery_control(p[known])
    return q
