"""Scores of signatures for cells or samples, with the share of their genes that was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._constants import LSC17, RESEARCH_USE, SIGNATURES_KEY, SIMULATION_KEY
from dtp_scvi._docs import docs
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_one_of, check_range, problem, shorten
from dtp_scvi.data import GeneAlignment, align_genes, check_object, gene_names, match_network
from dtp_scvi.tl._enrichment_expression import LogExpression
from dtp_scvi.tl._enrichment_methods import run_method
from dtp_scvi.tl._enrichment_net import Net, column_names, not_matched, resolve_net
from dtp_scvi.train import LSC17_WEIGHTS

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

_METHODS: Final = {
    "weighted_sum": "sum of weight x expression over the genes found",
    "mean_zscore": "weighted mean of gene z-scores over these rows, by absolute weights",
    "ulm": "t of the slope of a row's expression on the weights (decoupler)",
}


@docs.dedent
def signatures(
    adata: AnnData,
    net: Net | None = None,
    *,
    method: Literal["weighted_sum", "mean_zscore", "ulm"] = "weighted_sum",
    layer: str | None = None,
    scale: str = "auto",
    gene_key: str | None = None,
    min_coverage: float = 0.5,
    download: bool = False,
    key_added: str = SIGNATURES_KEY,
) -> pd.DataFrame:
    """
    Score every row on signatures: LSC17, pLSC6, stemness, quiescence, drug tolerance.

    Parameters
    ----------
    adata
        Cells or bulk samples in rows, genes in columns; read in blocks.
    net
        Signatures with or without coefficients, as for :func:`dtp_scvi.tl.enrichment`. By default
        LSC17 (Ng et al. 2016, doi:10.1038/nature20598), with its coefficients.
    method
        ``"weighted_sum"``: sum of weight times expression, as LSC17 is defined; of a plain set
        the sum of its genes. A gene that is missing counts as 0, so compare rows of one object.
        ``"mean_zscore"``: genes standardised over the rows of this object, then averaged; no gene
        dominates, and the score depends on which rows there are. ``"ulm"``: the genes of a set
        against all other genes of the row, by t; needs decoupler.
    %(layer)s
    %(scale)s Counts become log1p CP10k, other linear values log1p; logarithms are taken as they
        are, to whatever base.
    gene_key
        Column of ``adata.var`` with gene names; ``None`` means ``adata.var_names``.
    min_coverage
        Least share of a signature's genes that has to be found, 0 to 1; under it the score is NaN.
    download
        Let decoupler fetch ``net`` by name.
    key_added
        Key of ``adata.obsm`` for the scores and of ``adata.uns`` for the record.

    Returns
    -------
    One row a signature: ``source``, ``n_in_set``, ``n_found``, ``share_found``,
    ``share_weight_found`` (of the summed absolute weights), ``scored`` and ``reason``, ``missing``
    (the genes). ``adata.obsm[key_added]`` holds the scores, rows x signatures, float64;
    ``adata.uns[key_added]`` the ``table``, ``not_matched``, ``damaged`` and ``params`` (method,
    what was scored and on which scale).

    Raises
    ------
    KeyError, TypeError, ValueError
        For an unknown method, a key that is not there, signatures without a gene in the data.

    Warns
    -----
    UserWarning
        When signatures are under ``min_coverage``, with their names.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(200, 100)
    >>> sets = {
    ...     "up": list(cells.var_names[:20]),
    ...     "down": dict.fromkeys(cells.var_names[20:30], -1.0),
    ... }
    >>> table = dtp.tl.signatures(cells, sets, method="mean_zscore", layer="counts")
    >>> table["n_found"].tolist(), cells.obsm["dtp_signatures"].shape
    ([20, 10], (200, 2))
    """
    check_object(adata)
    check_one_of(method, _METHODS, "method")
    check_range(min_coverage, "min_coverage", 0.0, 1.0)
    given = {LSC17: dict(LSC17_WEIGHTS)} if net is None else net
    network = resolve_net(given, download=download)
    names = gene_names(adata, gene_key)
    table = match_network(network, names).table
    table["reason"] = _reasons(table, min_coverage)
    table["scored"] = table["reason"] == ""
    expression = LogExpression(adata, layer, scale)
    kept = network["source"].isin(table.loc[table["scored"], "source"])
    scores = pd.DataFrame(np.nan, index=adata.obs_names, columns=column_names(table["source"]))
    if kept.any():
        score = {"weighted_sum": _sum, "mean_zscore": _zscore, "ulm": _ulm}[method]
        scores.loc[:, table["scored"].to_numpy()] = score(expression, names, network[kept])
    _note_constant(table, scores)
    table["missing"] = _missing(network, names, table["source"])
    adata.obsm[key_added] = scores
    params: dict[str, Any] = {
        "method": method,
        "score": _METHODS[method],
        "values": expression.values,
        "layer": layer or "X",
        "min_coverage": min_coverage,
        "simulated": SIMULATION_KEY in adata.uns,
        "version": __version__,
        "research_use": RESEARCH_USE,
    }
    listed = not_matched(network, names)
    adata.uns[key_added] = {"table": table.copy(), **listed, "params": params}
    return table


def _reasons(table: pd.DataFrame, min_coverage: float) -> list[str]:
    """Say of each signature why it is not scored; warn of those under the floor."""
    found = []
    for row in table.itertuples():
        low = row.share_found < min_coverage or row.n_found == 0
        counts = f"{row.n_found} of {row.n_in_set} genes found"
        found.append(f"{counts}, under the floor of {min_coverage:.0%}" if low else "")
    low_names = [name for name, why in zip(table["source"], found, strict=True) if why]
    if low_names:
        warn(
            f"{len(low_names):,} of {len(found):,} signatures are not scored, as fewer than "
            f"{min_coverage:.0%} of their genes were found: {shorten(low_names)}."
        )
    return found


def _note_constant(table: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Say of signatures without any value, though their genes were found, why that is."""
    none = table["scored"].to_numpy() & scores.isna().all(axis=0).to_numpy()
    if none.any():
        table.loc[none, ["scored", "reason"]] = [False, "none of its genes varies over these rows"]
        named = shorten(table.loc[none, "source"])
        warn(f"{none.sum():,} signatures have no gene that varies over these rows: {named}.")


