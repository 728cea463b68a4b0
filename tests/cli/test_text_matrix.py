from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dtp_scvi.cli._text_matrix import is_text, read_matrix

GENES = ["CD34", "KIT", "ADGRG1"]
SAMPLES = ["s1", "s2"]


@pytest.fixture
def table() -> pd.DataFrame:
    """Genes in rows, one of them under an old symbol."""
    values = np.array([[1.5, 2.0], [0.0, 3.0], [4.0, 0.25]])
    return pd.DataFrame(values, index=["CD34", "KIT", "GPR56"], columns=SAMPLES)


def test_names_say_whether_it_is_text(tmp_path):
    for name in ("a.csv", "a.CSV.gz", "a.tsv", "a.txt"):
        assert is_text(tmp_path / name)
    for name in ("a.h5ad", "csv", "a.csv.h5ad"):
        assert not is_text(tmp_path / name)


def test_both_ways_round_give_the_same(tmp_path, table):
    table.to_csv(tmp_path / "rows.csv")
    table.T.to_csv(tmp_path / "columns.csv")
    rows, by_row = read_matrix(tmp_path / "rows.csv", GENES)
    columns, by_column = read_matrix(tmp_path / "columns.csv", GENES)
    for adata in (rows, columns):
        assert adata.obs_names.tolist() == SAMPLES
        assert adata.var_names.tolist() == ["CD34", "KIT", "GPR56"]
        assert np.array_equal(adata.X, table.T)
    counts = "3 of 3 model genes are named in the first {}, 0 in the first {}."
    assert by_row == f"Genes are in rows: {counts.format('column', 'line')}".replace(
        "0 in the first line", "0 in the first line"
    )
    assert by_column.startswith("Genes are in columns: 0 of 3 model genes")


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("zipped", [False, True])
def test_separators_and_compression_are_found(tmp_path, table, separator, zipped):
    text = table.to_csv(sep=separator).encode()
    # The name says nothing about either.
    (tmp_path / "x.txt").write_bytes(gzip.compress(text) if zipped else text)
    if zipped:
        (tmp_path / "x.txt").rename(tmp_path / "x.txt.gz")
    path = next(tmp_path.iterdir())
    assert np.array_equal(read_matrix(path, GENES)[0].X, table.T)


def test_a_header_without_a_corner_is_read(tmp_path, table):
    # As R's write.table leaves it.
    text = table.to_csv(sep="\t", header=False)
    (tmp_path / "r.tsv").write_text("s1\ts2\n" + text)
    adata, _ = read_matrix(tmp_path / "r.tsv", GENES)
    assert adata.obs_names.tolist() == SAMPLES
    assert np.array_equal(adata.X, table.T)


def test_a_text_column_can_name_the_genes(tmp_path, table):
    other = table.set_axis(["id1", "id2", "id3"])
    other.insert(1, "symbol", table.index)
    other.to_csv(tmp_path / "x.csv")
    adata, said = read_matrix(tmp_path / "x.csv", GENES, gene_key="symbol")
    assert adata.var["symbol"].tolist() == table.index.tolist()
    assert np.array_equal(adata.X, table.T)
    assert said.endswith("taken from column 'symbol'. Kept as notes: symbol.")
    with pytest.raises(ValueError, match=r"found id1, id2, id3 down .* by `gene_key`"):
        read_matrix(tmp_path / "x.csv", GENES)


def test_text_columns_beside_samples_become_obs(tmp_path, table):
    samples = table.T.assign(tissue=["blood", None])
    samples.to_csv(tmp_path / "x.csv")
    adata, _ = read_matrix(tmp_path / "x.csv", GENES)
    assert adata.n_vars == 3
    assert adata.obs["tissue"].iloc[0] == "blood"
    assert adata.obs["tissue"].isna().tolist() == [False, True]


def test_a_header_about_genes_is_never_scored(tmp_path, table):
    table.insert(0, "Entrez_Gene_Id", [947, 3815, 9289])
    table.to_csv(tmp_path / "x.csv")
    adata, said = read_matrix(tmp_path / "x.csv", GENES)
    assert adata.obs_names.tolist() == SAMPLES
    assert said.endswith("Kept as notes: Entrez_Gene_Id.")


def test_repeated_genes_are_kept(tmp_path, table):
    pd.concat([table, table.iloc[:1]]).to_csv(tmp_path / "x.csv")
    assert read_matrix(tmp_path / "x.csv", GENES)[0].var_names.tolist().count("CD34") == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no tab, comma or semicolon"),
        ("abc\ndef\n", "no tab, comma or semicolon in its first line"),
        ("gene,s1\nX1,1\nX2,2\n", r"names of the model's genes \(CD34.*found X1, X2 down and s1"),
        ("gene,s1\nCD34,low\n", r"Expected numbers in x\.csv"),
        ("gene,s1\nCD34,1,2,3\nKIT,1,2\n", r"x\.csv to be a table of genes and samples"),
    ],
)
def test_what_is_no_matrix_is_named(tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_matrix(tmp_path / "x.csv", GENES)


def test_damaged_gzip_is_named(tmp_path):
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"gene,s1\nCD34,1\n" * 99)[:-9])
    with pytest.raises(ValueError, match=r"x\.csv\.gz to be a table"):
        read_matrix(tmp_path / "x.csv.gz", GENES)


@settings(max_examples=15)
@given(arrays(np.float32, (3, 4), elements=st.floats(0, 1000, width=32)))
def test_values_come_through_unchanged(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("x") / "x.csv"
    pd.DataFrame(values, index=GENES, columns=list("abcd")).to_csv(path)
    assert np.array_equal(read_matrix(path, GENES)[0].X, values.T)
