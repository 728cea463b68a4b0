"""Whether nodes that are alike are joined in a network, beyond what its shape gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import rankdata

from dtp_scvi._validate import check_positive_int, problem
from dtp_scvi.stats._auroc import RankedRows
from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

NETWORK_STATISTICS: Final = ("auroc", "neighbour_enrichment")
_BATCH_VALUES: Final = 2**22


@dataclass(frozen=True, eq=False)
class NetworkAgreement:
    """
    Agreement of similarities with a network. Made by :func:`network_agreement`.

    Attributes
    ----------
    auroc
        Chance that the ends of an edge are more alike than those of a pair without one.
    neighbour_enrichment
        Share of edges among pairs of nearest neighbours over their share among all pairs.
    null
        Both on permuted node labels, shape ``(n_permutations, 2)``.
    resampled
        Both on resampled nodes, shape ``(n_boot, 2)``; NaN where no edge was drawn.
    """

    auroc: float
    neighbour_enrichment: float
    null: NDArray[np.float64]
    resampled: NDArray[np.float64]

    @property
    def values(self) -> NDArray[np.float64]:
        """Both statistics."""
        return np.array([self.auroc, self.neighbour_enrichment])


def network_agreement(
    similarity: ArrayLike,
    adjacency: ArrayLike,
    *,
    k: int = 5,
    n_permutations: int = 1000,
    n_boot: int = 200,
    seed: int | None = 0,
) -> NetworkAgreement:
    """
    Ask whether pairs that are alike are joined, and what relabelled nodes would give.

    Nodes change places in the permutations, so that degrees, hubs and modules of the network, and
    the clusters of the similarities, stay as they are. The bootstrap draws nodes; a pair counts
    as often as its ends are drawn together, and similarities and neighbours stay those of all.
    Two calls with one seed and one number of nodes permute and draw alike, so that they can be
    subtracted.

    Parameters
    ----------
    similarity
        Higher is closer, symmetric, shape ``(n, n)``; the diagonal is not looked at.
    adjacency
        Which pairs are joined, symmetric, shape ``(n, n)``; the diagonal is not looked at.
    k
        Nearest neighbours of each node, less than ``n - 1``; ties at the last place share it.
    n_permutations
        Number of permutations.
    n_boot
        Number of bootstrap samples; 0 for none.
    seed
        Seed of both.

    Raises
    ------
    ValueError
        For matrices that are not square, symmetric and finite, pairs that are all or none joined,
        or too large a ``k``.

    References
    ----------
    Snijders and Borgatti, Non-parametric standard errors and tests for network statistics,
    Connections 22 (1999), for the bootstrap of nodes.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> block = np.kron(np.eye(3), np.ones((4, 4)))
    >>> found = stats.network_agreement(block, block, k=3, n_permutations=99)
    >>> found.auroc, round(found.neighbour_enrichment, 2), int((found.null >= 1).all(1).sum())
    (1.0, 3.67, 0)
    """
    alike, joined = _checked(similarity, adjacency)
    check_positive_int(n_permutations, "n_permutations")
    n = len(alike)
    check_positive_int(k, "k")
    if k >= n - 1:
        msg = problem(f"`k` below {n - 1}, one less than the nodes", f"{k}", "Lower `k`.")
        raise ValueError(msg)
    upper = np.triu_indices(n, 1)
    edge, near = joined[upper], _neighbours(alike, k)
    near = (near + near.T)[upper]
    scores = np.stack([rankdata(alike[upper]), near])
    n_edges, n_pairs = int(edge.sum()), len(edge)
    rng = np.random.default_rng(seed)

    def statistics(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """From sums over edges of the ranks and of the neighbours."""
        ranked = (sums[..., 0] - n_edges * (n_edges + 1) / 2) / (n_edges * (n_pairs - n_edges))
        lift = sums[..., 1] / near.sum() * n_pairs / n_edges
        return np.stack([ranked, lift], axis=-1)

    null = statistics(_relabelled(scores, edge, n, n_permutations, rng))
    value = statistics(scores[:, edge].sum(axis=1))
    weights = cluster_bootstrap_weights(None, n_boot, seed=seed, n_rows=n) if n_boot else ()
    ranked = RankedRows(edge, scores[0], None)
    drawn = [_weighted(edge, near, w[upper[0]] * w[upper[1]], ranked) for w in weights]
    resampled = np.asarray(drawn, dtype=np.float64).reshape(-1, 2)
    return NetworkAgreement(float(value[0]), float(value[1]), null, resampled)


def _checked(
    similarity: ArrayLike, adjacency: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    alike = np.asarray(similarity, dtype=np.float64)
    joined = np.asarray(adjacency) != 0
    square = alike.ndim == 2 and alike.shape[0] == alike.shape[1] == len(joined)
    if not square or joined.shape != alike.shape:
        found = f"{alike.shape} and {joined.shape}"
        msg = problem("two square matrices of one size", found, "Order both by one list of nodes.")
        raise ValueError(msg)
    upper = np.triu_indices(len(alike), 1)
    mirrored = np.array_equal(joined[upper], joined.T[upper])
    if not mirrored or not np.allclose(alike[upper], alike.T[upper]):
        msg = problem("symmetric matrices", "one that is not", "Symmetrise it.")
        raise ValueError(msg)
    if not np.isfinite(alike[upper]).all():
        msg = problem("finite similarities", "NaN or infinite ones", "Leave those nodes out.")
        raise ValueError(msg)
    n_edges, n_pairs = int(joined[upper].sum()), len(upper[0])
    if not 0 < n_edges < n_pairs:
        found = f"{n_edges:,} of {n_pairs:,} pairs joined"
        msg = problem("pairs with and without an edge", found, "Change nodes or edges.")
        raise ValueError(msg)
    return alike, joined


def _neighbours(alike: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Weight of each node (column) among the k nearest of another (row); rows sum to k."""
    others = alike.copy()
    np.fill_diagonal(others, -np.inf)
    last = -np.partition(-others, k - 1, axis=1)[:, k - 1 : k]
    # Similarities that differ by rounding only are tied.
    gap = 1e-9 * np.maximum(1.0, np.abs(last))
    above, tied = others > last + gap, np.abs(others - last) <= gap
    room = (k - above.sum(axis=1, keepdims=True)) / tied.sum(axis=1, keepdims=True)
    return above + tied * room


def _relabelled(
    scores: NDArray[np.float64],
    edge: NDArray[np.bool_],
    n: int,
    n_permutations: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Sums of scores over the edges after nodes changed places, (n_permutations, n_scores)."""
    first, second = (index[edge] for index in np.triu_indices(n, 1))
    full = np.zeros((n, n, len(scores)))
    full[np.triu_indices(n, 1)] = scores.T
    full += full.transpose(1, 0, 2)
    step = max(1, _BATCH_VALUES // len(first))
    parts = []
    for start in range(0, n_permutations, step):
        size = min(step, n_permutations - start)
        order = rng.permuted(np.tile(np.arange(n), (size, 1)), axis=1)
        parts.append(full[order[:, first], order[:, second]].sum(axis=1))
    return np.concatenate(parts)


def _weighted(
    edge: NDArray[np.bool_],
    near: NDArray[np.float64],
    weight: NDArray[np.float64],
    ranked: RankedRows,
) -> tuple[float, float]:
    """Both statistics of pairs that count as often as they were drawn."""
    joined, close = float(weight @ edge), float(weight @ near)
    if joined == 0 or close == 0 or joined == weight.sum():
        return np.nan, np.nan
    lift = float((weight * near) @ edge) / close * float(weight.sum()) / joined
    return ranked.value(weight), lift
