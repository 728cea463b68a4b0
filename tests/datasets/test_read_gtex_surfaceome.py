"""GTEx and surface flags: layouts, header lines, tiers."""

from __future__ import annotations

import gzip

import pandas as pd
import pytest

from dtp_scvi.datasets import read_gtex, read_surfaceome

GCT = [
    "#1.2",
    "4\t2",
    "Name\tDescription\tLung\tWhole Blood",
    "ENSG00000157404.15\tKIT\t2.5\t0.1",
    "ENSG00000182162.10\tP2RY8\t0.2\t7.0",
    "ENSG00000182162.10_PAR_Y\tP2RY8\t0.0\t9.0",
    "ENSG00000223972.5\tNOSUCHGENE1\t0.0\t0.0",
]


@pytest.mark.parametrize("packed", [False, True])
def test_gct_is_read_by_its_ids(tmp_path, packed):
    text = "\n".join(GCT) + "\n"
    path = tmp_path / ("GTEx_v8_median.gct.gz" if packed else "GTEx_v8_median.gct")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    table = read_gtex(path)
    assert table.columns.tolist() == ["Lung", "Whole Blood"]
    assert table.loc["KIT"].tolist() == [2.5, 0.1]
    assert table.loc["P2RY8"].tolist() == [0.2, 9.0]
    report = table.attrs["dtp_report"]
    assert (report["layout"], report["unit"], report["release"]) == ("gct", "TPM", "v8")
    assert report["merged"] == ["P2RY8"]
    assert report["sha256"]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (GCT[2:], "found 'Name\\\\tDescription"),
        (GCT[:1] + GCT[2:], "'#1.2' and 'Name"),
        ([], "an empty file"),
    ],
)
def test_gct_without_header_lines_says_what_to_do(tmp_path, lines, found):
    path = tmp_path / "m.gct"
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=f"two header lines of a gct file.*{found}.*put the two"):
        read_gtex(path)


def test_gct_that_is_cut_off(tmp_path):
    path = tmp_path / "m.gct"
    path.write_text("\n".join(GCT[:5]))
    with pytest.raises(ValueError, match=r"4 rows and 2 tissues.*found 2 rows.*cut off"):
        read_gtex(path)


def test_aggregation_by_hpa_is_read_in_tpm():
    long = pd.DataFrame({"Gene": ["KIT"] * 2, "Tissue": ["liver", "lung"]})
    long[["TPM", "pTPM", "nTPM"]] = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    table = read_gtex(long)
    assert table.loc["KIT"].to_dict() == {"liver": 1.0, "lung": 4.0}
    assert table.attrs["dtp_report"]["unit"] == "TPM"
    with pytest.raises(KeyError, match="Did you mean lung"):
        read_gtex(long, tissues=["lungs"])


FLAGS = pd.DataFrame(
    {
        "hgnc_symbol": ["KIT", "CD33", "LILRB4", "CALR", "MYC"],
        "uniprot_surface_flag": [1, 1, 1, 1, 0],
        "go_surface_flag": [0, 0, 1, 0, 0],
        "hpa_surface_flag": [1, 0, 0, 0, 0],
        "surfy_surface_flag": [1, 1, 0, 0, 0],
        "cspa_surface_flag": [1, 0, 0, 0, None],
        "n_sources_surface": [4, 2, 2, 1, 0],
        "sonnet_verdict": ["yes"] * 5,
    }
)


def test_tiers_of_the_catalogue():
    table = read_surfaceome(FLAGS)
    assert table.columns.tolist() == [
        "surfy", "cspa", "uniprot", "go", "hpa", "n_sources", "loose", "strict",
    ]  # fmt: skip
    assert table["n_sources"].tolist() == [4, 2, 2, 1, 0]
    assert table["loose"].tolist() == [True, True, True, True, False]
    # Two annotations that rest on one another are no strict evidence.
    assert table["strict"].tolist() == [True, True, False, False, False]
    assert table["surfy"].dtype == bool
    assert "sonnet_verdict" in table.attrs["dtp_report"]["columns_ignored"]


@pytest.mark.parametrize("banner", [False, True])
def test_published_layout_of_surfy(banner):
    header = ["UniProt name", "UniProt gene", "Surfaceome Label", "Ensembl gene", "CSPA category"]
    rows = [
        ["KIT_HUMAN", "KIT", "surface", "ENSG00000157404;ENSG00000000001", "1 - high confidence"],
        ["EPCAM_HUMAN", "EPCAM", "surface", None, "3 - unspecific"],
        ["MYC_HUMAN", "MYC", "nonsurface", "ENSG00000136997", None],
    ]
    frame = (
        pd.DataFrame([header, *rows], columns=["Protein", *[f"Unnamed: {i}" for i in range(1, 5)]])
        if banner
        else pd.DataFrame(rows, columns=header)
    )
    table = read_surfaceome(frame)
    assert table[["surfy", "cspa"]].values.tolist() == [
        [True, True],
        [True, False],
        [False, False],
    ]
    assert table["strict"].tolist() == [True, False, False]


def test_flags_that_are_none():
    with pytest.raises(ValueError, match=r"0 or 1, yes or no in the column surfy.*found maybe"):
        read_surfaceome(pd.DataFrame({"symbol": ["KIT"], "surfy": ["maybe"]}))
    with pytest.raises(ValueError, match="a column of a source"):
        read_surfaceome(pd.DataFrame({"symbol": ["KIT"], "level": [1]}))
