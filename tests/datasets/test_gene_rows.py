"""Rows of evidence are named by approved symbols, and what is lost is said."""

from __future__ import annotations

import copy
import json

import pandas as pd
import pytest

from dtp_scvi.datasets import read_hpa_consensus
from dtp_scvi.datasets._evidence_file import pick_tissues
from dtp_scvi.datasets._gene_rows import gene_columns, name_genes, release_of


def wide(names, values=None, **more):
    return pd.DataFrame({"Gene": names, **more, "liver": values or list(range(len(names)))})


def test_ids_decide_before_symbols_and_symbols_fill_in():
    names = name_genes(["MYC", "KIT"], ["ENSG00000122025.16", "nan"], "t")
    assert names.symbol.tolist() == ["FLT3", "KIT"]
    assert names.report["how"] == {"ensembl": 1, "exact": 1}


def test_aliases_and_casing_of_open_reading_frames():
    table = read_hpa_consensus(wide(["C1ORF122", "C19orf77", "KIAA0125", "NOTAGENE"]))
    assert table.index.tolist() == ["C1orf122", "SMIM24", "FAM30A"]
    report = table.attrs["dtp_report"]
    assert (report["rows"], report["matched"], report["genes"]) == (4, 3, 3)
    assert report["unmatched"] == ["NOTAGENE"]


def test_approved_symbol_stays_and_an_older_name_of_it_is_listed():
    table = read_hpa_consensus(wide(["GPR56", "ADGRG1"], [9.0, 1.0]))
    assert table.loc["ADGRG1", "liver"] == 1.0
    assert table.attrs["dtp_report"]["superseded"] == ["GPR56 (ADGRG1)"]


def test_equally_named_rows_are_merged_by_the_rule():
    table = read_hpa_consensus(wide(["KIT", "MYC", "KIT"], [1.0, 2.0, 5.0]))
    assert table["liver"].to_dict() == {"KIT": 5.0, "MYC": 2.0}
    assert table.attrs["dtp_report"]["merged"] == ["KIT"]
    assert table.attrs["dtp_report"]["merge_rule"] == "highest value in each tissue"


def test_damaged_symbols_are_named():
    with pytest.warns(UserWarning, match=r"2 gene names of DataFrame look like dates.*1-Mar"):
        table = read_hpa_consensus(wide(["KIT", "1-Mar", "2-Sep"]))
    assert table.attrs["dtp_report"]["damaged"] == ["1-Mar", "2-Sep"]


def test_nothing_that_is_a_gene_is_an_error():
    with pytest.raises(
        ValueError, match=r"names of human genes in DataFrame; found none.*gene_a, gene_b"
    ):
        read_hpa_consensus(wide(["gene_a", "gene_b"]))
    with pytest.raises(ValueError, match="a column with gene symbols or Ensembl ids in t"):
        gene_columns(pd.DataFrame({"liver": [1.0]}), "t")


def test_report_survives_copies_concatenation_and_json():
    table = read_hpa_consensus(wide(["KIT", "MYC"]))
    both = pd.concat([table, table.copy()])
    assert both.attrs == table.attrs
    assert json.loads(json.dumps(table.attrs)) == copy.deepcopy(table.attrs)


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("CRISPRGeneEffect_24q4.csv", "24Q4"),
        ("GTEx_Analysis_2017-06-05_v8_RNASeQCv1.1.9_gene_median_tpm.gct.gz", "v8"),
        ("proteinatlas.tsv", ""),
        ("proteinatlas_v23-1.tsv.zip/proteinatlas.tsv", "v23-1"),
    ],
)
def test_release_is_told_by_the_file_name_or_not_at_all(name, release):
    assert release_of(name) == release


def test_unknown_tissue_offers_near_matches():
    assert pick_tissues(["heart muscle", "Whole Blood"], ["Heart Muscle"]) == ["heart muscle"]
    with pytest.raises(KeyError, match=r"'hart muscle'. Did you mean heart muscle"):
        pick_tissues(["heart muscle", "liver"], ["hart muscle"])
    with pytest.raises(KeyError, match="Did you mean liver"):
        read_hpa_consensus(wide(["KIT"]), tissues=["livre"])
