from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from dtp_scvi.pp import to_gene_list

LIST = ["KIT", "ADGRG1", "CD34", "FAM30A", "CD44"]
# An old symbol, a gene twice under two names, and one that is not on the list.
COLUMNS = ["CD34", "GPR56", "ADGRG1", "XYZ", "KIAA0125", "CD44"]
COUNTS = np.array([[1, 2, 4, 8, 16, 32], [0, 0, 3, 9, 0, 1]], np.float32)
EXPECTED = np.array([[0, 6, 1, 16, 32], [0, 3, 0, 0, 1]], np.float32)


def make(x=COUNTS, names=COLUMNS):
    var = pd.DataFrame(index=[f"v{i}" for i in range(len(names))]).assign(symbol=names)
    obs = pd.DataFrame({"state": ["a", "b"]}, index=["c0", "c1"])
    return ad.AnnData(x, obs=obs, var=var, obsm={"X_pca": np.ones((2, 3))})


def run(adata, genes=LIST, **kwargs):
    return to_gene_list(adata, genes, **{"gene_key": "symbol", "min_genes": 0, **kwargs})


def dense(x):
    return x.toarray() if sp.issparse(x) else np.asarray(x)


@pytest.mark.parametrize(
    ("store", "kept"),
    [
        (np.array, np.ndarray),
        (lambda x: x.astype(int), np.ndarray),
        (sp.csr_matrix, sp.csr_matrix),
        (sp.csc_matrix, sp.csr_matrix),
        (sp.csr_array, sp.csr_matrix),
    ],
)
def test_columns_by_name_in_the_order_of_the_list(store, kept):
    adata = make(store(COUNTS))
    out = run(adata)
    np.testing.assert_array_equal(dense(out.X), EXPECTED)
    assert isinstance(out.X, kept)
    assert out.X.dtype == np.float32
    assert out.var_names.tolist() == LIST
    assert out.var["missing"].tolist() == [True, False, False, False, False]
    assert out.obs["state"].tolist() == ["a", "b"]
    assert out.obsm["X_pca"].shape == (2, 3)
    np.testing.assert_array_equal(dense(adata.X), COUNTS)
    assert "few_genes" not in adata.obs


def test_backed_and_layer(tmp_path):
    adata = make(sp.csr_matrix(COUNTS))
    adata.layers["twice"] = 2 * adata.X
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    np.testing.assert_array_equal(dense(run(backed).X), EXPECTED)
    np.testing.assert_array_equal(dense(run(backed, layer="twice").X), 2 * EXPECTED)
    backed.file.close()


@given(order=st.permutations(range(6)), genes=st.permutations(LIST))
def test_the_order_of_columns_and_list_is_free(order, genes):
    order = np.array(order)
    out = run(make(COUNTS[:, order], [COLUMNS[i] for i in order]), genes)
    where = [LIST.index(gene) for gene in genes]
    np.testing.assert_array_equal(out.X, EXPECTED[:, where])


def test_a_file_and_what_is_recorded(tmp_path):
    path = tmp_path / "list.tsv"
    path.write_text("gene_name\tindex\n" + "".join(f"{g}\t{i}\n" for i, g in enumerate(LIST)))
    out = run(make(), path)
    record = out.uns["dtp_gene_list"]
    assert record["missing"].tolist() == ["KIT"]
    assert record["alignment"]["duplicated"] == ["GPR56, ADGRG1 -> ADGRG1"]
    assert record["alignment"]["coverage"] == 0.8
    assert record["dropped"].tolist() == []
    out.write_h5ad(tmp_path / "out.h5ad")
    back = ad.read_h5ad(tmp_path / "out.h5ad")
    assert back.uns["dtp_gene_list"]["missing"].tolist() == ["KIT"]
    assert back.uns["dtp_gene_list"]["digest"] == record["digest"]
    assert run(make()).uns["dtp_gene_list"]["digest"] == record["digest"]
    assert run(make(), LIST[::-1]).uns["dtp_gene_list"]["digest"] != record["digest"]


def test_duplicates():
    assert run(make(), duplicates="mean").X[:, 1].tolist() == [3.0, 1.5]
    with pytest.raises(ValueError, match=r"several for ADGRG1 \(GPR56, ADGRG1\)"):
        run(make(), duplicates="error")


def test_logarithms_are_not_summed():
    rng = np.random.default_rng(0)
    names = ["GPR56", "ADGRG1", *(f"G{i}" for i in range(200))]
    counts = rng.poisson(3.0, (60, len(names)))
    logs = np.log1p(1e4 * counts / counts.sum(1, keepdims=True)).astype(np.float32)
    adata = ad.AnnData(logs, var=pd.DataFrame(index=names))
    genes = ["ADGRG1", *names[2:]]
    with pytest.raises(ValueError, match=r"linear values in adata.X.*found logarithms"):
        to_gene_list(adata, genes, min_genes=0)
    out = to_gene_list(adata, genes, min_genes=0, duplicates="mean")
    np.testing.assert_allclose(out.X[:, 0], logs[:, :2].mean(1), rtol=1e-6)
    # Without duplicates nothing is summed.
    assert to_gene_list(adata, names[2:], min_genes=0).shape == (60, 200)


def test_rows_with_few_genes_are_flagged_or_dropped():
    with pytest.warns(UserWarning, match=r"1 rows with fewer than 3 genes .* flagged in .*c1"):
        out = run(make(), min_genes=3)
    assert out.obs["few_genes"].tolist() == [False, True]
    with pytest.warns(UserWarning, match="left out: c1"):
        out = run(make(), min_genes=3, drop_cells=True)
    assert out.obs_names.tolist() == ["c0"]
    assert out.uns["dtp_gene_list"]["dropped"].tolist() == ["c1"]
    assert out.uns["dtp_gene_list"]["n_few_genes"] == 1
    with pytest.raises(ValueError, match="a row with at least 50 genes"):
        run(make(), min_genes=50, drop_cells=True)


def test_two_hundred_genes_by_default():
    with pytest.warns(UserWarning, match="2 rows with fewer than 200 genes"):
        to_gene_list(make(), LIST, gene_key="symbol")


def test_coverage():
    with pytest.warns(UserWarning, match=r"4 of 6 genes of the list found \(67%\).*Missing: KIT"):
        run(make(), [*LIST, "MYC"])
    with pytest.raises(ValueError, match=r"coverage 80%.*floor is 90%"):
        run(make(), min_coverage=0.9)


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"genes": []}, ValueError, "at least one model gene"),
        ({"genes": ["CD34", "CD34"]}, ValueError, "repeats of CD34"),
        ({"genes": "no_such_file.txt"}, FileNotFoundError, "a list of genes, one a line at"),
        ({"gene_key": "name"}, KeyError, "`gene_key` to name a key"),
        ({"layer": "counts"}, KeyError, "`layer` to name a key"),
        ({"duplicates": "first"}, ValueError, "`duplicates` to be one of"),
        ({"min_coverage": 2}, ValueError, "`min_coverage` in"),
        ({"min_genes": -1}, ValueError, "`min_genes` in"),
    ],
)
def test_bad_arguments(kwargs, error, match):
    with pytest.raises(error, match=match):
        run(make(), **kwargs)


def test_negative_values():
    with pytest.raises(ValueError, match="1 negative values"):
        run(make(np.where(COUNTS == 9, -1, COUNTS)))
