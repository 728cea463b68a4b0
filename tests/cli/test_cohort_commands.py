"""The commands about patients: drugs and survival."""

from __future__ import annotations

import json
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp

SCORE = ["--score-key", "true_persister_fraction"]
FEW = ["--n-boot", 20]
DRUGS = [*SCORE, *FEW, "--n-permutations", 20, "--min-patients", 20, "-q"]


def names(folder):
    return sorted(item.name for item in folder.iterdir())


@pytest.fixture(scope="module")
def patients() -> ad.AnnData:
    cells = dtp.datasets.simulate_cells(400, 100)
    return dtp.datasets.simulate_cohort(90, cells=cells, n_drugs=3)


@pytest.fixture(scope="module")
def cohort(patients, tmp_path_factory):
    """The same patients in one file, and apart: scores, responses and follow-up by patient."""
    folder = tmp_path_factory.mktemp("cohort")
    patients.write_h5ad(folder / "all.h5ad")
    bare = ad.AnnData(patients.X, obs=patients.obs[["true_persister_fraction"]], var=patients.var)
    # Samples by names of their own; patients are numbers.
    bare.obs["subject"] = np.arange(bare.n_obs)
    bare.write_h5ad(folder / "scored.h5ad")
    bare.obs[["true_persister_fraction", "subject"]].to_csv(folder / "scores.csv")
    table = patients.obsm["drug_auc"].set_axis(pd.Index(bare.obs["subject"], name="id"))
    table.iloc[::-1].to_csv(folder / "auc.tsv", sep="\t")
    clinical = patients.obs[["time", "event", "age", "sex"]].set_axis(table.index)
    clinical.to_csv(folder / "clinical.csv")
    return folder


def close(written: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        written, expected.reset_index(drop=True), check_dtype=False, check_index_type=False
    )


def test_drugs_writes_what_the_function_returns(dtp_command, cohort, patients, tmp_path):
    options = ["--covariates", "age", "--covariates", "sex", "--controls", "permuted"]
    options += ["--controls", "random_panels", "--panel-size", 10, "--controls", "age"]
    options += ["--controls", "library_size", "--layer", "counts"]
    out = tmp_path / "out"
    done = dtp_command("drugs", cohort / "all.h5ad", *DRUGS, *options, "--out", out)
    assert done.code == 0, done.text
    mine = patients.copy()
    expected = dtp.tl.drug_response(
        mine,
        score_key="true_persister_fraction",
        covariates=["age", "sex"],
        min_patients=20,
        controls={
            "permuted": {},
            "random_panels": {"panel_size": 10, "layer": "counts"},
            "age": {},
            "library_size": {"layer": "counts"},
        },
        n_boot=20,
        n_permutations=20,
    )
    close(pd.read_csv(out / "drugs.csv").fillna({"reason": ""}), expected)
    stored = mine.uns["dtp_drug_response"]
    for name, table in (("pooled", stored["pooled"]), ("guards", stored["guards"])):
        close(pd.read_csv(out / f"{name}.csv").fillna({"note": ""}), table)
    # "null" is the kind of a control that was drawn many times, not a missing one.
    written = pd.read_csv(out / "controls.csv", keep_default_na=False, na_values=[""])
    close(written, stored["controls"]["table"])
    content = json.loads((out / "drug_response.json").read_text())
    assert content["params"]["covariates"] == ["age", "sex"]
    assert content["params"]["simulated"] is True
    assert content["pooled"][0]["value"] == stored["pooled"]["value"].iloc[0]
    assert names(out) == sorted(
        [
            *("controls.csv", "controls.png", "controls_by_drug.csv", "drug_response.json"),
            *("drugs.csv", "drugs.png", "guards.csv", "pooled.csv"),
        ]
    )
    assert (out / "drugs.png").read_bytes()[:4] == b"\x89PNG"
    first = expected.iloc[0]
    assert f"{first['rho']:.2f} [{first['low']:.2f}, {first['high']:.2f}], q " in done.text
    n_tested = int(expected["tested"].sum())
    said = f"SIMULATED DATA, true_persister_fraction and {n_tested} drugs in 90 patients"
    assert said in done.text
    assert ("the table says why" in done.text) == (n_tested < len(expected))
    assert "research use only" in done.text


