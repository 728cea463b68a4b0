"""Bring an AnnData onto a fixed list of genes, in its order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from dtp_scvi import __version__
from dtp_scvi._constants import FEW_GENES_KEY, FEWEST_GENES, GENE_LIST_KEY
from dtp_scvi._docs import docs
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_one_of, check_range, matrix_name, problem, shorten
from dtp_scvi.data import (
    LINEARISE,
    GeneAlignment,
    align_genes,
    check_object,
    detect_scale,
    gene_names,
    get_matrix,
    iter_blocks,
    scale_kind,
)
from dtp_scvi.data._gene_files import names_digest, read_gene_names

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_WARN_COVERAGE: Final = 0.8


@docs.dedent
def to_gene_list(
    adata: AnnData,
    genes: Iterable[str] | str | Path,
    *,
    gene_key: str | None = None,
    layer: str | None = None,
    min_coverage: float = 0.5,
    duplicates: Literal["sum", "mean", "error"] = "sum",
    min_genes: int = FEWEST_GENES,
    drop_cells: bool = False,
) -> AnnData:
    """
    Return an AnnData whose variables are exactly the genes of a list, in its order.

    For foundation models that take a fixed input, such as scFoundation with its 19,264 genes.
    Genes are matched by name, see :func:`dtp_scvi.data.align_genes`; a gene of the list that is
    missing becomes a column of zeros, and a gene that is not on the list is left out.

    Parameters
    ----------
    adata
        Cells or samples in rows, in memory or backed, in any storage; not negative. Read in
        blocks.
    genes
        The list: names, or a local text file with one gene a line (the first column of a table).
    %(gene_key)s
    %(layer)s
    min_coverage
        Least share of the list that must be found, 0 to 1; below 0.8 there is a warning.
    duplicates
        What becomes of several columns that are one gene: their sum, their mean (for logarithms,
        which can't be summed), or an error.
    min_genes
        Rows with fewer genes of the list above zero are flagged; 0 flags none.
    drop_cells
        Leave the flagged rows out.

    Returns
    -------
    A new AnnData. ``X``: float32, dense where the input is a numpy array, else CSR. ``obs`` and
    ``obsm`` as they were, with ``obs["few_genes"]`` (bool). ``var``: the list as index, and
    ``"missing"`` (bool). ``uns["dtp_gene_list"]``: ``params``, ``alignment`` (a report),
    ``digest`` (of the list), ``missing`` (all names), ``n_few_genes``, ``dropped`` (names of rows).

    Raises
    ------
    KeyError
        When there is no such layer or column.
    ValueError
        Coverage under ``min_coverage``; a list that is empty or repeats a name; NaN, infinite or
        negative values; duplicates with ``"error"``, or logarithms that would be summed; no row
        left.
    FileNotFoundError
        When there is no such file.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> var = pd.DataFrame(index=["KIT", "GPR56", "ACTB", "CD44", "XYZ"])
    >>> adata = ad.AnnData(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]), var=var)
    >>> genes = ["CD34", "ADGRG1", "KIT", "CD44", "ACTB"]
    >>> listed = dtp.pp.to_gene_list(adata, genes, min_genes=0)
    >>> listed.X.tolist(), listed.uns["dtp_gene_list"]["missing"].tolist()
    ([[0.0, 2.0, 1.0, 4.0, 3.0]], ['CD34'])
    """
    check_object(adata, view=True)
    check_range(min_coverage, "min_coverage", 0.0, 1.0)
    check_one_of(duplicates, ("sum", "mean", "error"), "duplicates")
    check_range(min_genes, "min_genes", 0)
    alignment = align_genes(gene_names(adata, gene_key), read_gene_names(genes))
    alignment.check(min_coverage)
    matrix = get_matrix(adata, layer)
    where = matrix_name(layer)
    _check_duplicates(alignment, matrix, duplicates, where)
    values = _cut(matrix, alignment, "mean" if duplicates == "mean" else "sum", where)
    few = np.asarray((values > 0).sum(axis=1)).ravel() < min_genes
    _tell(alignment, few, adata.obs_names, min_genes, drop=drop_cells)
    result = AnnData(
        values,
        obs=adata.obs.assign(**{FEW_GENES_KEY: few}),
        var=pd.DataFrame(
            {"missing": ~alignment.observed}, index=pd.Index(alignment.targets, dtype=object)
        ),
        obsm=dict(adata.obsm),
    )
    result.uns[GENE_LIST_KEY] = {
        "params": {
            "layer": layer or "X",
            "gene_key": gene_key or "var_names",
            "duplicates": duplicates,
            "min_genes": int(min_genes),
            "version": __version__,
        },
        "alignment": alignment.report(),
        "digest": names_digest(alignment.targets),
        "missing": np.array(alignment.missing, dtype=object),
        "n_few_genes": int(few.sum()),
        "dropped": np.array(adata.obs_names[few if drop_cells else []], dtype=object),
    }
    return result[~few].copy() if drop_cells else result


def _check_duplicates(alignment: GeneAlignment, matrix: Any, duplicates: str, where: str) -> None:
    if not alignment.duplicated or duplicates == "mean":
        return
    listed = [f"{gene} ({', '.join(names)})" for gene, names in alignment.duplicated.items()]
    if duplicates == "error":
        msg = problem(
            "one column for each gene",
            f"several for {shorten(listed)}",
            'Pass duplicates="sum", or "mean" for logarithms.',
        )
        raise ValueError(msg)
    found = detect_scale(matrix)
    if found.confident and found.scale in LINEARISE and scale_kind(found.scale) != "linear":
        msg = problem(
            f"linear values in {where}, as {len(listed):,} genes have columns that are to be summed "
            f"({shorten(listed, 2)})",
            f"logarithms: {found.reason}",
            'Pass the counts, or duplicates="mean".',
        )
        raise ValueError(msg)


def _cut(matrix: Any, alignment: GeneAlignment, reduce: Any, where: str) -> Any:
    """Read the genes of the list; a numpy array stays one, everything else becomes CSR."""
    blocks = iter_blocks(matrix, alignment, reduce=reduce, check=where)
    if not isinstance(matrix, np.ndarray):
        values = sp.vstack([block.matrix for block in blocks], format="csr")
        values.eliminate_zeros()
        values.sort_indices()
        return values
    dense = np.empty((matrix.shape[0], alignment.n_targets), np.float32)
    for block in blocks:
        dense[block.rows] = block.matrix.toarray()
    return dense


def _tell(
    alignment: GeneAlignment, few: np.ndarray, names: pd.Index, min_genes: int, *, drop: bool
) -> None:
    if few.all() and drop:
        msg = problem(
            f"a row with at least {min_genes:,} genes of the list",
            "none",
            "Lower `min_genes`, or check which genes were measured.",
        )
        raise ValueError(msg)
    if alignment.coverage < _WARN_COVERAGE:
        warn(
            f"{int(alignment.observed.sum()):,} of {alignment.n_targets:,} genes of the list found "
            f"({alignment.coverage:.0%}); the others are columns of zeros, which a model takes for "
            f"genes that are not expressed. Missing: {shorten(alignment.missing)}."
        )
    if few.any():
        done = "left out" if drop else f'flagged in obs["{FEW_GENES_KEY}"]'
        warn(
            f"{int(few.sum()):,} rows with fewer than {min_genes:,} genes of the list {done}: "
            f"{shorten(names[few])}."
        )
