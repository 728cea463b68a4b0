"""Maps of a gene embedding from several seeds, and what of them does not depend on the seed."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist, squareform

from dtp_scvi._constants import GENE_MAP_KEY
from dtp_scvi._validate import check_positive_int, check_range, problem, shorten
from dtp_scvi.tl._embedding_input import embedding_distance, match_edges, read_embedding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_EMBEDDING: Final = "embedding"


def gene_map(
    model_or_embedding: Any,
    *,
    edges: pd.DataFrame | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    perplexity: float = 15.0,
    metric: Literal["cosine", "euclidean", "correlation"] = "cosine",
    k: int = 5,
) -> pd.DataFrame:
    """Map a gene embedding into two dimensions by t-SNE, once for every seed.

    A map of pure noise has neighbourhoods as well, and each seed shows others. What two maps share,
    and what they share with the embedding, is measured beside the same of random vectors: only
    what exceeds that is structure. Whether it is that of a network, a map can't say;
    :func:`dtp_scvi.tl.embedding_vs_network` does.

    Parameters
    ----------
    model_or_embedding
        A trained model with ``get_gene_embedding()``, or its table: one row a gene.
    edges
        Network to draw over the maps, as :func:`dtp_scvi.tl.embedding_vs_network` takes it; the
        maps do not depend on it.
    seeds
        Seeds of the random start, each a map.
    perplexity
        About the number of neighbours that each gene has, below the number of genes.
    metric
        Distance of two vectors: ``"cosine"``, ``"euclidean"`` or ``"correlation"``.
    k
        Nearest neighbours that are compared.

    Returns
    -------
    One row a seed and gene: ``seed``, ``gene``, ``x``, ``y``. ``attrs["dtp_gene_map"]`` holds
    ``agreement``, one row a pair of maps and one a map and the embedding (``first``, ``second``,
    ``shared``: mean share of a gene's ``k`` nearest neighbours that are the same; ``chance``, of neighbours drawn at random; ``noise``,
    ``shared`` of as many random vectors),
    ``edges`` (``first``, ``second``; without ``edges`` none) and ``params``.

    Raises
    ------
    TypeError, ValueError
        For no table, edges that do not match, repeated seeds, or numbers out of range.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> noise = np.random.default_rng(0).normal(size=(30, 5))
    >>> table = dtp.tl.gene_map(pd.DataFrame(noise, [f"GENE{i}" for i in range(30)]), perplexity=5)
    >>> table.shape, table.attrs["dtp_gene_map"]["agreement"].shape
    ((90, 4), (6, 5))
    """
    embedding = read_embedding(model_or_embedding)
    genes = embedding.index.tolist()
    seeds = [int(seed) for seed in seeds]
    if not seeds or len(set(seeds)) < len(seeds):
        msg = problem("`seeds` that differ", shorten(seeds), "Name each once.")
        raise ValueError(msg)
    check_positive_int(k, "k")
    check_range(k, "k", 1, len(genes) - 2)
    check_range(perplexity, "perplexity", 1.0, len(genes) - 1)
    maps, agreement = _maps(embedding, seeds, perplexity, metric, k)
    noise = np.random.default_rng(min(seeds)).standard_normal(embedding.shape)
    vectors = pd.DataFrame(noise, embedding.index)
    agreement["noise"] = _maps(vectors, seeds, perplexity, metric, k)[1]["shared"]
    parts = [
        pd.DataFrame({"seed": seed, "gene": genes, "x": found[:, 0], "y": found[:, 1]})
        for seed, found in maps.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    table.attrs[GENE_MAP_KEY] = {
        "agreement": agreement,
        "edges": _named(edges, genes),
        "params": {"perplexity": float(perplexity), "metric": metric, "k": k},
    }
    return table


def _maps(
    embedding: pd.DataFrame, seeds: list[int], perplexity: float, metric: str, k: int
) -> tuple[dict[int, NDArray[np.float64]], pd.DataFrame]:
    """Map by each seed, and compare neighbours between maps and with the embedding."""
    distance = embedding_distance(embedding, metric)
    maps = {seed: _tsne(distance, perplexity, seed) for seed in seeds}
    near = {str(seed): _near(squareform(pdist(found)), k) for seed, found in maps.items()}
    near[_EMBEDDING] = _near(distance, k)
    n = len(embedding)
    shared = [(a, b, float((near[a] & near[b]).sum() / (k * n))) for a, b in combinations(near, 2)]
    agreement = pd.DataFrame(shared, columns=["first", "second", "shared"])
    return maps, agreement.assign(chance=k / (n - 1))


def _named(edges: pd.DataFrame | None, genes: list[str]) -> pd.DataFrame:
    """Return matched edges by the names of the embedding."""
    columns = ["first", "second"]
    if edges is None:
        return pd.DataFrame(columns=columns)
    found = match_edges(edges, genes)
    return pd.DataFrame(np.array(found.genes, dtype=object)[found.pairs], columns=columns)


def _tsne(distance: NDArray[np.float64], perplexity: float, seed: int) -> NDArray[np.float64]:
    # Slow to import, and only needed here.
    from sklearn.manifold import TSNE

    model = TSNE(perplexity=perplexity, metric="precomputed", init="random", random_state=seed)
    return model.fit_transform(distance).astype(np.float64)


def _near(distance: NDArray[np.float64], k: int) -> NDArray[np.bool_]:
    """Which genes (columns) are the k nearest of each (rows)."""
    others = distance.copy()
    np.fill_diagonal(others, np.inf)
    out = np.zeros(distance.shape, dtype=bool)
    np.put_along_axis(out, np.argsort(others, axis=1, kind="stable")[:, :k], values=True, axis=1)
    return out
