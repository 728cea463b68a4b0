"""Enrichment of gene sets in attributions, in expression that goes with a score, or in each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi import __version__
from dtp_scvi._constants import ENRICHMENT_KEY, RESEARCH_USE, SIMULATION_KEY
from dtp_scvi._docs import docs
from dtp_scvi._logging import logger
from dtp_scvi._validate import check_positive_int
from dtp_scvi.data import check_object, gene_names, match_network
from dtp_scvi.tl._enrichment_expression import LogExpression, associate
from dtp_scvi.tl._enrichment_input import GeneStatistic, check_kind, statistics_of
from dtp_scvi.tl._enrichment_methods import METHODS, check_method, decoupler, run_method
from dtp_scvi.tl._enrichment_net import (
    Net,
    background_genes,
    check_min_overlap,
    column_names,
    not_matched,
    resolve_net,
    why_untested,
)
from dtp_scvi.tl._enrichment_table import Options, score_sets

if TYPE_CHECKING:
    from numpy.typing import NDArray


@docs.dedent
def enrichment(
    adata: AnnData | pd.DataFrame | pd.Series[Any],
    net: Net,
    *,
    method: str = "ulm",
    statistic: str | None = None,
    score_key: str | None = None,
    donor_key: str | None = None,
    layer: str | None = None,
    scale: str = "auto",
    gene_key: str | None = None,
    min_cells: int = 10,
    background: object | None = None,
    min_overlap: int = 5,
    n_permutations: int = 1000,
    download: bool = False,
    seed: int | None = 0,
    key_added: str = ENRICHMENT_KEY,
) -> pd.DataFrame:
    """Test which gene sets a statistic, or a score, or each row, is about.

    Three questions by one method: with ``statistic``, or a table in place of ``adata``, which sets
    hold genes of high or low statistic (an attribution, say); with ``score_key``, which sets hold
    genes whose expression goes with the score over donors; with neither, how each row scores on
    each set.

    Parameters
    ----------
    adata
        Cells or bulk samples in rows, genes in columns; or gene statistics, genes in rows: a
        series, or a table with one statistic a column.
    net
        Gene sets: a local GMT, CSV or TSV file, a table with ``source``, ``target`` and
        ``weight``, or a mapping; see :func:`dtp_scvi.data.read_network`. Names are resolved
        through aliases. One of ``"hallmark"``, ``"progeny"``, ``"collectri"``, ``"dorothea"``
        only with ``download=True``.
    method
        ``"ulm"``, ``"mlm"``, ``"viper"``, ``"zscore"``, ``"waggr"``, ``"gsea"``, ``"aucell"`` of
        decoupler, or ``"ora"``, the hypergeometric test of the top 5 % of genes.
    statistic
        Key of ``adata.varm`` (each column is tested), or column of ``adata.var`` or of the table.
        NaN marks genes that have none.
    score_key
        Numeric column of ``adata.obs``. The statistic of a gene is Spearman's correlation of its
        expression with the score over donors.
    donor_key
        Column of ``adata.obs``: cells of a donor are summed (:func:`dtp_scvi.pp.pseudobulk`) and
        their scores averaged. ``None`` where each row is a sample of its own.
    %(layer)s
    %(scale)s Counts become log1p CP10k; logarithms are taken as they are.
    gene_key
        Column of ``adata.var``, or of the table, with gene names; ``None`` means the index.
    min_cells
        Donors with fewer scored cells are left out.
    background
        Genes that could have been found: names, or a model (its ``genes_``). By default all
        genes that have a statistic: of attributions those that the model has seen.
    min_overlap
        Sets with fewer genes in the background are listed, not tested; at least 2.
    n_permutations
        Permutations behind ``p_permutation`` and ``p_donors``; 0 for none.
    download
        Let decoupler fetch ``net`` by name.
    %(seed)s
    key_added
        Key of ``adata.uns`` for the result and, of row scores, of ``adata.obsm``.

    Returns
    -------
    One row a contrast and set, tested ones first, by falling score:

    ``contrast``, ``source``
        The statistic (or score) and the set.
    ``score``
        See ``params["score"]``; the sign is that of the statistic.
    ``p``, ``q``
        The method's own p, which takes genes for independent, and Benjamini-Hochberg's false
        discovery rate over the sets of a contrast; NaN for methods without one.
    ``p_permutation``, ``q_permutation``
        By permuting gene labels, which takes genes for independent as well.
    ``p_donors``, ``q_donors``
        By giving the scores to other donors, which keeps genes that go together together. Only
        with ``score_key``; the one to report there.
    ``n_in_set``, ``n_found``, ``share_found``, ``share_weight_found``
        Genes of the set, those in the background, and their share.
    ``tested``, ``reason``, ``leading``
        Why a set was not tested; up to five members that pull the score most.

    Of row scores the columns are ``source``, the counts, ``tested`` and ``reason``, and
    ``adata.obsm[key_added]`` holds the scores (float64, NaN for a row without variation). With an
    AnnData, ``adata.uns[key_added]`` keeps ``table``, ``not_matched`` (names of the sets that
    neither a symbol nor the data explain), ``damaged`` (by a spreadsheet) and ``params``, with the size and source of
    the background; with a table, ``attrs["params"]`` of the result does.

    Raises
    ------
    ImportError
        When decoupler is not installed (extra ``mechanism``).
    KeyError, TypeError, ValueError
        For a key that is not there, an unknown method, no overlap (with examples from both
        sides), a set of one gene alone, fewer than five donors, a constant statistic or score.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> attribution = pd.Series(np.linspace(-1, 1, 100), [f"GENE{i}" for i in range(100)])
    >>> sets = {"high": [f"GENE{i}" for i in range(80, 100)], "any": list(attribution.index[::9])}
    >>> table = dtp.tl.enrichment(attribution, sets, n_permutations=99)
    >>> table[["source", "n_found", "p_permutation"]].values.tolist()[0]
    ['high', 20, 0.01]
    """
    check_method(method)
    check_kind(adata, statistic, score_key, donor_key)
    check_min_overlap(min_overlap)
    if n_permutations:
        check_positive_int(n_permutations, "n_permutations")
    if method != "ora":
        decoupler()
    network = resolve_net(net, download=download)
    options = Options(method, background_genes(background), min_overlap, n_permutations, seed)
    params = _params(options)
    if isinstance(adata, AnnData) and score_key is not None:
        check_object(adata, view=True)
        found = associate(
            adata, score_key, donor_key=donor_key, layer=layer, scale=scale, min_cells=min_cells
        )
        params |= {"what": "association", "n_donors": found.n, "values": found.values}
        each = [GeneStatistic(score_key, gene_names(adata, gene_key), found.rho, found)]
        table = _each_statistic(each, network, options, params)
    elif isinstance(adata, AnnData) and statistic is None:
        expression = LogExpression(adata, layer, scale)
        params |= {"what": "rows", "values": expression.values, "n_permutations": 0}
        table, scores = _each_row(adata, expression, network, gene_key, options, params)
        adata.obsm[key_added] = scores
    else:
        params["what"] = "statistic"
        each = statistics_of(adata, statistic, gene_key)
        table = _each_statistic(each, network, options, params)
    _log(table, params)
    if not isinstance(adata, AnnData):
        table.attrs["params"] = params
        return table
    params["simulated"] = SIMULATION_KEY in adata.uns
    params |= {"statistic": statistic or "", "score_key": score_key or ""}
    params |= {"donor_key": donor_key or "", "layer": layer or "X"}
    listed = not_matched(network, gene_names(adata, gene_key))
    adata.uns[key_added] = {"table": table.copy(), **listed, "params": params}
    return table


def _params(options: Options) -> dict[str, Any]:
    """What was done, in types that a file can hold."""
    about = METHODS[options.method]
    given = options.background is not None
    return {
        "method": options.method,
        "score": about.score,
        "weights_used": about.weighted,
        "background": "genes given" if given else "genes with a statistic",
        "min_overlap": options.min_overlap,
        "n_permutations": options.n_permutations,
        "seed": -1 if options.seed is None else options.seed,
        "version": __version__,
        "research_use": RESEARCH_USE,
    }


def _each_statistic(
    statistics: list[GeneStatistic], net: pd.DataFrame, options: Options, params: dict[str, Any]
) -> pd.DataFrame:
    """Test the sets on every statistic, and write down the backgrounds."""
    parts = [score_sets(each, net, options) for each in statistics]
    params["n_background"] = np.array([len(match.genes) for _, match in parts])
    params["n_background_lacking"] = np.array([match.n_outside for _, match in parts])
    return pd.concat([part for part, _ in parts], ignore_index=True)


def _each_row(
    adata: AnnData,
    expression: LogExpression,
    net: pd.DataFrame,
    gene_key: str | None,
    options: Options,
    params: dict[str, Any],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score every row, block by block; overlap and scores."""
    check_object(adata)
    match = match_network(net, gene_names(adata, gene_key), background=options.background)
    table = match.table.copy()
    table["reason"] = why_untested(table, options.min_overlap)
    table["tested"] = table["reason"] == ""
    kept = np.flatnonzero(table["tested"])
    weights = match.weights[:, kept].tocsc()
    scores: NDArray[np.float64] = np.full((adata.n_obs, len(kept)), np.nan)
    for rows, block in expression.blocks():
        scores[rows], _ = run_method(options.method, (block @ match.collapse).toarray(), weights)
    if options.background is None:
        params["background"] = "all genes of adata"
    params["n_background"] = np.array([len(match.genes)])
    params["n_background_lacking"] = np.array([match.n_outside])
    columns = column_names(table["source"].iloc[kept])
    return table, pd.DataFrame(scores, index=adata.obs_names, columns=columns)


def _log(table: pd.DataFrame, params: dict[str, Any]) -> None:
    once = table.drop_duplicates("source")
    logger.info(
        "Background: %s (%s). Found of each set: %s",
        params["background"],
        ", ".join(f"{n:,}" for n in params["n_background"]),
        "; ".join(f"{row.source} {row.n_found}/{row.n_in_set}" for row in once.itertuples()),
    )
