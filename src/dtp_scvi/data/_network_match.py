"""Match the genes of a network to those of a data set, within a background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from dtp_scvi._validate import problem, shorten
from dtp_scvi.data._align import align_genes
from dtp_scvi.data._name_style import describe_style, style_hint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from dtp_scvi.data._symbols import SymbolResolver


@dataclass(frozen=True, eq=False)
class NetworkMatch:
    """
    Where the genes of each set are. Made by :func:`match_network`.

    Attributes
    ----------
    genes
        The background: one name a gene, sorted, shape ``(n_genes,)``. Genes of the network bear
        the network's names.
    collapse
        Columns of the data -> genes, CSR, shape ``(n_names, n_genes)``: the mean of the columns
        that are one gene; empty rows for names outside of the background.
    weights
        Weight of each gene in each set, CSC, shape ``(n_genes, n_sets)``.
    table
        One row a set: ``source``, ``n_in_set``, ``n_found``, ``share_found`` and
        ``share_weight_found`` (share of the summed absolute weights).
    n_outside
        Names of the background that the data lack.
    """

    genes: NDArray[Any]
    collapse: sp.csr_matrix
    weights: sp.csc_matrix
    table: pd.DataFrame
    n_outside: int


def match_network(
    net: pd.DataFrame,
    names: Iterable[str],
    *,
    background: Iterable[str] | None = None,
    resolver: SymbolResolver | None = None,
) -> NetworkMatch:
    """
    Match the genes of a network to names, through old symbols, aliases and Ensembl ids.

    Parameters
    ----------
    net
        What :func:`as_network` returned.
    names
        Gene names of the data; may repeat. Empty ones are left out.
    background
        Genes that could have been found; by default all of ``names``.
    resolver
        Symbol table; by default :meth:`SymbolResolver.bundled`.

    Returns
    -------
    The match, in an order that does not depend on that of ``names``.

    Raises
    ------
    ValueError
        When the network and the background share no gene.

    Examples
    --------
    >>> from dtp_scvi.data import as_network, match_network
    >>> match = match_network(
    ...     as_network({"LSC": ["CD34", "ADGRG1", "KIT"]}), ["GPR56", "CD34", "B2M"]
    ... )
    >>> match.table[["source", "n_in_set", "n_found"]].values.tolist(), match.genes.tolist()
    ([['LSC', 3, 2]], ['ADGRG1', 'B2M', 'CD34'])
    """
    query = np.array([str(name) for name in names], dtype=object)
    inside, n_outside = _inside(query, background, resolver)
    kept = np.flatnonzero(inside)
    targets = net["target"].unique().tolist()
    if not kept.size:
        msg = problem("genes in the data", "none", "Check the names and the background.")
        raise ValueError(msg)
    ours = query[kept].tolist()
    alignment = align_genes(ours, targets, resolver=resolver)
    if not alignment.observed.any():
        msg = problem(
            f"genes of the sets ({describe_style(targets)}: {shorten(targets)}) in the data",
            f"none among {describe_style(ours)}: {shorten(ours)}",
            style_hint(ours, targets),
        )
        raise ValueError(msg)
    label = query[kept].copy()
    label[alignment.source] = np.array(targets, dtype=object)[alignment.target]
    genes, unit = np.unique(label.astype(str), return_inverse=True)
    share = 1.0 / np.bincount(unit)[unit]
    collapse = sp.csr_matrix((share, (kept, unit)), shape=(len(query), len(genes)))
    weights, table = _weights(net, genes)
    return NetworkMatch(genes.astype(object), collapse, weights, table, n_outside)


def _inside(
    query: NDArray[Any],
    background: Iterable[str] | None,
    resolver: SymbolResolver | None,
) -> tuple[NDArray[np.bool_], int]:
    """Which names are in the background, and how many of the background are not among them."""
    named = query != ""
    if background is None:
        return named, 0
    wanted = list(dict.fromkeys(str(name) for name in background))
    alignment = align_genes(query, wanted, resolver=resolver)
    inside = np.zeros(len(query), dtype=bool)
    inside[alignment.source] = True
    if not inside.any():
        msg = problem(
            f"genes of the background ({shorten(wanted)}) in the data",
            f"none among {shorten(query)}",
            style_hint(query.tolist(), wanted),
        )
        raise ValueError(msg)
    return inside & named, len(alignment.missing)


def _weights(net: pd.DataFrame, genes: NDArray[Any]) -> tuple[sp.csc_matrix, pd.DataFrame]:
    column, sources = pd.factorize(net["source"])
    row = pd.Index(genes).get_indexer(net["target"])
    found, weight = row >= 0, net["weight"].to_numpy(dtype=np.float64)
    n_sets = len(sources)
    matrix = sp.csc_matrix(
        (weight[found], (row[found], column[found])), shape=(len(genes), n_sets)
    )
    n_in_set = np.bincount(column, minlength=n_sets)
    n_found = np.bincount(column[found], minlength=n_sets)
    size = np.bincount(column, np.abs(weight), minlength=n_sets)
    size_found = np.bincount(column[found], np.abs(weight[found]), minlength=n_sets)
    table = pd.DataFrame(
        {
            "source": np.asarray(sources, dtype=object),
            "n_in_set": n_in_set,
            "n_found": n_found,
            "share_found": n_found / n_in_set,
            "share_weight_found": size_found / size,
        }
    )
    return matrix, table
