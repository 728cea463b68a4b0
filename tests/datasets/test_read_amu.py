"""Made-up tables in the layout of the released ones; no row of them is here."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dtp_scvi import pp
from dtp_scvi.datasets import read_amu, simulate_ici
from dtp_scvi.stats import auroc

SIZES, RESPONDERS = (28, 51, 7, 121), (15, 9, 0, 49)


def as_table(ici, label="response"):
    table = ici.to_df().reset_index(drop=True)
    return table.assign(**{label: ici.obs["response"].to_numpy(int)})


@pytest.fixture
def small():
    return as_table(simulate_ici((20, 20), n_genes=30, response_rates=0.5))


@pytest.fixture
def released():
    """A table that has as many rows and responders in each block as the released one."""
    ici = simulate_ici(n_genes=40)
    ici.obs["response"] = np.concatenate(
        [np.arange(n) < k for n, k in zip(SIZES, RESPONDERS, strict=True)]
    ).astype(float)
    ici.X *= np.where(ici.obs["response"] == 1, 0.9995, 1.0)[:, None]
    return as_table(ici)


@pytest.fixture
def annotation(released):
    block = np.repeat(["A", "B", "C", "D"], SIZES)
    known = np.isin(block, ["A", "B"])
    recist = np.where(released["response"] == 1, "PR", "PD")
    recist[30] = "NE"
    label = np.where(recist == "PR", 1.0, 0.0)
    label[[1, 40]] = 1 - label[[1, 40]]
    label[30] = np.nan
    sample = [f"Pt{i}_Pre" if yes else None for i, yes in enumerate(known)]
    sample[:2] = ["Pt7A", "Pt7B"]
    return pd.DataFrame(
        {
            "amu_label": released["response"],
            "block": block,
            "sample": sample,
            "recist": np.where(known, recist, None),
            "label_from_recist": np.where(known, label, np.nan),
        }
    )


def test_rows_are_closed_and_the_leak_is_told(released, tmp_path):
    released.to_csv(tmp_path / "four.csv", index=False)
    with pytest.warns(
        UserWarning, match=r"four\.csv: the row sum alone tells responders \(AUROC 0\.000\)"
    ):
        adata = read_amu(tmp_path / "four.csv")
    assert np.abs(adata.X.sum(axis=1) - 1).max() < 1e-9
    record = adata.uns["dtp_cohort"]
    assert (record["row_sum_auroc"], record["counts"]["rows_not_closed"]) == (0.0, 73)
    raw = pp.audit(adata, "response", layer="as_read").set_index(["check", "subject"])
    assert raw.loc[("row_statistic", "total"), "verdict"] == "warn"
    mended = pp.audit(adata, "response").set_index(["check", "subject"])
    assert mended.loc[("row_statistic", "total"), "value"] == pytest.approx(0.5)
    adata.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad").uns["dtp_cohort"]
    assert back["files"]["name"].tolist() == ["four.csv"]


def test_studies_are_inferred_and_say_so(released):
    with pytest.warns(UserWarning, match="row sum"):
        adata = read_amu(released)
    assert adata.obs["study"].value_counts().to_dict() == dict(
        zip(("GSE78220", "GSE91061", "GSE165278", "Liu2019"), SIZES, strict=True)
    )
    assert set(adata.obs["study_basis"]) == {"inferred from the order of rows"}
    table = adata.uns["dtp_cohort"]["studies"]
    assert table["n_response"].tolist() == list(RESPONDERS)
    assert (table["profile_correlation"] > 0.5).all()


def test_another_order_of_rows_gets_no_study(released):
    with pytest.warns(UserWarning, match="row sum"):
        adata = read_amu(released.iloc[::-1].reset_index(drop=True))
    assert "study" not in adata.obs
    reasons = adata.uns["dtp_cohort"]["report"]["reason"].tolist()
    assert "rows are not the released 207: no study" in reasons


def test_genes_under_wrong_names_are_told(released):
    genes = released.columns[:-1]
    turned = np.roll(np.arange(40), 7)
    released.loc[28:78, genes] = released.loc[28:78, genes].to_numpy()[:, turned]
    with pytest.warns(UserWarning, match="genes of GSE91061 look misnamed"):
        read_amu(released)


def test_an_annotation_mends_labels_and_names_patients(released, annotation):
    with pytest.warns(UserWarning, match="row sum"):
        adata = read_amu(released, annotation=annotation)
    obs = adata.obs
    assert obs["response"].iloc[1] != obs["response_as_released"].iloc[1]
    assert np.isnan(obs["response"].iloc[30])
    assert obs["recist"].iloc[30] == "NE"
    assert adata.uns["dtp_cohort"]["counts"]["labels_changed"] == 2
    # Two samples of a patient stay together in grouped folds.
    assert obs["patient"].iloc[0] == obs["patient"].iloc[1] == "A:Pt7"
    basis = obs["study_basis"].astype(str)
    assert (basis[:79] == "matched to a sample of the study").all()
    assert (basis[79:] == "inferred from the order of rows").all()
    assert obs["response"].iloc[79:].tolist() == released["response"].iloc[79:].tolist()


def test_logarithms_of_the_resampled_table_are_undone(small):
    x = small.drop(columns="response").to_numpy()
    double = pd.concat([small, small[small["response"] == 1]], ignore_index=True)
    logs = double.drop(columns="response").apply(
        lambda c: np.where(c == 0, 0, -np.log(c.where(c > 0, 1)))
    )
    with pytest.warns(
        UserWarning, match=r"\d+ rows are copies of another; keep a patient in one fold"
    ):
        adata = read_amu(logs.assign(response=double["response"]))
    record, n = adata.uns["dtp_cohort"], int(small["response"].sum())
    assert (record["scale"], record["counts"]["copies"]) == ("-ln(ratio)", n)
    np.testing.assert_allclose(adata.X[:40], x, atol=1e-9)
    assert adata.obs["patient"].nunique() == 40
    found = pp.audit(adata, "response").set_index(["check", "subject"])
    assert found.loc[("identical_rows", "all"), "n"] == 2 * n


def test_missing_genes_are_listed_and_aliases_found(small):
    small = small.rename(columns={"ADGRG1": "GPR56"})
    wanted = ["ADGRG1", "CD8A", *small.columns[4:1:-1]]
    with pytest.warns(UserWarning, match="1 genes are missing: CD8A"):
        adata = read_amu(small, genes=wanted)
    assert adata.var_names.tolist() == ["ADGRG1", *small.columns[4:1:-1]]
    assert np.abs(adata.X.sum(axis=1) - 1).max() < 1e-9
    assert adata.uns["dtp_cohort"]["missing_genes"].tolist() == ["CD8A"]
    # The sums that could leak are those of the whole table.
    np.testing.assert_allclose(adata.obs["row_sum_as_read"], 1.0)


def test_rows_with_many_zeros_are_flagged(small):
    genes = small.columns[:-1]
    small.loc[3, genes[:10]] = 0.0
    small.loc[3, genes] /= small.loc[3, genes].sum()
    with pytest.warns(UserWarning, match="samples lack a quarter"):
        adata = read_amu(small)
    assert adata.obs["many_zeros"].iloc[3]
    assert adata.obs["n_zeros"].iloc[3] >= 10


def test_closing_leaves_the_order_within_rows(small):
    adata = read_amu(small)
    total = adata.X.sum(axis=1).round(9)
    assert auroc(adata.obs["response"], total) == 0.5
    assert np.array_equal(adata.layers["as_read"], small.drop(columns="response").to_numpy())


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda t: t.drop(columns="response"), KeyError, "one column of 'response'"),
        (lambda t: t.assign(response_amu=1), KeyError, "found response, response_amu"),
        (lambda t: t.assign(response=2), ValueError, "0 or 1 in 'response' of DataFrame; found 2"),
        (lambda t: t.assign(name="x"), ValueError, "columns of words: name"),
        (lambda t: t.assign(TNF=-0.001), ValueError, "gene 'TNF'. Standardised tables"),
        (lambda t: t.assign(TNF=np.nan), ValueError, "40 others, the first nan in row 0"),
        (lambda t: t.assign(TNF=3.0), ValueError, r"rows of DataFrame that sum to 1.* 4"),
        (lambda t: t.iloc[:0], ValueError, "0 rows"),
    ],
)
def test_bad_tables_are_refused(small, change, error, match):
    with pytest.raises(error, match=match):
        read_amu(change(small))


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda a: a.drop(columns="recist"), KeyError, "no recist"),
        (lambda a: a.iloc[:50], ValueError, "annotate the 207 rows.*found 50 rows"),
        (lambda a: a.assign(amu_label=1 - a["amu_label"]), ValueError, "other labels"),
        (lambda a: a.assign(block=["A"] * 100 + ["B"] * 107), ValueError, "start at rows 0, 100"),
    ],
)
def test_annotations_of_other_rows_are_refused(released, annotation, change, error, match):
    with pytest.raises(error, match=match):
        read_amu(released, annotation=change(annotation))


def test_genes_that_are_not_there_are_refused(small):
    with pytest.raises(ValueError, match="found none of NOSUCHGENE"):
        read_amu(small, genes="NOSUCHGENE")
    twice = small.rename(columns={small.columns[0]: "GPR56"})
    with pytest.raises(ValueError, match="one column a gene; found ADGRG1"):
        read_amu(twice, genes=["ADGRG1"])
    alone = small.copy()
    alone.loc[0, alone.columns[5]] = 0.0
    alone.loc[0, alone.columns[:-1]] /= alone.loc[0, alone.columns[:-1]].sum()
    with pytest.raises(ValueError, match="rows of zeros: 0"):
        read_amu(alone, genes=[alone.columns[5]])


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"four\.csv"):
        read_amu(tmp_path / "four.csv")
