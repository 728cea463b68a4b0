"""``dtp evaluate`` with studies."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pytest

SETUP = ["--labels-key", "state", "--positive", "drug_tolerant", "--donor-key", "donor"]
QUICK = ["--max-epochs", 1, "--n-boot", 5, "--no-distill", "--layer", "counts", "-q"]


@pytest.fixture
def with_studies(room, tmp_path):
    cells = ad.read_h5ad(room / "cells.h5ad")
    donors = sorted(set(cells.obs["donor"]))
    cells.obs["study"] = np.where(cells.obs["donor"].isin(donors[:2]), "first", "second")
    cells.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


def test_pairs_of_one_study_stand_beside_all_pairs(dtp_command, with_studies, tmp_path):
    options = ["--study-key", "study", "--folds", 2, "--json", tmp_path / "x.json"]
    done = dtp_command("evaluate", with_studies, *SETUP, *QUICK, *options)
    assert done.code == 0, done.text
    assert "AUROC over all pairs, pairs of one study" in done.text
    for name in ("in a study", "first", "second", "study_only"):
        assert name in done.text
    found = json.loads((tmp_path / "x.json").read_text())
    assert set(found["within_study"]["teacher"]) == {"first", "second"}
    assert f"{found['within_study']['teacher']['first']['value']:.3f}" in done.text
    assert 0 <= found["cv"]["teacher"]["auroc_within_study"]["value"] <= 1


def test_studies_are_held_out(dtp_command, with_studies):
    options = ["--study-key", "study", "--leave-one-study-out"]
    done = dtp_command("evaluate", with_studies, *SETUP, *QUICK, *options)
    assert done.code == 0, done.text
    assert "leave-one-study-out (2 studies)" in done.text
    done = dtp_command("evaluate", with_studies, *SETUP, *QUICK, "--leave-one-study-out")
    assert done.code == 2
    assert "--study-key" in done.text
