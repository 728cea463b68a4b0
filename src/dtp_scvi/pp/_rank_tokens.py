"""Genes of a cell as tokens, ranked by how far they stand above their usual level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dtp_scvi import __version__
from dtp_scvi._constants import LENGTH_SUFFIX, RANK_TOKENS_KEY, TOKENS_OBSM_KEY
from dtp_scvi._docs import docs
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_positive_int, matrix_name, shorten
from dtp_scvi.data import align_genes, get_matrix, iter_blocks, linearise_block, resolve_scale
from dtp_scvi.pp._rank_vocabulary import read_vocabulary, translate
from dtp_scvi.pp._rewrite import writable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData

    from dtp_scvi.data import Block

_SHOWN: Final = 5


@docs.dedent
def rank_tokens(
    adata: AnnData,
    medians: Mapping[str, float] | pd.Series | str | Path,
    *,
    vocabulary: Mapping[str, int] | pd.Series | str | Path | None = None,
    gene_key: str | None = None,
    mapping: Mapping[str, str] | pd.Series | str | Path | None = None,
    layer: str | None = None,
    scale: str = "auto",
    n_tokens: int = 2048,
    key_added: str = TOKENS_OBSM_KEY,
    copy: bool = False,
) -> AnnData | None:
    """
    Write each row as rank-value tokens: its genes, the ones most above their median first.

    The encoding of Geneformer (Theodoris et al., Nature 2023): a gene's value is
    ``1e4 * count / n_counts / median``, where ``n_counts`` sums the row over **all** genes of the
    object and ``median`` is the gene's median where it is expressed, over a large corpus. Genes
    above zero are sorted by descending value and the first ``n_tokens`` kept.

    Parameters
    ----------
    adata
        Cells in rows, in memory, with all genes that were measured.
    medians
        Gene -> median of its non-zero values in the corpus, above zero: a mapping, or a local
        JSON or CSV file. Pickles, as Geneformer ships them, are refused with the lines that
        convert them.
    vocabulary
        Gene -> token, with ``"<pad>"``: likewise. ``None`` numbers the genes from 2 in the order
        of ``medians``, with 0 for padding: no use with a trained model.
    %(gene_key)s
    mapping
        Name in the object -> Ensembl id: a mapping, or a file of two columns in either order.
        Names that it lacks are dropped. ``None`` matches through versions, symbols, previous
        symbols and aliases as :func:`dtp_scvi.data.align_genes` does.
    %(layer)s
    %(scale)s
    n_tokens
        Most tokens of a row.
    key_added
        Key of ``adata.obsm``.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written are, for the default ``key_added``:
    ``obsm["X_rank_tokens"]``, int32, shape ``(n_obs, n_tokens)``, padded at the end;
    ``obs["X_rank_tokens_length"]``, int32; ``uns["dtp_rank_tokens"]``: ``params``, ``pad``,
    ``n_vocabulary``, ``n_found``, ``n_without_median``, ``n_empty``, ``n_truncated``.

    Raises
    ------
    ValueError
        For a pickle, medians that are not above zero, tokens that repeat or are no whole numbers,
        a vocabulary without ``"<pad>"``, no gene of the vocabulary found, or values of no usable
        scale.

    Notes
    -----
    ``n_counts`` is one factor for the whole row, so it changes no rank, whatever genes are there.
    Genes of equal value are sorted by token: the result depends on neither the order of rows or
    genes nor the storage. Several columns that are one gene are summed (averaged
    where the values are logarithms). The format is that of
    the models of 30 million cells, whose sequences have no ``<cls>`` and ``<eos>``; a vocabulary
    that has them is warned of.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> var = pd.DataFrame(index=["CD34", "KIT", "ACTB"])
    >>> adata = ad.AnnData(np.array([[1.0, 0.0, 9.0], [2.0, 3.0, 5.0]]), var=var)
    >>> dtp.pp.rank_tokens(adata, {"ACTB": 50.0, "CD34": 2.0, "KIT": 1.0}, n_tokens=4)
    >>> adata.obsm["X_rank_tokens"].tolist()
    [[3, 2, 0, 0], [4, 3, 2, 0]]
    """
    check_positive_int(n_tokens, "n_tokens")
    out = writable(adata, copy=copy)
    words = read_vocabulary(medians, vocabulary)
    names = translate(out, gene_key, mapping)
    alignment = align_genes(names, words.genes)
    alignment.check(0.0)
    where = matrix_name(layer)
    matrix = get_matrix(out, layer)
    found = resolve_scale(matrix, scale, name=where)
    tokens = np.full((out.n_obs, n_tokens), words.pad, np.int32)
    lengths = np.zeros(out.n_obs, np.int32)
    for block in iter_blocks(matrix, alignment, scale=found, check=where):
        linear = linearise_block(block.matrix.data.astype(np.float64), found)
        lengths[block.rows] = _rank(block, linear, words.medians, words.tokens, tokens)
    n_truncated = int((lengths > n_tokens).sum())
    lengths = np.minimum(lengths, n_tokens)
    empty = lengths == 0
    if empty.any():
        warn(
            f"{int(empty.sum()):,} rows without a gene of the vocabulary above zero: "
            f"{shorten(out.obs_names[empty], _SHOWN)}."
        )
    out.obsm[key_added] = tokens
    out.obs[key_added + LENGTH_SUFFIX] = lengths
    out.uns[RANK_TOKENS_KEY] = {
        "params": {
            "n_tokens": int(n_tokens),
            "layer": layer or "X",
            "scale": str(found),
            "gene_key": gene_key or "var_names",
            "key_added": key_added,
            "own_vocabulary": vocabulary is None,
            "mapping": mapping is not None,
            "version": __version__,
        },
        "pad": words.pad,
        "vocabulary": words.digest,
        "n_vocabulary": len(words.genes),
        "n_found": int(alignment.observed.sum()),
        "n_without_median": words.n_without_median,
        "n_empty": int(empty.sum()),
        "n_truncated": n_truncated,
    }
    return out if copy else None


def _rank(
    block: Block,
    values: np.ndarray,
    medians: np.ndarray,
    tokens: np.ndarray,
    written: np.ndarray,
) -> np.ndarray:
    """Write the ranked tokens of a block of rows; return how many each row has."""
    rows = block.matrix
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    keep = values > 0
    row, column, values = row[keep], rows.indices[keep], values[keep]
    # The total and its scale are one factor for the whole row: leaving them out keeps exact ties.
    values = values / medians[column]
    token = tokens[column]
    # The last key counts most: by row, then by value, and equal values by token.
    order = np.lexsort((token, -values, row))
    row, token = row[order], token[order]
    lengths = np.bincount(row, minlength=rows.shape[0])
    place = np.arange(row.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    fits = place < written.shape[1]
    written[block.rows.start + row[fits], place[fits]] = token[fits]
    return lengths
