"""Tables of the Human Protein Atlas: columns that drift, and the flags made of them."""

from __future__ import annotations

import zipfile

import pandas as pd
import pytest

from dtp_scvi.datasets import (
    hpa_flags,
    read_hpa,
    read_hpa_consensus,
    read_hpa_normal_tissue,
    read_hpa_subcellular,
)

# Classes as HPA words them, put together by hand from what the proteins are.
CLASSES = {
    "IL3RA": ("CD markers, Predicted membrane proteins", "", "Yes", "class"),
    "ADGRE2": ("G-protein coupled receptors", "", "Yes", "class"),
    "KCNA3": ("Voltage-gated ion channels", "Plasma membrane", "Yes", "class, location"),
    "SLC2A1": ("Transporters", "", "Yes", "class"),
    "CD47": ("", "Plasma membrane,Vesicles", "Yes", "location"),
    "NR3C1": ("Nuclear receptors, Transcription factors", "Nucleoplasm", "No", ""),
    "MYC": ("Transcription factors, Predicted intracellular proteins", "Nucleoplasm", "No", ""),
    "LMNB1": ("Predicted intracellular proteins", "Nuclear membrane", "No", ""),
}


@pytest.fixture
def atlas() -> pd.DataFrame:
    """Layout of recent releases, made up."""
    table = pd.DataFrame({"Gene": list(CLASSES)})
    table["Gene synonym"] = "x"
    table["Protein class"] = [entry[0] or None for entry in CLASSES.values()]
    table["Subcellular location"] = [entry[1] or None for entry in CLASSES.values()]
    table["Reliability (IH)"] = ["Enhanced", None, "Uncertain", None] + [None] * 4
    table["Reliability (IF)"] = ["Approved", "Supported", None, None] + [None] * 4
    table["Antibody"] = ["HPA1, CAB2"] + [None] * 7
    return table


def test_flags_follow_class_and_location(atlas):
    table = read_hpa(atlas)
    assert table["HPA_surface_protein"].to_dict() == {g: e[2] for g, e in CLASSES.items()}
    assert table["HPA_surface_evidence"].to_dict() == {g: e[3] for g, e in CLASSES.items()}
    assert (table["HPA_plasma_membrane"] == "Yes").sum() == 2


def test_reliability_is_that_of_staining_else_of_fluorescence(atlas):
    found = read_hpa(atlas)["HPA_antibody_reliability"].tolist()[:4]
    assert found == ["Enhanced", "Supported", "Uncertain", "Not available"]


def test_columns_are_exactly_these(atlas):
    assert read_hpa(atlas).columns.tolist() == [
        "ensembl", "uniprot", "protein_class", "subcellular_location", "HPA_surface_protein",
        "HPA_surface_evidence", "HPA_plasma_membrane", "HPA_reliability_IH", "HPA_reliability_IF",
        "HPA_antibody_reliability", "antibody", "rna_tissue_specificity",
    ]  # fmt: skip


@pytest.mark.parametrize("style", ["r", "zip", "gz"])
def test_spelling_and_packing_change_nothing(atlas, tmp_path, style):
    expected = read_hpa(atlas)
    path = tmp_path / "proteinatlas.tsv"
    if style == "r":
        renamed = atlas.rename(columns=lambda name: name.replace(" ", ".").replace("(", "."))
        renamed = renamed.rename(columns=lambda name: name.replace(")", "."))
        assert "Reliability..IH." in renamed
        renamed.to_csv(path, sep="\t", index=False)
    elif style == "gz":
        path = tmp_path / "proteinatlas.tsv.gz"
        atlas.to_csv(path, sep="\t", index=False)
    else:
        atlas.to_csv(path, sep="\t", index=False)
        with zipfile.ZipFile(tmp_path / "proteinatlas.tsv.zip", "w") as archive:
            archive.write(path, "proteinatlas.tsv")
        path = tmp_path / "proteinatlas.tsv.zip"
    found = read_hpa(path)
    pd.testing.assert_frame_equal(found, expected)
    assert found.attrs["dtp_report"]["sha256"]


def test_order_of_rows_and_columns_changes_nothing(atlas):
    shuffled = atlas.sample(frac=1, random_state=1)[atlas.columns[::-1]]
    pd.testing.assert_frame_equal(
        read_hpa(shuffled).sort_index(), read_hpa(atlas).sort_index(), check_like=True
    )


def test_absent_columns_are_recorded_and_never_read_as_no(atlas):
    table = read_hpa(atlas[["Gene", "Antibody"]])
    assert set(table["HPA_surface_protein"]) == {"Not available"}
    absent = table.attrs["dtp_report"]["columns_absent"]
    assert {"protein_class", "location", "reliability_ih"} <= set(absent)


def test_older_layout_with_main_location_and_odd_reliability(atlas):
    old = atlas[["Gene"]].assign(**{"Subcellular main location": "Plasma membrane"})
    old["Reliability (IC)"] = "Validated"
    with pytest.warns(UserWarning, match="count as 'Not available': Validated"):
        table = read_hpa(old)
    assert set(table["HPA_surface_protein"]) == {"Yes"}
    assert set(table["HPA_reliability_IF"]) == {"Not available"}


