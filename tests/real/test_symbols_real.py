"""Public files meet by gene name; the bundled table agrees with another release of HGNC."""

from __future__ import annotations

import anndata as ad
import pandas as pd
import pytest

from dtp_scvi.data import SymbolResolver, align_genes, gene_names, iter_blocks, read_gmt


@pytest.fixture
def read(path_of):
    """Open a file without reading its matrix."""
    return lambda name: ad.read_h5ad(path_of(name), backed="r")


@pytest.mark.parametrize("gene_key", [None, "ensembl_id"])
def test_versioned_ensembl_ids_meet_symbols(gene_key, read):
    names = gene_names(read("bulk"), gene_key)
    alignment = align_genes(names, gene_names(read("vangalen")))
    assert alignment.coverage > 0.85
    assert not alignment.damaged


def test_all_seventeen_lsc_genes_are_found_in_every_file(read, lsc17):
    for name in ("vangalen", "bulk"):
        assert align_genes(gene_names(read(name)), lsc17["gene"]).missing == ()


def test_bundled_table_agrees_with_another_release(path_of):
    path = path_of("priors/hgnc_symbol_map.tsv.gz")
    pairs = pd.read_csv(path, sep="\t").dropna()
    names = pairs["Symbol"].drop_duplicates(keep=False)
    ours = SymbolResolver.bundled().resolve(names)
    theirs = SymbolResolver.from_pairs(path).resolve(names)
    both = ours["symbol"].notna() & theirs["symbol"].notna()
    assert both.mean() > 0.9
    assert (ours["symbol"] == theirs["symbol"])[both].mean() > 0.95


def test_every_symbol_a_spreadsheet_damaged_is_recognised(path_of):
    table = pd.read_csv(path_of("priors/excel_damaged_symbols.csv"))
    found = SymbolResolver.bundled().resolve(table["mogrified"])
    assert set(found["how"]) == {"spreadsheet"}
    named = [o in c for o, c in zip(table["original"], found["candidates"], strict=True)]
    assert all(named)


def test_damaged_gene_sets_are_reported(path_of):
    with pytest.warns(UserWarning, match="42617"):
        sets = read_gmt(path_of("signatures/dtp_signatures_barozzi_compiled.gmt"))
    assert len(sets) == 32
    assert len(read_gmt(path_of("signatures/h.all.v7.0.symbols.gmt"))) == 50


def test_backed_file_streams_like_memory(read, fresh):
    adata = fresh("pbmc")
    alignment = align_genes(gene_names(adata), gene_names(read("vangalen"))[::20])
    pairs = zip(
        iter_blocks(adata.X, alignment, max_bytes=2**20),
        iter_blocks(read("pbmc").X, alignment, max_bytes=2**20),
        strict=True,
    )
    for memory, backed in pairs:
        assert (memory.matrix != backed.matrix).nnz == 0
        assert (memory.total == backed.total).all()
