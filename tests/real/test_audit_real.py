"""The audit names what is known to be wrong with public files."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp

CELLS = {"vangalen": "PredictionRefined", "pbmc": "Annotation"}


@pytest.fixture
def amu(path_of):
    def read(name):
        table = pd.read_csv(path_of(f"amu/{name}.csv"))
        label = table.pop("response").to_numpy()
        table.index = [f"row{i}" for i in range(len(table))]
        return ad.AnnData(table, obs=pd.DataFrame({"response": label}, index=table.index))

    return read


def look_up(table, check, subject):
    return table.set_index(["check", "subject"]).loc[(check, subject)]


def test_persisters_are_the_other_sample(fresh):
    adata = fresh("pc9")
    table = dtp.pp.audit(adata, "label", positive="drug_tolerant", batch_keys=["condition"])
    assert dtp.pp.confounded(table) == ["condition"]
    errors = table[table["verdict"] == "error"]
    assert errors["subject"].tolist() == ["condition"]
    assert "'condition' determines the label" in errors["sentence"].iloc[0]
    assert look_up(table, "auroc", "condition")["value"] == 1.0
    assert look_up(table, "cramers_v", "condition")["value"] == pytest.approx(1.0)
    assert look_up(table, "identical_rows", "all")["n"] == 0
    assert look_up(table, "near_identical_rows", "all")["n"] == 0


def test_responders_of_the_upsampled_table_occur_twice(amu):
    table = dtp.pp.audit(amu("logfourupsample"), "response")
    row = look_up(table, "identical_rows", "all")
    assert (row["n"], row["verdict"]) == (146, "warn")
    assert "73 groups, the largest of 2 rows" in row["sentence"]
    assert look_up(table, "identical_rows", "class 1")["value"] == 1.0
    assert look_up(table, "identical_rows", "class 0")["value"] == 0.0
    assert look_up(table, "identical_rows", "across classes")["n"] == 0
    assert look_up(table, "near_identical_rows", "all")["n"] == 0


def test_row_sums_of_the_ratio_table_are_the_label(amu):
    adata = amu("four")
    # Blocks of rows that the public table has in the order of its studies.
    adata.obs["study"] = np.repeat(["a", "b", "c", "d"], [28, 51, 7, 121])
    table = dtp.pp.audit(adata, "response", batch_keys="study")
    total = look_up(table, "row_statistic", "total")
    assert (total["value"], total["verdict"]) == (0.0, "warn")
    assert look_up(table, "row_statistic", "sum_deviation")["value"] == 1.0
    # The study alone predicts response a little, as was measured elsewhere.
    assert look_up(table, "auroc", "study")["value"] == pytest.approx(0.647, abs=0.001)
    assert look_up(table, "identical_rows", "all")["n"] == 0


def test_rows_that_sum_to_one_leak_no_more(amu):
    adata = amu("four")
    adata.X = adata.X / adata.X.sum(axis=1, keepdims=True)
    table = dtp.pp.audit(adata, "response")
    statistics = table[table["check"] == "row_statistic"]
    assert set(statistics["verdict"]) == {"ok"}


@pytest.mark.parametrize("name", CELLS)
def test_cells_of_one_sample_are_no_copies_of_each_other(name, fresh):
    adata = fresh(name)
    labels = adata.obs[CELLS[name]].astype(str)
    adata.obs["label"] = labels.isin(["malignant", "MNP"])
    table = dtp.pp.audit(adata, "label")
    copies = table[table["check"].isin(["identical_rows", "near_identical_rows"])]
    assert (copies.loc[copies["subject"] != "searched", "n"] == 0).all()
    assert look_up(table, "near_identical_rows", "searched")["n"] == adata.n_obs


def test_monocyte_markers_are_in_the_soup_of_blood(fresh):
    adata = fresh("pbmc")
    adata.obs["label"] = np.where(adata.obs["Annotation"] == "MNP", "MNP", "other")
    table = dtp.pp.audit(adata, "label", positive="MNP")
    row = look_up(table, "ambient_genes", "MNP")
    assert row["verdict"] == "note"
    assert row["value"] > 0.6
