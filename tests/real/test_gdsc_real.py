"""CCLE expression with GDSC response: what joins, and which labels no measurement stands behind."""

from __future__ import annotations

import pytest

import dtp_scvi as dtp


@pytest.fixture(scope="module")
def read(path_of):
    names = ("ccle_dualgcn_expr_gdsc_ic50.h5ad", "scatd_gdsc_binary_labels.csv")
    lines, labels = (path_of(f"cell_lines/{name}") for name in names)
    table = path_of("cell_lines/gdsc_drug_table.csv")
    reversed_ones = "lower median IC50 for Axitinib, AZD8055, OSI-027, Tozasertib, BI-2536"
    with pytest.warns(UserWarning, match=reversed_ones):
        return dtp.datasets.read_gdsc(lines, labels=labels, drug_table=table)


def test_lines_join_and_filled_labels_are_dropped(read):
    counts = read.uns["dtp_cohort"]["counts"]
    assert (counts["lines"], counts["lines_joined"]) == (525, 444)
    assert counts["labels_read"] == 1280 * 83
    assert (counts["labels_unmeasured"], counts["labels_kept"]) == (4758, 14192)
    # 46 of 83 drugs have IC50; labels of five run against it.
    assert (counts["drugs"], counts["drugs_labelled"]) == (250, 41)
    label, ic50 = read.obsm["response"], read.obsm["ln_ic50"]
    assert not (label.notna() & ic50[list(label)].isna()).any().any()


def test_drugs_have_one_column_and_a_row_in_the_table(read):
    table = read.uns["dtp_cohort"]["drugs"]
    assert list(table.index) == list(read.obsm["ln_ic50"])
    assert table.index.is_unique
    assert table.loc["PLX-4720", ["gdsc_id", "targets"]].tolist() == [
        "GDSC:1371, GDSC:1036",
        "BRAF",
    ]
    assert table.loc["PLX-4720", "n_lines"] == 504


def test_resistant_lines_have_the_higher_ic50(read):
    label, ic50 = read.obsm["response"], read.obsm["ln_ic50"]
    for drug in ("PLX-4720", "Gefitinib", "Vorinostat"):
        groups = ic50[drug].groupby(label[drug], observed=True).median()
        assert groups["resistant"] > groups["sensitive"] + 0.5
