"""Gene sets as a network: formats, symbols, damage, and what is refused."""

from __future__ import annotations

import gzip

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtp_scvi.data import as_network, damaged_symbols, match_network, read_network

GENES = ["CD34", "KIT", "FLT3", "CD33", "MPO", "ELANE", "LYZ", "SPI1", "GATA2", "MYB"]


def test_gmt_becomes_rows_of_weight_one(tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("B\tna\tCD34\tGPR56\nA\thttp://x\tKIT\n")
    net = read_network(path)
    assert net["source"].tolist() == ["B", "B", "A"]
    assert net["target"].tolist() == ["CD34", "ADGRG1", "KIT"]
    assert net["original"].tolist() == ["CD34", "GPR56", "KIT"]
    assert net["weight"].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("ending", "comma"), [("csv", ","), ("tsv", "\t"), ("txt", "\t")])
@pytest.mark.parametrize("header", ["source,target,weight", "Pathway,Gene_Symbol,Coefficient"])
def test_tables_are_read_under_the_names_in_use(tmp_path, ending, comma, header):
    path = tmp_path / f"net.{ending}"
    text = f"{header}\nA,CD34,0.5\nB,KIAA0125,-2\n"
    path.write_text(text.replace(",", comma))
    net = read_network(path)
    assert net[["source", "target", "weight"]].to_numpy().tolist() == [
        ["A", "CD34", 0.5],
        ["B", "FAM30A", -2.0],
    ]


def test_a_signature_is_named_after_its_file_or_as_asked(tmp_path):
    path = tmp_path / "LSC17.csv"
    path.write_text("gene,alias,coefficient\nCD34,,0.0338\nGPR56,ADGRG1,0.0501\n")
    assert read_network(path)["source"].unique().tolist() == ["LSC17"]
    net = read_network(path, name="mine")
    assert net["source"].unique().tolist() == ["mine"]
    assert net["weight"].tolist() == [0.0338, 0.0501]


def test_gzipped_files_are_read(tmp_path):
    path = tmp_path / "sets.gmt.gz"
    with gzip.open(path, "wt") as handle:
        handle.write("A\tna\tCD34\tKIT\n")
    assert read_network(path)["target"].tolist() == ["CD34", "KIT"]


def test_symbols_that_look_like_missing_values_are_names(tmp_path):
    path = tmp_path / "net.csv"
    path.write_text("source,target\nA,NA\nA,CD34\n")
    assert read_network(path)["original"].tolist() == ["NA", "CD34"]


def test_decoupler_takes_the_network():
    net = as_network({"A": GENES[:5], "B": GENES[3:9]})
    with mpl.rc_context():  # a dependency of decoupler sets plotting defaults when imported
        dc = pytest.importorskip("decoupler")
    assert len(dc.pp.prune(np.array(GENES), net, tmin=5)) == len(net)


def test_names_of_one_gene_in_a_set_are_one_row():
    net = as_network({"A": ["FAM30A", "KIAA0125", "CD34"], "B": ["KIAA0125"]})
    assert net[["source", "target"]].to_numpy().tolist() == [
        ["A", "FAM30A"],
        ["A", "CD34"],
        ["B", "FAM30A"],
    ]


@given(st.lists(st.sampled_from([*GENES, "GPR56", "NOSUCH", "1-Mar"]), min_size=1, max_size=8))
@pytest.mark.filterwarnings("ignore:.*turned into dates:UserWarning")
def test_resolving_again_changes_nothing(genes):
    net = as_network({"A": genes})
    pd.testing.assert_frame_equal(as_network(net), net)


