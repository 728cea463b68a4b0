"""Report how the genes of an AnnData meet those of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi import data
from dtp_scvi._validate import problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData


def align_genes(
    adata: AnnData,
    model: object | Iterable[str],
    *,
    gene_key: str | None = None,
    resolver: data.SymbolResolver | None = None,
) -> data.GeneAlignment:
    """
    Report which genes of a model an AnnData holds, under which names; nothing is changed.

    Parameters
    ----------
    adata
        Cells or samples to be scored.
    model
        A fitted model (anything with ``genes_``) or the gene names themselves.
    gene_key
        Column of ``adata.var`` that holds gene symbols or Ensembl ids; ``None`` takes
        ``adata.var_names``.
    resolver
        Symbol table; by default the HGNC table that ships with the package.

    Returns
    -------
    The alignment: ``coverage``, ``missing``, ``renamed``, ``duplicated``, ``ambiguous``;
    ``report()`` gives a summary and ``check(floor)`` raises below a coverage.

    Raises
    ------
    KeyError
        When ``gene_key`` is not a column of ``adata.var``.
    TypeError
        When ``model`` has no ``genes_`` and is no sequence of names.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> adata = ad.AnnData(np.ones((1, 2), np.float32), var=pd.DataFrame(index=["CD34", "GPR56"]))
    >>> dtp.pp.align_genes(adata, ["CD34", "ADGRG1", "KIT"]).missing
    ('KIT',)
    """
    genes = getattr(model, "genes_", model)
    if isinstance(genes, str) or not hasattr(genes, "__iter__"):
        msg = problem(
            "a model with `genes_` or a sequence of gene names",
            type(model).__name__,
            "Pass a fitted model or a list of names.",
        )
        raise TypeError(msg)
    names = data.gene_names(adata, gene_key)
    return data.align_genes(names, list(np.asarray(genes, dtype=object)), resolver=resolver)