def _missing(net: pd.DataFrame, names: NDArray[np.object_], sources: pd.Series[Any]) -> list[str]:
    lacking = set(align_genes(names, net["target"].unique()).missing)
    rows = net[net["target"].isin(lacking)].groupby("source")["target"].agg(", ".join)
    return [str(rows.get(source, "")) for source in sources]


def _weights(
    net: pd.DataFrame, names: NDArray[np.object_]
) -> tuple[GeneAlignment, NDArray[np.float64]]:
    """Alignment of the data to the genes of the signatures, and (genes, signatures) weights."""
    targets = net["target"].unique()
    column, sources = pd.factorize(net["source"])
    weights = np.zeros((len(targets), len(sources)))
    weights[pd.Index(targets).get_indexer(net["target"]), column] = net["weight"]
    return align_genes(names, targets), weights


def _sum(
    expression: LogExpression, names: NDArray[np.object_], net: pd.DataFrame
) -> NDArray[np.float64]:
    alignment, weights = _weights(net, names)
    return np.vstack([np.asarray(block @ weights) for _, block in expression.blocks(alignment)])


def _zscore(
    expression: LogExpression, names: NDArray[np.object_], net: pd.DataFrame
) -> NDArray[np.float64]:
    """Standardise without making the rows dense: a mean of z-scores is a sum less a constant."""
    alignment, weights = _weights(net, names)
    mean, sd = _moments(expression, alignment)
    # A gene that is missing or constant has no z-score and is left out of the mean.
    used = sd > 0
    each = np.where(used[:, None], weights, 0.0)
    each /= np.maximum(np.abs(each).sum(axis=0), 1e-300)
    each[used] /= sd[used, None]
    parts = [np.asarray(block @ each) for _, block in expression.blocks(alignment)]
    found = np.vstack(parts) - mean @ each
    found[:, ~(each != 0).any(axis=0)] = np.nan
    return found


def _moments(
    expression: LogExpression, alignment: GeneAlignment
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each gene over all rows, in two passes over the rows."""
    n, total = 0, np.zeros(alignment.n_targets)
    for _, block in expression.blocks(alignment):
        n, total = n + block.shape[0], total + np.asarray(block.sum(axis=0)).ravel()
    mean = total / n
    squares = np.zeros(alignment.n_targets)
    for _, block in expression.blocks(alignment):
        # What is not stored is 0, and (0 - mean)^2 for each of these.
        gaps = block.copy()
        gaps.data = (gaps.data - mean[gaps.indices]) ** 2
        stored = np.bincount(block.indices, minlength=alignment.n_targets)
        squares += np.asarray(gaps.sum(axis=0)).ravel() + (block.shape[0] - stored) * mean**2
    sd = np.sqrt(squares / n)
    return mean, np.where(sd > 1e-9 * np.maximum(1.0, np.abs(mean)), sd, 0.0)


def _ulm(
    expression: LogExpression, names: NDArray[np.object_], net: pd.DataFrame
) -> NDArray[np.float64]:
    match = match_network(net, names)
    if (match.table["n_found"] == 1).any():
        alone = match.table.loc[match.table["n_found"] == 1, "source"]
        msg = problem(
            "signatures of two genes or more (`method='ulm'`)",
            f"one gene found of {shorten(alone)}",
            "Take method='weighted_sum', which is that gene.",
        )
        raise ValueError(msg)
    parts = [
        run_method("ulm", (block @ match.collapse).toarray(), match.weights)[0]
        for _, block in expression.blocks()
    ]
    return np.vstack(parts)