def test_damaged_symbols_are_named_with_set_and_gene(tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("UP\tna\tCD34\t42617\t1-Mar\nDOWN\tna\t4-Sep\tKIT\n")
    with pytest.warns(
        UserWarning, match=r"3 symbols were turned .*42617 in UP \(SEPTIN4\).*2 can only be one"
    ):
        net = read_network(path)
    found = damaged_symbols(net).set_index("original")
    assert found["source"].to_dict() == {"42617": "UP", "1-Mar": "UP", "4-Sep": "DOWN"}
    assert found["symbol"].to_dict() == {"42617": "SEPTIN4", "1-Mar": "", "4-Sep": "SEPTIN4"}
    assert {"MARCHF1", "MTARC1"} <= set(found.loc["1-Mar", "candidates"].split("|"))
    # What can be several genes matches none of them.
    assert net.loc[net["original"] == "1-Mar", "target"].item() == "1-Mar"


def test_damaged_symbols_need_a_resolved_network():
    with pytest.raises(KeyError, match=r"the column 'source'.*data.read_network"):
        damaged_symbols(pd.DataFrame({"target": ["CD34"]}))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.gmt", "source,target\nA,CD34\n", "1 fields in a.gmt, line 1"),
        ("a.gmt", "<!DOCTYPE html>\n<html>\n", "1 fields in a.gmt, line 1"),
        ("a.csv", "", "a.csv to be a table"),
        ("a.csv", "source,target\n", "gene sets; found none"),
        ("a.xlsx", "x", "a .gmt, .csv, .tsv or .txt file; found a.xlsx"),
        (
            "a.csv",
            "gene,weight\nCD34,high\n",
            "finite weights other than 0; found 'high' for CD34",
        ),
        ("a.csv", "gene,weight\nCD34,0\n", "finite weights other than 0; found '0' for CD34"),
        (
            "a.csv",
            "source,target\nA,\nA,KIT\n",
            r"a gene in every row; found none in 1 \(first: 0",
        ),
        ("a.csv", "source,target\n,KIT\n", "a set in every row"),
        ("a.csv", "gene,weight\nGPR56,1\nADGRG1,2\n", "one weight of ADGRG1 in a; found several"),
    ],
)
def test_bad_files_are_named(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_network(path)


@pytest.mark.parametrize("name", ["a.gmt", "a.csv", "a.gmt.gz"])
def test_a_binary_file_is_no_network(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x89HDF\r\n\x1a\n\xff\xfe\x00\x81")
    with pytest.raises(ValueError, match=f"{name} to be a"):
        read_network(path)


def test_a_table_without_genes_says_what_it_has(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("pathway;targets\nA;CD34\n")
    with pytest.raises(KeyError, match="a column of genes; found pathway;targets"):
        read_network(path)


def test_an_absent_file_offers_its_neighbours(tmp_path):
    (tmp_path / "hallmark.gmt").write_text("A\tna\tKIT\n")
    with pytest.raises(FileNotFoundError, match=r"Did you mean hallmark\.gmt"):
        read_network(tmp_path / "halmark.gmt")


def test_sets_of_another_type_are_refused():
    with pytest.raises(TypeError, match="gene sets as a mapping, a table or a path; found list"):
        as_network(["CD34"])
    with pytest.raises(TypeError, match="a list of genes for set 'A'; found 'CD34'"):
        as_network({"A": "CD34"})


def test_a_match_counts_what_is_in_the_background():
    net = as_network({"A": {"CD34": 3.0, "KIT": -1.0, "ADGRG1": 1.0}, "B": ["MPO", "LYZ"]})
    match = match_network(net, ["GPR56", "CD34", "MPO", "B2M", ""], background=[*GENES, "GPR56"])
    table = match.table.set_index("source")
    assert match.genes.tolist() == ["ADGRG1", "CD34", "MPO"]
    assert table["n_found"].to_dict() == {"A": 2, "B": 1}
    assert table["share_found"].tolist() == [2 / 3, 1 / 2]
    assert table["share_weight_found"].tolist() == [4 / 5, 1 / 2]
    assert match.n_outside == len(GENES) - 2
    assert match.weights.toarray().tolist() == [[1.0, 0.0], [3.0, 0.0], [0.0, 1.0]]


@given(st.permutations([*GENES[:6], "B2M", "ACTB", "CD34"]))
def test_the_order_of_the_genes_does_not_matter(names):
    match = match_network(as_network({"A": GENES[:4], "B": GENES[4:]}), names)
    value = {name: float(k) for k, name in enumerate(sorted(set(names)))}
    values = np.array([value[name] for name in names]) @ match.collapse
    # The gene that is there twice counts once, with the mean of its columns.
    assert values.tolist() == [value[gene] for gene in match.genes]
    assert match.table["n_found"].tolist() == [4, 2]


def test_no_overlap_shows_both_sides():
    net = as_network({"A": ["CD34", "KIT"]})
    with pytest.raises(
        ValueError,
        match=r"gene symbols: CD34, KIT\) in the data; found none among Ensembl ids: ENSG",
    ):
        match_network(net, ["ENSG00000000003", "ENSG00000000005"])
    with pytest.raises(ValueError, match=r"background \(MPO\) in the data; found none among CD34"):
        match_network(net, ["CD34", "KIT"], background=["MPO"])
    with pytest.raises(ValueError, match="genes in the data; found none"):
        match_network(net, ["", ""])
