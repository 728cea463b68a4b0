"""The commands that say what a score is worth: audit, card, recalibrate, train --evaluate."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp

SETUP = ["--labels-key", "state", "--positive", "drug_tolerant", "--donor-key", "donor"]


def test_card_prints_what_the_model_carries(dtp_command, room):
    card = dtp.model.load_model(room / "student").card_
    assert dtp_command("card", room / "student").text == card.to_markdown()
    assert json.loads(dtp_command("card", room / "student", "--json").text) == card.to_dict()


def test_card_of_nothing(dtp_command, room, tmp_path):
    done = dtp_command("card", tmp_path / "none")
    assert (done.code, done.text.count("\n")) == (2, 1)
    assert "which is neither" in done.text


def test_audit_says_what_the_function_finds(dtp_command, room, tmp_path):
    options = ["--batch-key", "tissue", "--batch-key", "platform", "--layer", "counts"]
    out = tmp_path / "audit.csv"
    done = dtp_command("audit", room / "cells.h5ad", *SETUP, *options, "--csv", out)
    assert done.code == 0, done.text
    expected = dtp.pp.audit(
        ad.read_h5ad(room / "cells.h5ad"),
        "state",
        positive="drug_tolerant",
        donor_key="donor",
        batch_keys=["tissue", "platform"],
        layer="counts",
    )
    written = pd.read_csv(out)
    assert written["check"].tolist() == expected["check"].tolist()
    np.testing.assert_allclose(written["value"], expected["value"])
    assert f"{(expected['verdict'] == 'ok').sum()} ok" in done.text


def test_audit_ends_in_three_where_a_batch_is_the_label(dtp_command, tmp_path):
    cells = dtp.datasets.simulate_cells(240, 200, n_donors=4, confounding=1.0)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    done = dtp_command("audit", tmp_path / "cells.h5ad", *SETUP, "--batch-key", "tissue")
    assert done.code == 3
    assert "error" in done.text


def test_audit_of_a_missing_column(dtp_command, room):
    done = dtp_command("audit", room / "cells.h5ad", "--labels-key", "sate")
    assert done.code == 2
    assert "Did you mean state?" in done.text


def test_recalibrate_does_what_the_function_does(dtp_command, scored, tmp_path):
    scored.obs["healthy"] = scored.obs["state"] == "sensitive"
    scored.write_h5ad(tmp_path / "scored.h5ad")
    where = ["--out", tmp_path / "new.h5ad"]
    options = ["--negatives", "healthy", "--target-fpr", 0.2]
    with pytest.warns(UserWarning, match="Recalibrated by negatives"):
        dtp.tl.recalibrate(scored, negatives="healthy", target_fpr=0.2)
    done = dtp_command("recalibrate", tmp_path / "scored.h5ad", *options, *where)
    assert done.code == 0, done.text
    written = ad.read_h5ad(tmp_path / "new.h5ad")
    assert written.obs["dtp_call"].astype(str).tolist() == (
        scored.obs["dtp_call"].astype(str).tolist()
    )
    assert "threshold" in done.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "one of --labels, --prevalence, --negatives"),
        (["--prevalence", "guess"], "estimate"),
        (["--prevalence", "1.5"], "prevalence"),
    ],
)
def test_recalibrate_refuses(dtp_command, scored, tmp_path, options, said):
    scored.write_h5ad(tmp_path / "scored.h5ad")
    out = tmp_path / "new.h5ad"
    done = dtp_command("recalibrate", tmp_path / "scored.h5ad", *options, "--out", out)
    assert done.code == 2
    assert said in done.text
    assert not out.exists()


def test_train_evaluates_first_and_keeps_notes(dtp_command, room, tmp_path):
    options = ["--layer", "counts", "--max-epochs", 1, "--quiet", "--evaluate", "--folds", 4]
    notes = ["--note", "label=made up = simulated", "--note", "licence=CC0"]
    where = ["--out", tmp_path / "model"]
    done = dtp_command("train", room / "cells.h5ad", *SETUP, *options, *notes, *where)
    assert done.code == 0, done.text
    card = dtp.model.read_card(tmp_path / "model")
    assert card.notes == {"label": "made up = simulated", "licence": "CC0"}
    assert card.evaluation["params"]["protocol"] == "donor-grouped 4-fold"
    assert {row["model"] for row in card.evaluation["metrics"]} >= {
        "teacher",
        "logistic_regression",
    }
    assert card.audit
    text = (tmp_path / "model" / "card.json").read_text() + (
        tmp_path / "model" / "model.json"
    ).read_text()
    cells = ad.read_h5ad(room / "cells.h5ad")
    for name in (*cells.obs_names, *cells.obs["donor"].astype(str).unique()):
        assert name not in text


@pytest.mark.parametrize("note", ["label", "mood=good"])
def test_train_refuses_a_note_without_a_name(dtp_command, room, tmp_path, note):
    where = ["--out", tmp_path / "model", "--note", note]
    done = dtp_command("train", room / "cells.h5ad", *SETUP, *where)
    assert done.code == 2
    assert "--note NAME=TEXT" in done.text
    assert not (tmp_path / "model").exists()
