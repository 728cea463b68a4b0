"""Take a gene embedding from a model or a table, and the edges between its genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist, squareform

from dtp_scvi._validate import check_one_of, problem, shorten
from dtp_scvi.data import SymbolResolver, align_genes

if TYPE_CHECKING:
    from numpy.typing import NDArray

METRICS: Final = ("cosine", "euclidean", "correlation")
_FEWEST_GENES: Final = 10
_FEWEST_EDGES: Final = 10


def read_embedding(source: Any, what: str = "model_or_embedding") -> pd.DataFrame:
    """Return vectors of genes, (n_genes, n_dimensions), sorted by name: their order is arbitrary."""
    table = source.get_gene_embedding() if hasattr(source, "get_gene_embedding") else source
    if not isinstance(table, pd.DataFrame):
        todo = "Pass a trained model with get_gene_embedding(), or a table of one row a gene."
        msg = problem(f"`{what}` as a model or a DataFrame", type(table).__name__, todo)
        raise TypeError(msg)
    table = table.set_axis(pd.Index([str(name) for name in table.index]), axis=0)
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()].unique()
        msg = problem(f"one row a gene in `{what}`", f"repeats of {shorten(twice)}", "Keep one.")
        raise ValueError(msg)
    values = table.astype(np.float64)
    bad = values.index[~np.isfinite(values).all(axis=1)]
    if len(bad):
        msg = problem(f"finite numbers in `{what}`", f"others for {shorten(bad)}", "Drop these.")
        raise ValueError(msg)
    return values.sort_index()


def embedding_distance(table: pd.DataFrame, metric: str) -> NDArray[np.float64]:
    """Distances of genes, (n_genes, n_genes)."""
    check_one_of(metric, METRICS, "metric")
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = squareform(pdist(table.to_numpy(), metric=metric))
    flat = np.isnan(distance).sum(axis=1) == len(table) - 1
    if flat.any():
        why = "zero" if metric == "cosine" else "constant"
        todo = 'Leave these genes out, or use metric="euclidean".'
        msg = problem(
            "vectors with a direction", f"{why} ones for {shorten(table.index[flat])}", todo
        )
        raise ValueError(msg)
    return distance


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges among the genes of an embedding, and what was not matched."""

    genes: list[str]
    """Genes of the embedding that the network knows, sorted."""
    pairs: NDArray[np.intp]
    """Positions of the ends in ``genes``, (n_edges, 2); each edge once, without loops."""
    record: dict[str, Any]

    @property
    def adjacency(self) -> NDArray[np.bool_]:
        """Which genes are joined."""
        out = np.zeros((len(self.genes), len(self.genes)), dtype=bool)
        out[self.pairs[:, 0], self.pairs[:, 1]] = True
        return out | out.T


def match_edges(
    edges: pd.DataFrame, genes: list[str], resolver: SymbolResolver | None = None
) -> Edges:
    """Match both ends by name; genes that the network never names say nothing about it."""
    ends = _ends(edges, resolver)
    names = list(dict.fromkeys(ends.ravel()))
    alignment = align_genes(names, genes, resolver=resolver)
    place = dict(zip((names[i] for i in alignment.source), alignment.target, strict=True))
    inside = np.array([[place.get(name, -1) for name in pair] for pair in ends.tolist()])
    known = np.unique(inside[inside >= 0])
    pairs = np.sort(inside[(inside >= 0).all(axis=1)], axis=1)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    if len(known) < _FEWEST_GENES or len(pairs) < _FEWEST_EDGES:
        msg = problem(
            f"at least {_FEWEST_GENES} genes of the embedding in the network, with "
            f"{_FEWEST_EDGES} edges among them",
            f"{len(known):,} genes, {len(pairs):,} edges",
            f"Check the names: the network has {shorten(names)}, the embedding {shorten(genes)}.",
        )
        raise ValueError(msg)
    found = [genes[i] for i in known]
    unknown = sorted(set(genes) - set(found))
    record = {
        "n_genes": len(found),
        "n_edges": len(pairs),
        "density": len(pairs) / (len(found) * (len(found) - 1) / 2),
        "n_edges_given": len(ends),
        "genes_not_in_network": np.array(unknown, dtype=object),
        "n_network_genes_unmatched": len(names) - len(alignment.source),
    }
    return Edges(found, np.searchsorted(known, pairs), record)


def _ends(edges: pd.DataFrame, resolver: SymbolResolver | None) -> NDArray[np.object_]:
    """Return the two columns of names, (n_edges, 2)."""
    if not isinstance(edges, pd.DataFrame):
        todo = "Pass a table whose first two columns are gene symbols."
        msg = problem("`edges` as a DataFrame", type(edges).__name__, todo)
        raise TypeError(msg)
    texts = [
        i for i in range(edges.shape[1]) if not pd.api.types.is_numeric_dtype(edges.iloc[:, i])
    ]
    if len(texts) < 2:
        msg = problem("two columns of gene symbols in `edges`", f"{len(texts)}", "Name them.")
        raise ValueError(msg)
    table = edges.iloc[:, texts[:2]]
    header = [str(name) for name in table.columns]
    resolver = SymbolResolver.bundled() if resolver is None else resolver
    if (resolver.resolve(header)["how"] == "exact").all():
        msg = problem(
            "names of columns above the edges",
            f"the genes {shorten(header)}",
            "The file has no header: read it with pandas.read_csv(..., header=None).",
        )
        raise ValueError(msg)
    missing = table.isna().any(axis=1)
    if missing.any():
        msg = problem("two genes an edge", f"none in {missing.sum():,} rows", "Drop these rows.")
        raise ValueError(msg)
    return table.astype(str).to_numpy(dtype=object)
