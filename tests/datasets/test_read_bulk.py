from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtp_scvi.datasets import read_bulk

GENES = ["CD34", "KIT", "FLT3", "LYZ"]
VALUES = np.arange(8, dtype=float).reshape(4, 2) / 4


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(VALUES.copy(), index=GENES, columns=["s1", "s2"])


def report(adata) -> pd.DataFrame:
    return adata.uns["dtp_cohort"]["report"]


@pytest.mark.parametrize("suffix", ["csv", "tsv.gz", "txt"])
def test_both_ways_round_in_every_format_give_the_same(tmp_path, table, suffix):
    separator = "," if suffix == "csv" else "\t"
    for name, frame in (("rows", table), ("columns", table.T)):
        path = tmp_path / f"{name}.{suffix}"
        frame.to_csv(path, sep=separator)
        adata = read_bulk(path)
        assert adata.obs_names.tolist() == ["s1", "s2"]
        assert adata.var_names.tolist() == GENES
        assert adata.X.dtype == np.float32
        assert np.array_equal(adata.X, VALUES.T)
        assert adata.uns["dtp_cohort"]["orientation"].startswith(f"Genes are in {name}: ")
        assert adata.uns["dtp_cohort"]["files"]["name"].tolist() == [path.name]


def test_a_workbook_is_read(tmp_path, table):
    table.to_excel(tmp_path / "x.xlsx")
    assert np.array_equal(read_bulk(tmp_path / "x.xlsx").X, VALUES.T)


def test_sha256_is_that_of_the_file(tmp_path, table):
    import subprocess

    table.to_csv(tmp_path / "x.csv")
    said = subprocess.run(
        ["sha256sum", tmp_path / "x.csv"], capture_output=True, text=True, check=True
    )
    record = read_bulk(tmp_path / "x.csv").uns["dtp_cohort"]["files"]
    assert record["sha256"].tolist() == [said.stdout.split()[0]]
    assert record["bytes"].tolist() == [(tmp_path / "x.csv").stat().st_size]


HEADERS = ["Entrez_Gene_Id", "ENTREZ GENE ID", "hugo_symbol", "gene_id", "Description", "biotype",
           "Chromosome", "chr", "Length", "stable_id", "display_label"]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("transposed", [False, True])
def test_a_header_about_genes_never_becomes_a_sample(table, header, transposed):
    table.insert(0, header, [947, 3815, 2322, 4069])
    adata = read_bulk(table.T if transposed else table)
    assert adata.obs_names.tolist() == ["s1", "s2"]
    assert np.array_equal(adata.X, VALUES.T)
    assert adata.var[header].tolist() == [947, 3815, 2322, 4069]
    line = report(adata).loc[lambda r: r["id"] == header].iloc[0]
    assert (line["outcome"], line["reason"]) == (
        "dropped", "describes genes; now a column of var",
    )  # fmt: skip


def test_start_and_end_are_samples_unless_a_chromosome_is_beside_them(table):
    table.columns = ["start", "end"]
    assert read_bulk(table).obs_names.tolist() == ["start", "end"]
    table.insert(0, "chr", ["1", "4", "13", "12"])
    table["s3"] = 1.0
    assert read_bulk(table).obs_names.tolist() == ["s3"]


def test_text_rows_above_samples_in_rows_are_set_aside(table, tmp_path):
    other = pd.concat([pd.DataFrame([list("abcd")], ["Description"], GENES), table.T])
    other.to_csv(tmp_path / "x.csv")
    for source in (other, tmp_path / "x.csv"):
        adata = read_bulk(source)
        assert np.array_equal(adata.X, VALUES.T)
        assert adata.var["Description"].tolist() == list("abcd")


def test_symbols_name_genes_where_the_first_column_is_numbers(table, tmp_path):
    table = table.reset_index(names="Hugo_Symbol")
    by_row_number = read_bulk(table)
    table.insert(0, "Entrez_Gene_Id", [947, 3815, 2322, 4069])
    table.to_csv(tmp_path / "x.csv", index=False)
    by_entrez = read_bulk(tmp_path / "x.csv")
    for adata in (by_row_number, by_entrez):
        assert adata.var_names.tolist() == GENES
        assert adata.obs_names.tolist() == ["s1", "s2"]
    assert by_entrez.var["Entrez_Gene_Id"].astype(int).tolist() == [947, 3815, 2322, 4069]


def test_repeated_symbols_keep_their_ensembl_ids(expression):
    table = expression.set_index("stable_id")
    adata = read_bulk(table, gene_key="display_label")
    assert adata.var_names.tolist() == [
        "FLT3", "CD34", "KIT", "ENSG00000000004", "ENSG00000000005",
    ]  # fmt: skip
    assert adata.var["stable_id"].tolist() == table.index.tolist()
    assert read_bulk(table).var_names.tolist() == table.index.tolist()


