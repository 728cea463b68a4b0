"""What an autoencoder is trained on and asked about: expression, or an embedding in ``obsm``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from dtp_scvi._constants import SIMULATION_KEY
from dtp_scvi._labels import text_column
from dtp_scvi._scvi import embedding_names
from dtp_scvi._validate import check_key, check_one_of, matrix_name, problem, shorten
from dtp_scvi.data import (
    SIGNED,
    GeneAlignment,
    Scale,
    align_genes,
    check_matrix,
    check_object,
    check_same_options,
    embedding_record,
    gene_names,
    get_matrix,
    iter_blocks,
    resolve_scale,
)
from dtp_scvi.model._query import Missing, Query
from dtp_scvi.model._registration import check_gene_names, check_in_memory
from dtp_scvi.train import DenseRows, log_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData

# A CSR matrix with more nonzeros than this is larger than a dense one.
_DENSE_SHARE = 0.5


def embedding(adata: AnnData, key: str, argument: str = "obsm_key") -> tuple[Any, np.ndarray]:
    """Return the matrix in ``adata.obsm[key]`` and the names of its columns."""
    check_key(adata.obsm, key, "adata.obsm", argument)
    table = adata.obsm[key]
    names = embedding_names(table, key)
    return (table.to_numpy(np.float32) if isinstance(table, pd.DataFrame) else table), names


def query_embedding(
    adata: AnnData, key: str, trained: Mapping[str, Any]
) -> tuple[Any, np.ndarray]:
    """Return an embedding and its names; raise where it was made unlike that of training."""
    found = embedding(adata, key)
    check_same_options(trained, embedding_record(adata, key), key=f"adata.obsm[{key!r}]")
    return found


@dataclass(frozen=True)
class VAESetup:
    """Where an AnnData keeps what a model is trained on."""

    scale: Scale
    names: np.ndarray


def check_vae_data(
    adata: AnnData,
    *,
    layer: str | None,
    obsm_key: str | None,
    scale: str,
    donor_key: str | None,
) -> VAESetup:
    """Check everything that an autoencoder needs; raise before anything is written."""
    check_object(adata)
    if donor_key is not None:
        text_column(adata.obs, donor_key, "donor_key")
    if obsm_key is not None:
        if layer is not None:
            msg = problem("`layer` or `obsm_key`", "both", "Leave one of them out.")
            raise ValueError(msg)
        check_one_of(str(scale), ("auto", str(Scale.AS_IS)), "scale")
        matrix, names = embedding(adata, obsm_key)
        check_matrix(matrix, name=f"adata.obsm[{obsm_key!r}]", negative=True)
        return VAESetup(Scale.AS_IS, names)
    check_in_memory(adata)
    check_gene_names(adata)
    matrix = get_matrix(adata, layer)
    where = matrix_name(layer)
    found = resolve_scale(matrix, scale, name=where, values=True)
    check_matrix(matrix, name=where, negative=found in SIGNED)
    return VAESetup(found, np.asarray(adata.var_names, dtype=str))


def panel_of(names: np.ndarray, genes: Sequence[str] | None) -> np.ndarray:
    """Return the inputs that a model takes of those that were registered."""
    if genes is None:
        return names
    wanted = np.asarray(list(genes), dtype=str)
    if len(set(wanted)) < len(wanted):
        msg = problem(
            "each gene of `genes` once", f"{len(wanted):,} names with repeats", "Drop them."
        )
        raise ValueError(msg)
    absent = np.setdiff1d(wanted, names)
    if len(absent) or not len(wanted):
        msg = problem(
            "`genes` among the names that were set up",
            f"{len(absent):,} of {len(wanted):,} that are not ({shorten(absent)})",
            "Take names of adata.var_names; see dtp_scvi.pp.align_genes for other spellings.",
        )
        raise ValueError(msg)
    return wanted


def read_inputs(
    adata: AnnData, arguments: Mapping[str, Any], genes: np.ndarray, which: np.ndarray
) -> DenseRows:
    """Read the rows at ``which``, normalised over all genes and cut to the model's inputs."""
    key = arguments["obsm_key"]
    if key is not None:
        matrix, names = embedding(adata, key)
        columns = pd.Index(names).get_indexer(genes)
        values = matrix[which]
        values = values.toarray() if sp.issparse(values) else np.asarray(values)
        return DenseRows(np.ascontiguousarray(values[:, columns], dtype=np.float32))
    scale = Scale(arguments["scale"])
    # As for a query, so that an alias of a panel gene counts in both or in neither.
    alignment = align_genes(gene_names(adata), genes)
    matrix = get_matrix(adata, arguments["layer"])
    blocks = iter_blocks(matrix, alignment, scale=scale, indices=which)
    parts = [log_rows(block.matrix, block.total, scale) for block in blocks]
    rows = sp.vstack(parts, format="csr", dtype=np.float32)
    dense = rows.nnz > _DENSE_SHARE * rows.shape[0] * rows.shape[1]
    return DenseRows(rows.toarray() if dense else rows)


