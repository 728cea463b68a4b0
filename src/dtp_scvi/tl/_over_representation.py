"""Over-representation of gene sets in a list of genes, against a named background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi import stats
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_positive_int, problem, shorten
from dtp_scvi.data import align_genes, match_network
from dtp_scvi.tl._enrichment_net import (
    Net,
    background_genes,
    check_min_overlap,
    resolve_net,
    why_untested,
)
from dtp_scvi.tl._enrichment_null import false_discovery

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from numpy.typing import NDArray


def over_representation(
    genes: Iterable[str],
    net: Net,
    *,
    background: object,
    min_overlap: int = 2,
    max_size: int | None = None,
    download: bool = False,
) -> pd.DataFrame:
    """
    Test which gene sets a list of genes holds more of than chance would.

    Parameters
    ----------
    genes
        The list: the genes of highest attribution, a panel, candidates.
    net
        Gene sets, as for :func:`dtp_scvi.tl.enrichment`; weights are not used.
    background
        Genes that could have been in the list: names, or a model (its ``genes_``). There is no
        default, for the answer depends on it: against the whole genome a list cut from a panel
        is enriched in whatever the panel is.
    min_overlap
        Sets with fewer genes in the background are listed, not tested; at least 2.
    max_size
        Sets with more genes than that in the background are listed, not tested; ``None`` for no
        limit. A set of half the background is hard to tell from it.
    download
        Let decoupler fetch ``net`` by name.

    Returns
    -------
    One row a set, by rising p: ``source``; ``n_hits`` and ``expected`` (genes of the set in the
    list, found and by chance), ``ratio`` of the two, and ``max_ratio``, the largest that these
    sizes allow, n_background / max(n_list, n_found): 1.43 for a list of 112 out of 160 genes;
    ``log_odds`` and ``p`` (see
    :func:`dtp_scvi.stats.over_representation`), ``q`` (Benjamini-Hochberg over the sets tested);
    ``n_in_set``, ``n_found`` (in the background), ``share_found``, ``n_list``, ``n_background``;
    ``tested``, ``reason``; ``hits``, the genes.

    Raises
    ------
    TypeError, ValueError
        For a single text as ``genes``, no gene of the list or of the sets in the background.

    Warns
    -----
    UserWarning
        When genes of the list are not in the background; they are left out.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> background = [f"GENE{i}" for i in range(100)]
    >>> sets = {"first": background[:10], "last": background[90:]}
    >>> table = dtp.tl.over_representation(background[:8], sets, background=background)
    >>> table[["source", "n_hits", "expected"]].values.tolist()
    [['first', 8, 0.8], ['last', 0, 0.8]]
    """
    if isinstance(genes, str):
        msg = problem("`genes` as a list", repr(genes), f"Pass [{genes!r}].")
        raise TypeError(msg)
    check_min_overlap(min_overlap)
    _check_max_size(max_size, min_overlap)
    universe = background_genes(background)
    if not universe:
        msg = problem("a `background` of genes", "none", "Name the genes that could be listed.")
        raise ValueError(msg)
    match = match_network(resolve_net(net, download=download), universe)
    listed = _listed([str(gene) for gene in genes], universe) @ match.collapse > 0
    members = (match.weights != 0).T.tocsr().astype(np.float64)
    n_hits = np.rint(members @ listed).astype(np.int64)
    table = match.table.drop(columns="share_weight_found")
    table["reason"] = why_untested(table, min_overlap)
    if max_size is not None:
        _leave_out_large(table, max_size)
    table["tested"] = table["reason"] == ""
    n_list, n_background = int(listed.sum()), len(match.genes)
    n_found = table["n_found"].to_numpy()
    log_odds, p = stats.over_representation(n_hits, n_found, n_list, n_background)
    kept = table["tested"].to_numpy()
    table["n_hits"], table["expected"] = n_hits, n_found * n_list / n_background
    with np.errstate(invalid="ignore"):
        table["ratio"] = n_hits / table["expected"]
    table["max_ratio"] = n_background / np.maximum(n_list, n_found)
    table["log_odds"], table["p"] = np.where(kept, [log_odds, p], np.nan)
    table["q"] = false_discovery(table["p"].to_numpy())
    table["n_list"], table["n_background"] = n_list, n_background
    table["hits"] = [", ".join(match.genes[row.indices[listed[row.indices]]]) for row in members]
    order = [
        "source",
        "n_hits",
        "expected",
        "ratio",
        "max_ratio",
        "log_odds",
        "p",
        "q",
        "n_in_set",
        "n_found",
    ]
    order += ["share_found", "n_list", "n_background", "tested", "reason", "hits"]
    return table[order].sort_values(["p", "source"], kind="stable").reset_index(drop=True)


def _check_max_size(max_size: int | None, min_overlap: int) -> None:
    if max_size is None:
        return
    check_positive_int(max_size, "max_size")
    if max_size < min_overlap:
        msg = problem(
            f"`max_size` of `min_overlap` ({min_overlap}) or more", f"{max_size}", "Change one."
        )
        raise ValueError(msg)


def _leave_out_large(table: pd.DataFrame, max_size: int) -> None:
    """Write the reason into rows of sets that are too large, in place."""
    large = (table["n_found"] > max_size).to_numpy() & (table["reason"] == "").to_numpy()
    said = [f"{n} genes found, more than {max_size}" for n in table.loc[large, "n_found"]]
    table.loc[large, "reason"] = said
    if (table["reason"] != "").all():
        found = f"sets of {table['n_found'].min()} to {table['n_found'].max()}"
        msg = problem(f"a set with at most {max_size} genes in the background", found, "Raise it.")
        raise ValueError(msg)


def _listed(genes: list[str], universe: list[str]) -> NDArray[np.float64]:
    """Which names of the background the list holds, as 0 and 1."""
    unique = list(dict.fromkeys(universe))
    alignment = align_genes(list(dict.fromkeys(genes)), unique)
    inside = {unique[position] for position in alignment.target}
    if not inside:
        msg = problem(
            f"genes of the list ({shorten(genes)}) in the background",
            f"none among {shorten(universe)}",
            "Check the names, or the background.",
        )
        raise ValueError(msg)
    if alignment.unmatched:
        warn(
            f"{len(alignment.unmatched):,} of {alignment.n_query:,} genes of the list are not in "
            f"the background and are left out: {shorten(alignment.unmatched)}."
        )
    return np.array([name in inside for name in universe], dtype=np.float64)
