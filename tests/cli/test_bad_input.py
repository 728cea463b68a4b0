"""What can't work ends with exit code 2 and one readable line, and leaves nothing behind."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pytest

LABELS = ["--labels-key", "state", "--positive", "drug_tolerant"]


def names(folder):
    return sorted(item.name for item in folder.iterdir())


def check(done, message, folder, before):
    assert done.code == 2, done.text
    last = done.text.rstrip("\n").split("\n")[-1]
    assert last.startswith("error: ")
    assert message in last
    assert "Traceback" not in done.text
    assert names(folder) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--labels-key", "stat"],
            "Expected --labels-key to name a key of adata.obs; found 'stat'",
        ),
        (["--labels-key", "state"], "Pass --positive 'drug_tolerant'"),
        (["--labels-key", "state", "--positive", "x"], "Expected --positive to be a class"),
        ([*LABELS, "--donor-key", "d"], "Expected --donor-key to name"),
        ([*LABELS, "--batch-key", "d"], "Expected --batch-key to name"),
        ([*LABELS, "--layer", "cuonts"], "Expected --layer to name a key of adata.layers"),
        ([*LABELS, "--scale", "log2_tpm"], "Options: --layer, --scale."),
        ([*LABELS, "--scale", "logs"], "Expected --scale to be one of"),
        ([*LABELS, "--gmt", "none.gmt"], "Expected gene sets (.gmt) at none.gmt"),
        ([*LABELS, "--threshold-rule", "recall"], "target"),
        ([*LABELS, "--threshold-rule", "fpr", "--negatives", "state"], "COLUMN=VALUE"),
        ([*LABELS, "--threshold-rule", "fpr", "--negatives", "stat=x"], "Did you mean state?"),
        ([*LABELS, "--threshold-rule", "fpr", "--negatives", "state=x"], "a value of 'state'"),
    ],
)
def test_train(dtp_command, room, tmp_path, options, message):
    options = [*options, "--max-epochs", 1, "--out", tmp_path / "model", "-q"]
    check(dtp_command("train", room / "cells.h5ad", *options), message, tmp_path, [])


@pytest.mark.parametrize("kind", ["nan", "negative", "zscore", "no label", "one class"])
def test_train_on_unfit_cells(dtp_command, room, tmp_path, kind):
    cells = ad.read_h5ad(room / "cells.h5ad")
    cells.X = cells.X.toarray()
    if kind == "nan":
        cells.X[3, 4] = np.nan
    elif kind == "negative":
        cells.X[3, 4] = -1
    elif kind == "zscore":
        cells.X = (cells.X - cells.X.mean(axis=0)) / (cells.X.std(axis=0) + 1)
    elif kind == "no label":
        cells.obs.loc[cells.obs_names[0], "state"] = None
    else:
        cells.obs["state"] = "drug_tolerant"
    cells.write_h5ad(tmp_path / "cells.h5ad")
    message = {
        "nan": "1 NaN values; the first in row 3, column 4",
        "negative": "negative",
        "zscore": "z-scores",
        "no label": "1 missing",
        "one class": "at least two classes",
    }[kind]
    options = [*LABELS, "--max-epochs", 1, "--out", tmp_path / "model", "-q"]
    done = dtp_command("train", tmp_path / "cells.h5ad", *options)
    check(done, message, tmp_path, ["cells.h5ad"])


def test_the_output_is_checked_before_the_input_is_read(dtp_command, room, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").touch()
    train = ["train", "no_such_file.h5ad", *LABELS, "--out"]
    check(dtp_command(*train, tmp_path / "model"), "new or empty", tmp_path, ["model"])
    check(dtp_command(*train, tmp_path / "a" / "b"), "Create the folder", tmp_path, ["model"])
    score = ["score", "no_such_file.h5ad", "--model", room / "student", "--out"]
    check(dtp_command(*score, tmp_path / "x.png"), "ends in .h5ad or", tmp_path, ["model"])
    check(dtp_command(*score, tmp_path / "model"), "ends in .h5ad or", tmp_path, ["model"])
    where = ["--json", tmp_path / "a" / "x.json"]
    done = dtp_command("evaluate", "no_such_file.h5ad", *LABELS, *where)
    check(done, "Create the folder", tmp_path, ["model"])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nwe.h5ad", [], "Did you mean new.h5ad"),
        ("text.h5ad", [], "8 bytes that are not HDF5"),
        ("new.h5ad", ["--model", "none"], "found 'none', which is neither. Available: aml-"),
        ("new.h5ad", ["--align", "rank"], "`--align \"none\"` with a classifier; found 'rank'"),
        ("new.h5ad", ["--target", "x"], "Expected no --target with a classifier; found 'x'"),
        ("new.h5ad", ["--layer", "cuonts"], "Expected --layer to name"),
        ("new.h5ad", ["--gene-key", "symbols"], "Expected --gene-key to name"),
        ("new.h5ad", ["--gene-key", "programme"], "model genes found (coverage 0%"),
        ("new.h5ad", ["--scale", "log1p_cp10k"], "Options: --layer, --scale."),
        ("new.h5ad", ["--mod", "rna"], "Expected --mod with a .h5mu file only"),
        ("new.h5ad", ["--donor-key", "donr"], "Expected --donor-key to name"),
    ],
)
def test_score(dtp_command, room, tmp_path, name, options, message):
    options = ["--model", room / "student", *options, "--out", tmp_path / "x.csv", "-q"]
    check(dtp_command("score", room / name, *options), message, tmp_path, [])


@pytest.mark.parametrize("value", ["trust", "", "RANK"])
def test_score_with_a_verdict_that_there_is_not(dtp_command, room, tmp_path, value):
    options = ["--model", room / "student", "--transfer", value, "--out", tmp_path / "x.h5ad"]
    done = dtp_command("score", room / "new.h5ad", *options)
    assert done.code == 2, done.text
    assert "Traceback" not in done.text
    (line,) = [line for line in done.text.split("\n") if "--transfer" in line]
    assert repr(value) in line
    assert names(tmp_path) == []


def test_score_with_a_donor_that_is_missing(dtp_command, room, tmp_path):
    cells = ad.read_h5ad(room / "new.h5ad")
    cells.obs["patient"] = cells.obs["donor"].astype(object)
    cells.obs.loc[cells.obs_names[3], "patient"] = None
    cells.write_h5ad(tmp_path / "new.h5ad")
    options = ["--model", room / "student", "--donor-key", "patient"]
    done = dtp_command("score", tmp_path / "new.h5ad", *options, "--out", tmp_path / "x.h5ad")
    check(done, "1 missing of 60", tmp_path, ["new.h5ad"])


def test_score_does_not_overwrite_its_input(dtp_command, room):
    path, before = room / "new.h5ad", names(room)
    content = path.read_bytes()
    done = dtp_command("score", path, "--model", room / "student", "--out", path)
    check(done, "an output beside the input", room, before)
    assert path.read_bytes() == content


def test_score_with_a_damaged_model(dtp_command, room, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.json").write_bytes((room / "student" / "model.json").read_bytes())
    (model / "model.safetensors").write_bytes(b"damaged")
    done = dtp_command("score", room / "new.h5ad", "--model", model, "--out", tmp_path / "x.csv")
    check(done, "damaged", tmp_path, ["model"])


def test_evaluate_with_too_many_folds(dtp_command, room, tmp_path):
    options = [*LABELS, "--donor-key", "donor", "--folds", 9, "--json", tmp_path / "x.json"]
    done = dtp_command("evaluate", room / "cells.h5ad", *options)
    check(done, "The feasible maximum is 4 folds", tmp_path, [])


def test_evaluate_without_the_batch_to_hold_out(dtp_command, room, tmp_path):
    options = [*LABELS, "--donor-key", "donor", "--leave-one-batch-out"]
    done = dtp_command("evaluate", room / "cells.h5ad", *options)
    check(done, "--batch-key", tmp_path, [])


def test_distill_from_a_student_or_on_other_genes(dtp_command, room, tmp_path):
    where = ["--out", tmp_path / "x", "-q"]
    done = dtp_command("distill", room / "cells.h5ad", "--model", room / "student", *where)
    check(done, "Expected a DTPTransformer", tmp_path, [])
    ad.read_h5ad(room / "cells.h5ad")[:, 1:].copy().write_h5ad(tmp_path / "fewer.h5ad")
    done = dtp_command("distill", tmp_path / "fewer.h5ad", "--model", room / "teacher", *where)
    check(done, "the 200 genes that the model was set up with", tmp_path, ["fewer.h5ad"])


def test_a_label_that_follows_the_donor_is_said_aloud(dtp_command, room, tmp_path):
    options = ["--labels-key", "tissue", "--positive", "tissue_1", "--donor-key", "donor"]
    where = ["--max-epochs", 1, "--out", tmp_path / "model", "-q"]
    with warnings.catch_warnings():
        # Warnings are errors in these tests; here one has to reach the screen.
        warnings.simplefilter("default")
        done = dtp_command("train", room / "cells.h5ad", *options, *where)
    assert done.code == 0, done.text
    assert "warning: Each of the 4 donors" in done.text
