"""The published 160-gene tables: what the loader finds, and what is left of it afterwards."""

from __future__ import annotations

import numpy as np
import pytest

import dtp_scvi as dtp
from dtp_scvi.stats import auroc


def read(path_of, name, **kwargs):
    with pytest.warns(UserWarning, match="the row sum alone tells responders"):
        return dtp.datasets.read_amu(path_of(f"amu/{name}.csv"), **kwargs)


def look_up(table, check, subject):
    return table.set_index(["check", "subject"]).loc[(check, subject)]


def test_the_loader_closes_rows_that_gave_the_label_away(path_of):
    adata = read(path_of, "four")
    assert adata.shape == (207, 160)
    assert np.abs(adata.X.sum(axis=1) - 1).max() < 1e-9
    record = adata.uns["dtp_cohort"]
    assert record["row_sum_auroc"] == 0.0
    assert (record["counts"]["response"], record["counts"]["rows_not_closed"]) == (73, 73)
    raw = dtp.pp.audit(adata, "response", layer="as_read", batch_keys="study")
    assert look_up(raw, "row_statistic", "total")["value"] == 0.0
    assert look_up(raw, "row_statistic", "sum_deviation")["value"] == 1.0
    mended = dtp.pp.audit(adata, "response", batch_keys="study")
    statistics = mended[mended["check"] == "row_statistic"]
    assert set(statistics["verdict"]) == {"ok"}
    assert statistics["value"].between(0.25, 0.75).all()
    # Study identity alone is what a pooled analysis has to beat.
    assert look_up(mended, "auroc", "study")["value"] == pytest.approx(0.647, abs=0.001)


def test_copies_of_responders_are_told_and_share_a_patient(path_of):
    adata = read(path_of, "logfourupsample")
    record = adata.uns["dtp_cohort"]
    assert (record["scale"], record["counts"]["copies"]) == ("-ln(ratio)", 73)
    assert (adata.n_obs, adata.obs["patient"].nunique()) == (280, 207)
    table = dtp.pp.audit(adata, "response")
    assert look_up(table, "identical_rows", "all")["n"] == 146
    assert look_up(table, "identical_rows", "class 1")["value"] == 1.0


def test_studies_of_the_released_order(path_of):
    adata = read(path_of, "four")
    studies = adata.uns["dtp_cohort"]["studies"].set_index("study")
    assert studies["n"].tolist() == [28, 51, 7, 121]
    assert studies["n_response"].tolist() == [15, 9, 0, 49]
    # Rows 28 to 78 have their genes under wrong names.
    odd = studies.index[studies["profile_correlation"] < 0.5]
    assert odd.tolist() == ["GSE91061"]
    flagged = np.flatnonzero(adata.obs["many_zeros"])
    assert flagged.tolist() == [90, 91, 112, 137]
    assert sorted(adata.obs["n_zeros"].iloc[flagged]) == [48, 54, 94, 135]


def test_mended_table_with_known_labels(path_of):
    adata = read(path_of, "four_columns_fixed", annotation=path_of("amu/amu_row_annotation.csv"))
    record = adata.uns["dtp_cohort"]
    assert (record["studies"]["profile_correlation"] > 0.8).all()
    counts = record["counts"]
    assert (counts["labels_changed"], counts["unknown"], counts["patients"]) == (17, 2, 206)
    assert (counts["response"], counts["no_response"]) == (74, 131)


def test_genes_in_the_order_of_the_panel(path_of):
    genes = path_of("amu/amu_genes.txt").read_text().split()
    adata = read(path_of, "four", genes=genes)
    assert adata.var_names.tolist() == genes
    assert not len(adata.uns["dtp_cohort"]["missing_genes"])


@pytest.mark.parametrize(
    ("name", "key", "n_label"),
    [("hugo2016_GSE78220", "response_PD1", 28), ("riaz2017_GSE91061", "BOR_riaz_table", 103)],
)
def test_words_of_public_files_give_the_known_labels(fresh, name, key, n_label):
    adata = fresh(f"ici/{name}.h5ad")
    dtp.pp.response_labels(adata, key, key_added="label")
    known = adata.obs["response_bin"].notna()
    assert (adata.obs.loc[known, "label"] == adata.obs.loc[known, "response_bin"]).all()
    assert adata.obs["label"].notna().sum() == n_label


def test_combat_of_training_rows_takes_the_studies_out_of_others(path_of):
    pytest.importorskip("combatlearn")
    adata = read(path_of, "four_columns_fixed")
    adata = adata[adata.obs["study"] != "GSE165278"].copy()
    dtp.pp.close_composition(adata)
    train, test = adata[::2].copy(), adata[1::2].copy()
    raw = test.X.copy()
    dtp.pp.Combat("study").fit(train).transform(test)
    study = (test.obs["study"] == "Liu2019").to_numpy()

    def separation(x):
        return np.mean([abs(auroc(study, column) - 0.5) for column in x.T])

    assert separation(test.X) < 0.5 * separation(raw)