@pytest.mark.parametrize("data", ["scored.h5ad", "scores.csv"])
def test_drugs_joins_a_table_by_a_column(dtp_command, cohort, patients, tmp_path, data):
    out = tmp_path / "out"
    join = ["--auc", cohort / "auc.tsv", "--auc-by", "subject"]
    options = [*DRUGS, "--format", "tsv", "--guards", "warn"]
    done = dtp_command("drugs", cohort / data, *options, *join, "--out", out)
    assert done.code == 0, done.text
    assert "auc.tsv: 90 of 90 rows found" in done.text
    written = pd.read_csv(out / "drugs.tsv", sep="\t")
    mine = patients.copy()
    arguments = {"n_boot": 20, "n_permutations": 20, "min_patients": 20}
    expected = dtp.tl.drug_response(mine, score_key="true_persister_fraction", **arguments)
    for column in ("drug", "n", "n_missing"):
        assert written[column].tolist() == expected[column].tolist()
    np.testing.assert_allclose(written["rho"], expected["rho"])
    assert names(out) == [
        *("drug_response.json", "drugs.png", "drugs.tsv", "guards.tsv", "pooled.tsv")
    ]


def test_a_join_says_what_was_not_used(dtp_command, cohort, tmp_path):
    table = pd.read_csv(cohort / "auc.tsv", sep="\t", index_col=0)
    table.rename(index={0: "x1", 1: "x2"}).to_csv(tmp_path / "auc.csv")
    join = ["--auc", tmp_path / "auc.csv", "--auc-by", "subject"]
    done = dtp_command("drugs", cohort / "scored.h5ad", *DRUGS, *join, "--out", tmp_path / "out")
    assert done.code == 0, done.text
    assert "88 of 90 rows found; 2 of its 90 not used (x2, x1)" in done.text


def test_direction_turns_the_sign(dtp_command, cohort, tmp_path):
    found = {}
    for direction in ("higher_is_resistant", "higher_is_sensitive"):
        out = tmp_path / direction
        options = [*DRUGS, "--direction", direction, "--out", out]
        assert dtp_command("drugs", cohort / "all.h5ad", *options).code == 0
        found[direction] = pd.read_csv(out / "drugs.csv").set_index("drug")["rho"]
    pd.testing.assert_series_equal(
        found["higher_is_resistant"], -found["higher_is_sensitive"], check_like=True
    )


def test_survival_writes_what_the_function_returns(dtp_command, cohort, patients, tmp_path):
    out = tmp_path / "out"
    options = ["--covariates", "age", "--strata", "sex", "--cut", "tertiles"]
    options += ["--horizon", 400, "--horizon", 700, *FEW]
    done = dtp_command("survival", cohort / "all.h5ad", *SCORE, *options, "--out", out)
    assert done.code == 0, done.text
    mine = patients.copy()
    expected = dtp.tl.survival(
        mine,
        score_key="true_persister_fraction",
        covariates=["age"],
        strata=["sex"],
        cut="tertiles",
        horizon=[400, 700],
        n_boot=20,
    )
    close(pd.read_csv(out / "survival.csv"), expected)
    close(pd.read_csv(out / "kaplan_meier.csv"), mine.uns["dtp_survival"]["km"])
    close(pd.read_csv(out / "cox.csv"), mine.uns["dtp_survival"]["cox"])
    content = json.loads((out / "survival.json").read_text())
    assert content["params"]["horizon"] == [400, 700]
    assert content["simulated"] is True
    assert [row["term"] for row in content["table"]] == expected["term"].tolist()
    for row in expected.itertuples():
        assert row.term in done.text
        assert row.sentence in done.text
    assert names(out) == [
        *("cox.csv", "kaplan_meier.csv", "survival.csv", "survival.json", "survival.png")
    ]


