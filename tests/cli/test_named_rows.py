"""Names of rows and patients are text: 0012 is neither 12 nor 012."""

from __future__ import annotations

import gzip

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp
from dtp_scvi.cli._named_rows import read_named_rows

IDS = ["0012", "012", "12", "7"]


@pytest.fixture
def table() -> pd.DataFrame:
    values = {"x": [1.5, np.nan, 3.0, 4.0], "patient": ["01", "1", "001", "2"], "n": [1, 2, 3, 4]}
    return pd.DataFrame(values, index=pd.Index(IDS, name="id"))


def write(table, path):
    if path.suffix == ".xlsx":
        table.to_excel(path)
        return
    text = table.to_csv(sep=";" if path.suffix == ".txt" else "," if "csv" in path.name else "\t")
    if path.name == "r.tsv":
        text = text.removeprefix("id\t")  # as R leaves out the corner
    data = text.encode("utf-8-sig")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "r.tsv", "a.txt", "a.csv.gz", "a.xlsx"])
def test_names_stay_as_they_are_written_and_numbers_are_numbers(tmp_path, table, name):
    write(table, tmp_path / name)
    found = read_named_rows(tmp_path / name, "auc", "a table", names=["patient", "none"])
    assert found.index.tolist() == IDS
    assert found["patient"].tolist() == table["patient"].tolist()
    assert found[["x", "n"]].equals(table[["x", "n"]].set_axis(found.index))
    # Only what is asked for is text.
    assert pd.api.types.is_numeric_dtype(read_named_rows(tmp_path / name, "a", "b")["patient"])


def test_a_name_that_is_missing_among_patients_stays_missing(tmp_path):
    (tmp_path / "a.csv").write_text("id,patient\n01,0012\n\n02,\n03,NA\n")
    found = read_named_rows(tmp_path / "a.csv", "auc", "a table", names=["patient"])
    assert found.index.tolist() == ["01", "02", "03"]
    assert found["patient"].iloc[0] == "0012"
    assert found["patient"].isna().tolist() == [False, True, True]


def test_whole_numbers_with_a_decimal_are_whole(tmp_path):
    (tmp_path / "a.csv").write_text("id,x\n12.0,1\n13.0,2\n")
    assert read_named_rows(tmp_path / "a.csv", "auc", "a table").index.tolist() == ["12", "13"]
    (tmp_path / "b.csv").write_text("id,x\n12.0,1\n13.5,2\n")
    assert read_named_rows(tmp_path / "b.csv", "auc", "a table").index.tolist() == ["12.0", "13.5"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,x\n12,1\n,2\n", r"a name in the first column of a\.csv; found 1 missing"),
        ("id,x\n012,1\n12,2\n012,3\n", r"each name once .* found 1 repeated: 012"),
    ],
)
def test_names_that_do_not_name(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_named_rows(tmp_path / "a.csv", "auc", "a table")


@pytest.fixture(scope="module")
def patients() -> ad.AnnData:
    cells = dtp.datasets.simulate_cells(400, 100)
    cohort = dtp.datasets.simulate_cohort(60, cells=cells, n_drugs=3)
    cohort.obs_names = [f"{i:04d}" for i in range(cohort.n_obs)]
    cohort.obs["subject"] = [f"{i:05d}" for i in range(cohort.n_obs)]
    # Sixty patients whom numbers would take for thirty.
    cohort.obs["who"] = [f"{i // 2}" if i % 2 else f"0{i // 2}" for i in range(cohort.n_obs)]
    return cohort


@pytest.mark.parametrize("by", [None, "subject"])
@pytest.mark.parametrize("ending", [".h5ad", ".csv"])
@pytest.mark.parametrize("command", ["drugs", "survival"])
def test_tables_meet_data_by_names_as_written(
    dtp_command, patients, tmp_path, command, by, ending
):
    data = tmp_path / f"scored{ending}"
    obs = patients.obs[["true_persister_fraction", "subject", "who"]]
    if ending == ".h5ad":
        ad.AnnData(obs=obs).write_h5ad(data)
    else:
        obs.to_csv(data)
    rows = patients.obs_names if by is None else patients.obs["subject"]
    drugs = command == "drugs"
    held = patients.obsm["drug_auc"] if drugs else patients.obs[["time", "event"]]
    held.set_axis(pd.Index(rows, name="id")).to_csv(tmp_path / "held.csv")
    role = "auc" if drugs else "clinical"
    options = ["--score-key", "true_persister_fraction", "--n-boot", 10, "--patient-key", "who"]
    options += [f"--{role}", tmp_path / "held.csv", "--out", tmp_path / "out"]
    options += [] if by is None else [f"--{role}-by", by]
    options += ["--n-permutations", 10, "--min-patients", 20, "-q"] if drugs else []
    done = dtp_command(command, data, *options)
    assert done.code == 0, done.text
    assert "held.csv: 60 of 60 rows found\n" in done.text
    # Simulated follow-up lacks a few times.
    n = 60 if drugs else len(held.dropna())
    assert f" {n} patients" in done.text


def test_other_zeros_are_other_names(dtp_command, patients, tmp_path):
    ad.AnnData(obs=patients.obs[["true_persister_fraction"]]).write_h5ad(tmp_path / "scored.h5ad")
    held = patients.obsm["drug_auc"].set_axis([f"{i:06d}" for i in range(60)])
    held.to_csv(tmp_path / "held.csv", index_label="id")
    options = ["--score-key", "true_persister_fraction", "--auc", tmp_path / "held.csv"]
    done = dtp_command("drugs", tmp_path / "scored.h5ad", *options, "--out", tmp_path / "out")
    assert done.code == 2
    assert "000000, 000001, 000002 there, 0000, 0001, 0002 in DATA, none in common" in " ".join(
        done.text.split()
    ).replace(" and 57 more", "")
    assert not (tmp_path / "out").exists()