def test_orientation_can_be_told(table):
    table = table.set_axis(["a", "b", "c", "d"])
    with pytest.raises(ValueError, match=r"names of known genes .* found a, b, c .* s1, s2"):
        read_bulk(table)
    adata = read_bulk(table, orientation="genes_in_rows")
    assert adata.shape == (2, 4)
    assert read_bulk(table, orientation="genes_in_columns").shape == (4, 2)


def test_genes_on_both_sides_are_no_guess(table):
    square = table.T.set_axis(["CD33", "CD38"])
    with pytest.raises(ValueError, match=r"genes along one side .* Set `orientation`"):
        read_bulk(square)
    assert read_bulk(square, genes=GENES).obs_names.tolist() == ["CD33", "CD38"]


def test_missing_values_stay_and_are_said(table):
    table.loc["KIT", "s2"] = np.nan
    adata = read_bulk(table)
    assert np.isnan(adata["s2", "KIT"].X).all()
    assert np.isnan(adata.X).sum() == 1
    lines = report(adata).set_index("id")["reason"]
    assert lines["s2"] == "1 of 4 values are missing"
    assert lines["all"] == "1 genes miss values in 1 samples: KIT"


def test_text_and_infinity_are_named_by_place(table):
    mixed = table.astype(object)
    mixed.loc["KIT", "s2"] = "low"
    with pytest.raises(ValueError, match=r"numbers in DataFrame; found 'low' for KIT, s2 \(1 "):
        read_bulk(mixed)
    table.loc["FLT3", "s1"] = np.inf
    with pytest.raises(ValueError, match="finite numbers in DataFrame; found inf for FLT3, s1"):
        read_bulk(table)


def test_decimal_commas_are_refused(tmp_path):
    # All of s1 would pass for text.
    (tmp_path / "x.csv").write_text("gene;s1;s2\nCD34;1,5;2\nKIT;1,25;3\n")
    with pytest.raises(ValueError, match=r"found '1,5' for CD34, s1 .* decimal sign"):
        read_bulk(tmp_path / "x.csv")


@pytest.mark.parametrize("in_rows", [True, False])
def test_a_sample_twice_is_refused(tmp_path, table, in_rows):
    twice = pd.concat([table, table[["s1"]]], axis=1)
    (twice if in_rows else twice.T).to_csv(tmp_path / "x.csv")
    with pytest.raises(
        ValueError, match=r"every sample of x\.csv once; found 1 twice or more: s1"
    ):
        read_bulk(tmp_path / "x.csv")


def test_repeated_genes_stay_and_are_said(tmp_path, table):
    twice = pd.concat([table, table.loc[["KIT"]]])
    twice.T.to_csv(tmp_path / "x.csv")
    adata = read_bulk(tmp_path / "x.csv")
    assert adata.var_names.tolist() == [*GENES, "KIT"]
    line = report(adata).iloc[0]
    assert (line["id"], line["rows"], line["outcome"]) == ("KIT", 2, "kept")


def test_gene_key_is_checked(table):
    with pytest.raises(KeyError, match="`gene_key` to name a key"):
        read_bulk(table, gene_key="symbol")
    with pytest.raises(ValueError, match="`gene_key` with genes in rows only"):
        read_bulk(table.T, gene_key="symbol")
    with pytest.raises(ValueError, match="`orientation` to be one of"):
        read_bulk(table, orientation="rows")
    with pytest.raises(ValueError, match="a name in column 'symbol' for every gene; found none"):
        read_bulk(table.assign(symbol=["A1BG", None, "FLT3", "LYZ"]), gene_key="symbol")


def test_no_file_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="a table of genes and samples"):
        read_bulk(tmp_path / "x.csv")


def test_the_result_is_written_and_read_back(tmp_path, table):
    table.insert(0, "Description", ["a", None, "c", "d"])
    table.loc["KIT", "s2"] = np.nan
    adata = read_bulk(table)
    adata.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad")
    assert np.array_equal(back.X, adata.X, equal_nan=True)
    assert back.var["Description"].isna().tolist() == [False, True, False, False]
    pd.testing.assert_frame_equal(back.uns["dtp_cohort"]["report"], report(adata))


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(4)), st.permutations(range(3)), st.booleans())
def test_order_of_rows_and_columns_does_not_matter(rows, columns, transposed):
    table = pd.DataFrame(
        {"s1": VALUES[:, 0], "Entrez_Gene_Id": [1, 2, 3, 4], "s2": VALUES[:, 1]}, index=GENES
    )
    mixed = table.iloc[list(rows), list(columns)]
    adata = read_bulk(mixed.T if transposed else mixed)
    assert np.array_equal(adata[["s1", "s2"], GENES].X, VALUES.T)