def test_survival_joins_a_table_and_takes_a_number_as_cut(dtp_command, cohort, patients, tmp_path):
    cut = float(patients.obs["true_persister_fraction"].median())
    join = ["--clinical", cohort / "clinical.csv", "--clinical-by", "subject"]
    options = [*SCORE, *FEW, "--cut", cut, "--covariates", "age", "--format", "tsv"]
    out = tmp_path / "out"
    done = dtp_command("survival", cohort / "scores.csv", *options, *join, "--out", out)
    assert done.code == 0, done.text
    expected = dtp.tl.survival(
        patients.copy(),
        score_key="true_persister_fraction",
        covariates=["age"],
        cut=cut,
        n_boot=20,
    )
    written = pd.read_csv(out / "survival.tsv", sep="\t")
    np.testing.assert_allclose(written["estimate"], expected["estimate"])


def test_survival_without_a_split_has_no_figure_and_says_why(dtp_command, cohort, tmp_path):
    out = tmp_path / "out"
    options = [*SCORE, *FEW, "--cut", 99, "--out", out]
    done = dtp_command("survival", cohort / "all.h5ad", *options)
    assert done.code == 0, done.text
    assert "The cut leaves fewer than 10 patients in a group" in done.text
    assert "none, for no split was made" in done.text
    assert names(out) == ["cox.csv", "survival.csv", "survival.json"]


def check(done, message, folder, before=()):
    assert done.code == 2, done.text
    last = done.text.rstrip("\n").split("\n")[-1]
    assert last.startswith("error: ")
    assert message in last
    assert "Traceback" not in done.text
    assert names(folder) == sorted(before)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("al.h5ad", [], "Did you mean all.h5ad"),
        ("all.h5ad", ["--score-key", "dtp_scor"], "Expected --score-key to name"),
        ("all.h5ad", ["--patient-key", "who"], "Expected --patient-key to name"),
        ("all.h5ad", ["--covariates", "agee"], "Expected --covariates to name"),
        ("all.h5ad", ["--min-patients", 80], "80"),
        ("all.h5ad", ["--controls", "random_panels"], "Expected --panel-size with the control"),
        ("all.h5ad", ["--panel-size", 9], "Expected --panel-size with the control random_panels"),
        ("all.h5ad", ["--layer", "counts"], "Expected --layer with a control that is taken"),
        ("all.h5ad", ["--controls", "permutd"], "Did you mean permuted?"),
        ("all.h5ad", ["--auc-range", 300, 0], "Expected --auc-range as (least, largest)"),
        ("all.h5ad", ["--auc", "auc.tsv"], "obsm['drug_auc'] or --auc; found both"),
        ("all.h5ad", ["--auc-by", "subject"], "Expected --auc-by with --auc only"),
        ("scored.h5ad", [], "Expected --auc-key to name a key of adata.obsm"),
        ("scored.h5ad", ["--auc", "auc.ts"], "auc.ts"),
        ("scored.h5ad", ["--auc", "auc.tsv"], "none in common. Name the column"),
        ("scored.h5ad", ["--auc", "auc.tsv", "--auc-by", "subj"], "Did you mean subject?"),
        ("scored.h5ad", ["--auc", "twice.csv", "--auc-by", "subject"], "1 repeated: 3"),
        ("scored.h5ad", ["--auc", "words.csv", "--auc-by", "subject"], "drug_1"),
    ],
)
def test_drugs_refuses(dtp_command, cohort, tmp_path, monkeypatch, name, options, message):
    table = pd.read_csv(cohort / "auc.tsv", sep="\t", index_col=0)
    (tmp_path / "in").mkdir()
    for file in ("all.h5ad", "scored.h5ad", "auc.tsv"):
        (tmp_path / "in" / file).symlink_to(cohort / file)
    table.rename(index={4: 3}).to_csv(tmp_path / "in" / "twice.csv")
    table.astype(object).replace({np.nan: "missing"}).to_csv(tmp_path / "in" / "words.csv")
    monkeypatch.chdir(tmp_path / "in")
    done = dtp_command("drugs", name, *DRUGS, *options, "--out", tmp_path / "out")
    check(done, message, tmp_path, ["in"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--time-key", "tim"], "Expected --time-key to name"),
        (["--event-key", "sex"], "1"),
        (["--strata", "fab"], "Expected --strata to name"),
        (["--cut", "best"], "Expected --cut to be one of 'median', 'tertiles'"),
        (["--horizon", 1e9], "Expected --horizon from the first event"),
        (["--clinical-by", "age"], "Expected --clinical-by with --clinical only"),
        (["--clinical", "clinical.csv", "--clinical-by", "row"], "time, event in both"),
        (["--clinical", "none.csv"], "none.csv"),
    ],
)
def test_survival_refuses(dtp_command, cohort, tmp_path, monkeypatch, options, message):
    data = ad.read_h5ad(cohort / "all.h5ad")
    data.obs["row"] = np.arange(data.n_obs)
    (tmp_path / "in").mkdir()
    data.write_h5ad(tmp_path / "in" / "all.h5ad")
    (tmp_path / "in" / "clinical.csv").symlink_to(cohort / "clinical.csv")
    monkeypatch.chdir(tmp_path / "in")
    done = dtp_command("survival", "all.h5ad", *SCORE, *FEW, *options, "--out", tmp_path / "out")
    check(done, message, tmp_path, ["in"])


