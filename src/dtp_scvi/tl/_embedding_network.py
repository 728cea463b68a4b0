"""Compare a gene embedding with a network of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from dtp_scvi._constants import EMBEDDING_NETWORK_KEY
from dtp_scvi._docs import docs
from dtp_scvi._logging import logger
from dtp_scvi._validate import problem, shorten
from dtp_scvi.stats import NETWORK_STATISTICS, interval, network_agreement
from dtp_scvi.tl._embedding_input import embedding_distance, match_edges, read_embedding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dtp_scvi.stats import NetworkAgreement


@docs.dedent
def embedding_vs_network(
    model_or_embedding: Any,
    edges: pd.DataFrame,
    *,
    metric: Literal["cosine", "euclidean", "correlation"] = "cosine",
    k: int = 5,
    untrained: Any = None,
    n_permutations: int = 1000,
    n_boot: int = 200,
    seed: int | None = 0,
) -> pd.DataFrame:
    """Ask whether genes that lie close in an embedding are joined in a network.

    Neighbours that match a network are found in any embedding. Two comparisons say what that is
    worth: the same statistics with the genes' names permuted, and those of the embedding that
    training started from.

    Parameters
    ----------
    model_or_embedding
        A trained model with ``get_gene_embedding()``, or its table: one row a gene.
    edges
        One row an edge, whose first two columns of text are the genes; directions, repeats and
        loops do not count. Names are matched through old symbols and aliases. Scores are not
        looked at: choose edges before.
    metric
        Similarity of two vectors: ``"cosine"``, ``"correlation"``, or ``"euclidean"`` (the
        negative distance).
    k
        Nearest neighbours of each gene.
    untrained
        Embedding of the same genes before training, a table; by default that of the model where it
        has ``untrained_gene_embedding()``, else there is no such comparison.
    n_permutations
        Permutations of the genes' names over the network.
    n_boot
        Resamples of genes, at least 1, for the intervals.
    %(seed)s

    Returns
    -------
    One row a statistic. ``auroc``: chance that a pair with an edge is more alike than one without;
    ``neighbour_enrichment``: share of edges among nearest neighbours over that among all pairs,
    1 by chance. Columns: ``statistic``; ``value`` with ``low`` and ``high`` (95 %, genes resampled);
    ``null_mean``, ``null_low``, ``null_high`` (middle 95 %) of the permutations, and ``p`` of a
    value as high; ``untrained``, the value before training; ``difference``, with
    ``difference_low``, ``difference_high`` (genes resampled) and ``difference_p`` (permuted, of a
    gain as high); NaN without an untrained embedding. ``attrs["dtp_embedding_network"]`` holds
    ``n_genes`` (of the embedding that the network names: others have no edge for want of data),
    ``n_edges``, ``density``, ``genes_not_in_network``, ``n_network_genes_unmatched`` and
    ``params``.

    Raises
    ------
    TypeError
        When the embedding or the edges are no table.
    ValueError
        Under ten genes or edges in common, a header that is an edge, an untrained embedding of
        other genes, vectors without a direction, or an option out of range.

    Notes
    -----
    Pairs of genes are not independent, so neither the interval nor p comes from counting pairs.
    Resampling of genes is approximate; with fewer than about fifty it is rough.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> rng = np.random.default_rng(0)
    >>> genes = [f"GENE{i}" for i in range(40)]
    >>> group = np.arange(40) // 8
    >>> table = pd.DataFrame(rng.normal(size=(5, 6))[group] + rng.normal(size=(40, 6)), genes)
    >>> first, second = np.nonzero(np.triu(group[:, None] == group, 1))
    >>> edges = pd.DataFrame({"a": np.array(genes)[first], "b": np.array(genes)[second]})
    >>> found = dtp.tl.embedding_vs_network(table, edges, n_permutations=99)
    >>> found[["statistic", "p"]].values.tolist()
    [['auroc', 0.01], ['neighbour_enrichment', 0.01]]
    """
    embedding = read_embedding(model_or_embedding)
    if untrained is None and hasattr(model_or_embedding, "untrained_gene_embedding"):
        untrained = model_or_embedding.untrained_gene_embedding()
    before = None if untrained is None else read_embedding(untrained, "untrained")
    if before is not None and not before.index.equals(embedding.index):
        odd = embedding.index.symmetric_difference(before.index)
        msg = problem("the same genes before and after training", shorten(odd), "Pass both whole.")
        raise ValueError(msg)
    matched = match_edges(edges, embedding.index.tolist())
    left_out = matched.record["genes_not_in_network"]
    if len(left_out):
        logger.info(
            "embedding_vs_network: %d genes are not in the network and are left out: %s",
            len(left_out),
            shorten(left_out),
        )

    def compare(table: pd.DataFrame) -> NetworkAgreement:
        return network_agreement(
            -embedding_distance(table.loc[matched.genes], metric),
            matched.adjacency,
            k=k,
            n_permutations=n_permutations,
            n_boot=n_boot,
            seed=seed,
        )

    out = _table(compare(embedding), None if before is None else compare(before))
    params = {"metric": metric, "k": k, "n_permutations": n_permutations, "n_boot": n_boot}
    params["seed"] = -1 if seed is None else seed
    out.attrs[EMBEDDING_NETWORK_KEY] = {**matched.record, "params": params}
    return out


def _table(found: NetworkAgreement, before: NetworkAgreement | None) -> pd.DataFrame:
    low, high = interval(found.resampled, 0.95)
    null_low, null_high = np.quantile(found.null, (0.025, 0.975), axis=0)
    table = pd.DataFrame(
        {
            "statistic": list(NETWORK_STATISTICS),
            "value": found.values,
            "low": low,
            "high": high,
            "null_mean": found.null.mean(axis=0),
            "null_low": null_low,
            "null_high": null_high,
            "p": _p(found.values, found.null),
        }
    )
    names = ["untrained", "difference", "difference_low", "difference_high", "difference_p"]
    if before is None:
        return table.assign(**dict.fromkeys(names, np.nan))
    gain = found.values - before.values
    ends = interval(found.resampled - before.resampled, 0.95)
    p = _p(gain, found.null - before.null)
    return table.assign(**dict(zip(names, (before.values, gain, *ends, p), strict=True)))


def _p(value: NDArray[np.float64], null: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of permutations as high; the value itself counts as one of them."""
    # The same sum in another order differs in the last digits.
    reach = value - 1e-9 * np.maximum(1.0, np.abs(value))
    return (1 + (null >= reach).sum(axis=0)) / (1 + len(null))
