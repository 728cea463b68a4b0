"""Real files on the gene list of scFoundation, and as rank-value tokens."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import dtp_scvi as dtp


@pytest.mark.parametrize("name", ["pbmc", "vangalen"])
def test_aliases_find_most_of_the_list(name, path_of):
    adata = ad.read_h5ad(path_of(name))
    path = path_of("priors/scfoundation_19264_genes.txt")
    genes = path.read_text(encoding="utf-8").split()
    listed = dtp.pp.to_gene_list(adata, path, min_genes=0)
    assert listed.var_names.tolist() == genes
    assert 1 - listed.var["missing"].mean() > 0.97
    exact = adata.var_names.isin(genes)
    # Columns that are on the list under their own name stay as they are, or gain from an alias.
    own = adata.var_names[exact]
    gained = listed[:, own].X.sum(axis=0) - adata[:, own].X.sum(axis=0)
    assert gained.min() >= 0
    assert (np.asarray(gained) == 0).mean() > 0.99
    assert listed.X.sum() > adata[:, own].X.sum()


def test_versioned_ids_of_bulk_meet_the_symbols(path_of):
    adata = ad.read_h5ad(path_of("bulk"))
    listed = dtp.pp.to_gene_list(adata, path_of("priors/scfoundation_19264_genes.txt"))
    assert 1 - listed.var["missing"].mean() > 0.99
    assert not listed.obs["few_genes"].any()


def test_tokens_of_real_cells(path_of):
    adata = ad.read_h5ad(path_of("pbmc"))[:100].copy()
    counts = adata.X.toarray().astype(float)
    share = 1e4 * counts / counts.sum(axis=1, keepdims=True)
    genes = np.flatnonzero((counts > 0).any(axis=0))
    medians = {adata.var_names[g]: np.median(share[counts[:, g] > 0, g]) for g in genes}
    dtp.pp.rank_tokens(adata, medians, n_tokens=50)
    value = share[:, genes] / np.array(list(medians.values()))
    for row, tokens in zip(value, adata.obsm["X_rank_tokens"], strict=True):
        ranked = row[tokens - 2]
        assert (np.diff(ranked) <= 1e-9).all()
        assert ranked[-1] + 1e-9 >= np.delete(row, tokens - 2).max()
