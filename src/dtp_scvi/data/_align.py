"""Match the genes of a query to the genes of a model, by name."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._validate import check_key, problem, shorten
from dtp_scvi.data._alignment import GeneAlignment
from dtp_scvi.data._damaged import serials_are_dates
from dtp_scvi.data._symbols import SymbolResolver, ensembl_base

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from anndata import AnnData


def gene_names(adata: AnnData, gene_key: str | None = None) -> np.ndarray:
    """
    Return the gene names of ``adata``: ``var_names``, or a column of ``var``.

    Parameters
    ----------
    adata
        Any AnnData.
    gene_key
        Column of ``adata.var`` that holds gene symbols or Ensembl ids; ``None`` takes
        ``adata.var_names``.

    Returns
    -------
    Strings, shape ``(n_vars,)``; an empty string where the column has no value.

    Raises
    ------
    KeyError
        When ``gene_key`` is not a column of ``adata.var``.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> from dtp_scvi.data import gene_names
    >>> var = pd.DataFrame(
    ...     {"symbol": ["CD34", "KIT"]}, index=["ENSG00000174059", "ENSG00000157404"]
    ... )
    >>> gene_names(ad.AnnData(np.ones((1, 2), np.float32), var=var), "symbol").tolist()
    ['CD34', 'KIT']
    """
    if gene_key is None:
        return np.asarray(adata.var_names.astype(str), dtype=object)
    check_key(adata.var, gene_key, "adata.var", "gene_key")
    column: pd.Series = adata.var[gene_key]
    return np.array(
        ["" if n else str(v) for v, n in zip(column, column.isna(), strict=True)], object
    )


def align_genes(
    names: Iterable[str], targets: Iterable[str], *, resolver: SymbolResolver | None = None
) -> GeneAlignment:
    """
    Match gene names to model genes, through old symbols, aliases and Ensembl ids.

    A query name that equals a model gene always feeds that gene. The others are matched when
    both sides resolve to the same approved symbol, or, for names the resolver does not know, when
    they agree without Ensembl version or case. Several query genes may feed one model gene; an
    alias feeds only a gene that is not there under its approved or a previous symbol.

    Parameters
    ----------
    names
        Gene names of the query; may repeat.
    targets
        Gene names of the model; must be unique.
    resolver
        Symbol table; by default :meth:`SymbolResolver.bundled`.

    Returns
    -------
    The matches, with all that was renamed, missing, duplicated, ambiguous or damaged.

    Raises
    ------
    ValueError
        When ``targets`` is empty or repeats a name.

    Examples
    --------
    >>> from dtp_scvi.data import align_genes
    >>> alignment = align_genes(["NGFRAP1", "CD34", "GPR56"], ["CD34", "BEX3", "ADGRG1", "KIT"])
    >>> alignment
    GeneAlignment(3 of 4 model genes found among 3; 2 renamed, 0 duplicated, 0 ambiguous)
    >>> alignment.missing
    ('KIT',)
    """
    query, wanted = tuple(map(str, names)), tuple(map(str, targets))
    _check_targets(wanted)
    exact = {name: position for position, name in enumerate(wanted)}
    hits = np.array([exact.get(name, -1) for name in query], dtype=np.int64)
    ambiguous: list[str] = []
    damaged: list[str] = []
    rest = np.flatnonzero(hits < 0)
    if rest.size:
        resolver = SymbolResolver.bundled() if resolver is None else resolver
        _match_resolved(query, wanted, rest, hits, resolver, ambiguous, damaged)
    return _collect(query, wanted, hits, ambiguous, damaged)


def _check_targets(wanted: tuple[str, ...]) -> None:
    if not wanted:
        msg = problem("at least one model gene", "none", "Pass the model's gene names.")
        raise ValueError(msg)
    if len(set(wanted)) < len(wanted):
        repeated = [name for name, count in Counter(wanted).items() if count > 1]
        msg = problem("unique model genes", f"repeats of {shorten(repeated)}", "Remove them.")
        raise ValueError(msg)


def _key(name: str, symbol: str | None) -> str:
    return symbol or ensembl_base(name) or name.upper()


def _target_keys(wanted: tuple[str, ...], resolver: SymbolResolver) -> dict[str, int | None]:
    """Map key to position; to ``None`` where model genes share a key and none is approved."""
    keys: dict[str, int | None] = {}
    found = resolver.look_up(wanted)
    for position, (name, (symbol, _, _)) in enumerate(zip(wanted, found, strict=True)):
        key = _key(name, symbol)
        if key not in keys or name == key:
            keys[key] = position
        elif (other := keys[key]) is None or wanted[other] != key:
            keys[key] = None
    return keys


def _match_resolved(
    query: tuple[str, ...],
    wanted: tuple[str, ...],
    rest: np.ndarray,
    hits: np.ndarray,
    resolver: SymbolResolver,
    ambiguous: list[str],
    damaged: list[str],
) -> None:
    keys = _target_keys(wanted, resolver)
    # An approved symbol that is no key of a model gene can't feed one; most names are such.
    left = [(i, query[i]) for i in rest if query[i] in keys or query[i] not in resolver]
    names = [name for _, name in left]
    found = resolver.look_up(names, serials=serials_are_dates(names, rest.size))
    by_alias: list[tuple[int, int]] = []
    for (i, name), (symbol, how, candidates) in zip(left, found, strict=True):
        key = _key(name, symbol)
        position = keys.get(key) if name else None
        if how == "spreadsheet":
            damaged.append(name)
        if position is None:
            shared = name and key in keys
            if shared or (how == "ambiguous" and any(c in keys for c in candidates)):
                ambiguous.append(name)
        elif how == "alias":
            by_alias.append((i, position))
        else:
            hits[i] = position
    # Where a gene is there under a proper name, a second gene with that alias is another feature.
    named = set(hits[hits >= 0].tolist())
    for i, position in by_alias:
        if position not in named:
            hits[i] = position


def _collect(
    query: tuple[str, ...],
    wanted: tuple[str, ...],
    hits: np.ndarray,
    ambiguous: list[str],
    damaged: list[str],
) -> GeneAlignment:
    source = np.flatnonzero(hits >= 0).astype(np.int64)
    target = hits[source]
    counts = np.bincount(target, minlength=len(wanted))
    feeding: dict[int, list[str]] = {int(t): [] for t in np.flatnonzero(counts > 1)}
    for s, t in zip(source, target, strict=True):
        if t in feeding:
            feeding[t].append(query[s])
    return GeneAlignment(
        targets=wanted,
        query=query,
        source=source,
        target=target,
        missing=tuple(wanted[t] for t in np.flatnonzero(counts == 0)),
        duplicated={wanted[t]: tuple(names) for t, names in feeding.items()},
        ambiguous=tuple(dict.fromkeys(ambiguous)),
        renamed={
            query[s]: wanted[t]
            for s, t in zip(source, target, strict=True)
            if query[s] != wanted[t]
        },
        damaged=tuple(dict.fromkeys(damaged)),
        unmatched=tuple(query[i] for i in np.flatnonzero(hits < 0)),
    )