def test_archives_and_files_that_are_no_table(tmp_path):
    broken = tmp_path / "proteinatlas.tsv.zip"
    broken.write_bytes(b"no zip")
    with pytest.raises(ValueError, match="to be a zip archive"):
        read_hpa(broken)
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("a.tsv", "Gene\tx\n")
        archive.writestr("b.tsv", "Gene\tx\n")
    with pytest.raises(ValueError, match=r"one table in .*; found a.tsv, b.tsv"):
        read_hpa(broken)
    with pytest.raises(FileNotFoundError, match=r"none\.tsv"):
        read_hpa(tmp_path / "none.tsv")


def test_subcellular_joins_main_and_additional_locations():
    table = read_hpa_subcellular(
        pd.DataFrame(
            {
                "Gene": ["ENSG00000157404", "ENSG00000122025"],
                "Gene.name": ["KIT", "FLT3"],
                "Reliability": ["Supported", None],
                "Main.location": ["Plasma membrane", "Endoplasmic reticulum"],
                "Additional.location": ["Cytosol;Vesicles", None],
            }
        )
    )
    assert table["subcellular_location"]["KIT"] == "Plasma membrane, Cytosol, Vesicles"
    assert table["HPA_reliability_IF"].tolist() == ["Supported", "Not available"]
    with pytest.raises(ValueError, match="no column main location"):
        read_hpa_subcellular(pd.DataFrame({"Gene": ["KIT"], "x": [1]}))


@pytest.fixture
def staining() -> pd.DataFrame:
    rows = [
        ("KIT", "skin 1", "Low", "Enhanced"),
        ("KIT", "skin 1", "Medium", "Enhanced"),
        ("KIT", "skin 2", "Not detected", "Enhanced"),
        ("KIT", "liver", "Not representative", "Enhanced"),
        ("MYC", "liver", "Not detected", "Uncertain"),
        ("MYC", "liver", "High", "Approved"),
        ("MYC", None, None, "Approved"),
    ]
    return pd.DataFrame(rows, columns=["Gene name", "Tissue", "Level", "Reliability"])


def test_staining_is_the_highest_level_over_cell_types_and_samples(staining):
    table = read_hpa_normal_tissue(staining)
    assert table.columns.tolist() == ["HPA_reliability_IH", "skin", "liver"]
    assert table.loc["KIT", "skin"] == 2.0
    assert pd.isna(table.loc["KIT", "liver"])
    assert table.loc["MYC", "liver"] == 3.0
    assert table["HPA_reliability_IH"].to_dict() == {"KIT": "Enhanced", "MYC": "Approved"}
    assert table.attrs["dtp_report"]["levels_unknown"] == ["Not representative"]


def test_staining_without_levels_and_unknown_tissue(staining):
    with pytest.raises(ValueError, match="no column level"):
        read_hpa_normal_tissue(staining.drop(columns="Level"))
    with pytest.raises(KeyError, match="Did you mean skin"):
        read_hpa_normal_tissue(staining, tissues=["skins"])
    assert read_hpa_normal_tissue(staining, tissues=["Liver"]).shape == (2, 2)


def test_long_and_wide_consensus_agree():
    wide = pd.DataFrame({"Gene name": ["KIT", "MYC"], "liver": [1.0, 2.0], "lung": [3.0, 4.0]})
    long = wide.melt("Gene name", var_name="Tissue", value_name="nTPM")
    a, b = read_hpa_consensus(wide), read_hpa_consensus(long)
    pd.testing.assert_frame_equal(a, b)
    assert b.attrs["dtp_report"]["unit"] == "nTPM"
    assert (
        read_hpa_consensus(long.rename(columns={"nTPM": "NX"})).attrs["dtp_report"]["unit"] == "NX"
    )


def test_bad_values_of_expression_are_named():
    with pytest.raises(ValueError, match="text in lung"):
        read_hpa_consensus(pd.DataFrame({"Gene": ["KIT"], "liver": [1.0], "lung": ["high"]}))
    with pytest.raises(ValueError, match="negative values in liver"):
        read_hpa_consensus(pd.DataFrame({"Gene": ["KIT"], "liver": [-1.0]}))
    with pytest.raises(ValueError, match="no column of numbers"):
        read_hpa_consensus(pd.DataFrame({"Gene": ["KIT"]}))


def test_flags_of_pieces_say_what_they_rest_on(atlas, staining):
    place = pd.DataFrame(
        {"Gene": ["IL3RA", "KIT"], "Main location": ["Cytosol", "Plasma membrane"]}
    )
    flags = hpa_flags(
        read_hpa(atlas),
        subcellular=read_hpa_subcellular(place),
        normal_tissue=read_hpa_normal_tissue(staining[staining["Gene name"] == "KIT"]),
    )
    assert flags.loc["IL3RA", "HPA_surface_protein"] == "Yes"
    assert flags.loc["KIT", ["HPA_surface_protein", "HPA_antibody_reliability"]].tolist() == [
        "Yes",
        "Enhanced",
    ]
    assert not flags.loc["KIT", "has_class"]
    only = hpa_flags(normal_tissue=read_hpa_normal_tissue(staining))
    assert set(only["HPA_surface_protein"]) == {"Not available"}
    whole = hpa_flags(read_hpa(atlas))
    assert whole["HPA_surface_protein"].to_dict() == {g: e[2] for g, e in CLASSES.items()}
    with pytest.raises(ValueError, match="a table of HPA; found none"):
        hpa_flags()