def made_up(patients):
    """A complete table in [0, 1] without anything that drugs share beside the score."""
    rng = np.random.default_rng(0)
    fake = patients.copy()
    del fake.uns["dtp_simulation"]
    score = fake.obs["true_persister_fraction"].to_numpy()[:, None]
    values = np.clip(rng.beta(2, 5, (fake.n_obs, 30)) + 0.3 * score, 0, 1)
    fake.obsm["drug_auc"] = pd.DataFrame(
        values, index=fake.obs_names, columns=[f"drug_{i}" for i in range(30)]
    )
    return fake


def test_made_up_responses_end_the_command_unless_asked_to_warn(dtp_command, patients, tmp_path):
    made_up(patients).write_h5ad(tmp_path / "fake.h5ad")
    where = ["--out", tmp_path / "out"]
    with warnings.catch_warnings():
        # Warnings are errors in these tests; here they have to reach the screen.
        warnings.simplefilter("default")
        done = dtp_command("drugs", tmp_path / "fake.h5ad", *DRUGS, *where)
        check(done, "measured", tmp_path, ["fake.h5ad"])
        done = dtp_command("drugs", tmp_path / "fake.h5ad", *DRUGS, "--guards", "warn", *where)
    assert done.code == 0, done.text
    assert "warning: " in done.text
    assert "error" in set(pd.read_csv(tmp_path / "out" / "guards.csv")["level"])


@pytest.mark.parametrize("command", ["drugs", "survival"])
def test_an_earlier_result_is_replaced_only_when_asked(dtp_command, cohort, tmp_path, command):
    options = DRUGS if command == "drugs" else [*SCORE, *FEW]
    call = [command, cohort / "all.h5ad", *options, "--out", tmp_path / "out"]
    assert dtp_command(*call).code == 0
    before = names(tmp_path / "out")
    done = dtp_command(*call)
    assert done.code == 2
    assert "--overwrite" in done.text
    (tmp_path / "out" / "old").touch()
    assert dtp_command(*call, "--overwrite").code == 0
    assert names(tmp_path / "out") == before
    assert names(tmp_path) == ["out"]