def same_genes(names: Sequence[str], genes: np.ndarray) -> GeneAlignment:
    """Match inputs that are spelled alike on both sides; all of ``genes`` are among ``names``."""
    position = pd.Index(genes).get_indexer(np.asarray(names, dtype=str))
    source = np.flatnonzero(position >= 0)
    rest = np.asarray(names, dtype=str)[position < 0]
    return GeneAlignment(
        targets=tuple(genes.tolist()),
        query=tuple(str(name) for name in names),
        source=source,
        target=position[source],
        missing=(),
        duplicated={},
        ambiguous=(),
        renamed={},
        damaged=(),
        unmatched=tuple(rest.tolist()),
    )


def align_embedding(
    key: str, names: np.ndarray, inputs: np.ndarray, *, named: bool
) -> GeneAlignment:
    """Match the columns of an embedding: by name in a data frame, else by number."""
    if named and set(names) >= set(inputs):
        return same_genes(names.tolist(), inputs)
    if len(names) != len(inputs) or named:
        what = "columns of other names" if len(names) == len(inputs) else f"{len(names):,} columns"
        msg = problem(
            f"the {len(inputs):,} columns of the model in adata.obsm[{key!r}]",
            what,
            "Pass the embedding of the network that the training rows were embedded by.",
        )
        raise ValueError(msg)
    return same_genes(inputs.tolist(), inputs)


def embedding_query(
    adata: AnnData, key: str, trained: Mapping[str, Any], inputs: np.ndarray, missing: Missing
) -> Query:
    """Find the inputs of a model in ``adata.obsm[key]``."""
    matrix, names = query_embedding(adata, key, trained)
    named = isinstance(adata.obsm[key], pd.DataFrame)
    alignment = align_embedding(key, names, inputs, named=named)
    return Query(matrix, Scale.AS_IS, alignment, missing, name=f"adata.obsm[{key!r}]")


def describe_rows(
    adata: AnnData, arguments: Mapping[str, Any], rows: DenseRows, donors: np.ndarray | None
) -> dict[str, Any]:
    """Return numbers about the training rows that name no cell."""
    values = rows.values
    parts = (
        (values,)
        if isinstance(values, np.ndarray)
        else (values.indptr, values.indices, values.data)
    )
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).data)
    found: dict[str, Any] = {
        "n_rows": values.shape[0],
        "n_inputs": values.shape[1],
        "layer": arguments["layer"],
        "obsm_key": arguments["obsm_key"],
        "scale": str(arguments["scale"]),
        "donor_key": arguments["donor_key"],
        "simulated": SIMULATION_KEY in adata.uns,
        "sha256_inputs": digest.hexdigest(),
    }
    return found if donors is None else found | {"n_donors": len(set(donors))}
