"""DepMap's tables: orientation, names of columns, lists, summaries; the simulated screen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dtp_scvi.datasets import (
    read_depmap_effect,
    read_depmap_models,
    read_depmap_summary,
    read_gene_list,
    simulate_dependencies,
)


@pytest.fixture
def effect() -> pd.DataFrame:
    values = [[-1.0, 0.1, -0.2], [-0.5, np.nan, 0.3]]
    names = ["AARS (16)", "FLT3 (2322)", "C1ORF122 (127687)"]
    return pd.DataFrame(values, index=["ACH-000001", "ACH-000002"], columns=names)


def test_effect_from_file_and_memory_agree(effect, tmp_path):
    path = tmp_path / "CRISPRGeneEffect.csv"
    effect.to_csv(path)
    table = read_depmap_effect(path)
    assert table.columns.tolist() == ["AARS1", "FLT3", "C1orf122"]
    assert (table.index.name, table.columns.name, set(table.dtypes)) == (
        "model",
        "gene",
        {np.dtype("float32")},
    )
    pd.testing.assert_frame_equal(table, read_depmap_effect(effect))
    assert table.attrs["dtp_report"]["kind"] == "depmap_effect"
    assert table.attrs["dtp_report"]["models"] == 2


def test_names_of_other_exports(effect):
    mangled = effect.set_axis(["AARS..16.", "FLT3..2322.", "C1ORF122..127687."], axis=1)
    named = mangled.reset_index(names="depmap_id").assign(cell_line_display_name="x")
    table = read_depmap_effect(named)
    pd.testing.assert_frame_equal(table, read_depmap_effect(effect))
    assert table.attrs["dtp_report"]["columns_ignored"] == ["cell_line_display_name"]


def test_probabilities_are_told_apart(effect):
    assert read_depmap_effect(effect.abs()).attrs["dtp_report"]["kind"] == "depmap_dependency"


def test_columns_of_one_gene(effect):
    twice = effect.set_axis(["GPR56 (1)", "ADGRG1 (9289)", "C1orf122 (2)"], axis=1)
    table = read_depmap_effect(twice)
    assert table["ADGRG1"].iloc[0] == np.float32(0.1)
    assert table.attrs["dtp_report"]["superseded"] == ["GPR56 (ADGRG1)"]
    same = effect.set_axis(["KIT (1)", "KIT (2)", "MYC (3)"], axis=1)
    table = read_depmap_effect(same)
    assert table["KIT"].tolist() == pytest.approx([-0.45, -0.5])
    assert table.columns.tolist() == ["KIT", "MYC"]


def test_effect_on_its_side_and_other_tables(effect):
    with pytest.raises(ValueError, match=r"models in rows and genes in columns.*lies on its side"):
        read_depmap_effect(effect.T)
    with pytest.raises(ValueError, match="lies on its side"):
        read_depmap_effect(effect.T.set_axis(["AARS", "FLT3", "MYC"]))
    with pytest.raises(ValueError, match="each model once in DataFrame; found ACH-000001"):
        read_depmap_effect(effect.iloc[[0, 0]])
    with pytest.raises(ValueError, match="columns of numbers"):
        read_depmap_effect(effect.astype(str))


@pytest.mark.parametrize(
    "names",
    [
        ("ModelID", "OncotreePrimaryDisease", "OncotreeLineage"),
        ("DepMap_ID", "primary_disease", "lineage"),
    ],
)
def test_models_whatever_the_release_calls_its_columns(names):
    rows = [("ACH-000001", "Acute Myeloid Leukemia", "Myeloid"), ("ACH-000002", None, "Lung")]
    table = read_depmap_models(pd.DataFrame(rows, columns=list(names)))
    assert table.index.tolist() == ["ACH-000001", "ACH-000002"]
    assert table["disease"].tolist() == ["Acute Myeloid Leukemia", ""]
    assert table["lineage"].tolist() == ["Myeloid", "Lung"]
    assert table.attrs["dtp_report"]["columns_absent"] == ["subtype", "name"]
    with pytest.raises(ValueError, match="no column of disease"):
        read_depmap_models(pd.DataFrame(rows, columns=["ModelID", "x", "y"]))
    with pytest.raises(ValueError, match="each model once"):
        read_depmap_models(pd.DataFrame([rows[0]] * 2, columns=list(names)))


def test_summary_keeps_measurements_and_no_ranks():
    table = read_depmap_summary(
        pd.DataFrame(
            {
                "gene": ["MYC", "C1ORF122"],
                "median_effect": [-2.0, -0.3],
                "frac_prob_gt_05": [1.0, 0.1],
                "n_cell_lines": [43, 43],
                "rank_score": [1.4, 0.2],
                "is_known_aml_target": [True, False],
            }
        )
    )
    assert table.columns.tolist() == ["effect_median", "share_dependent", "n_lines"]
    assert table.index.tolist() == ["MYC", "C1orf122"]
    report = table.attrs["dtp_report"]
    assert report["columns_ignored"] == ["rank_score", "is_known_aml_target"]
    assert report["background"] == "the 2 genes of DataFrame"
    with pytest.raises(ValueError, match="mean_effect or median_effect"):
        read_depmap_summary(pd.DataFrame({"gene": ["MYC"], "x": [1]}))


def test_gene_lists_with_and_without_header(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("Gene,note\nAARS (16),a\nH1F0 (3005),b\nQARS,c\n")
    table = read_gene_list(path)
    assert table["name"].to_dict() == {"AARS1": "AARS (16)", "H1-0": "H1F0 (3005)"}
    assert table.attrs["dtp_report"]["ambiguous"] == ["QARS"]
    path.write_text("AARS\nRPL3\nRPL3\n")
    assert read_gene_list(path).index.tolist() == ["AARS1", "RPL3"]
    path.write_text("x1\n")
    with pytest.raises(ValueError, match="names of human genes"):
        read_gene_list(path)


def test_simulated_screen_plants_what_it_says():
    screen = simulate_dependencies(200, n_selective=10, n_common=30, seed=3)
    assert screen.uns["dtp_simulation"]["simulated"]
    inside = (screen.obs["disease"] == "Acute Myeloid Leukemia").to_numpy()
    same = (screen.obs["lineage"] == "Myeloid").to_numpy()
    gap = screen.X[inside].mean(axis=0) - screen.X[~same].mean(axis=0)
    assert np.corrcoef(gap, screen.var["true_difference"])[0, 1] > 0.9
    common = (screen.var["true_role"] == "common").to_numpy()
    assert screen.X[:, common].mean() == pytest.approx(-1, abs=0.1)
    again = simulate_dependencies(200, n_selective=10, n_common=30, seed=3)
    np.testing.assert_array_equal(again.X, screen.X)
    with pytest.raises(ValueError, match="`n_genes` of at least"):
        simulate_dependencies(20, n_selective=10, n_common=30)
