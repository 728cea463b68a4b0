"""The real models in cross-validation, small."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import dtp_scvi as dtp

SMALL = {"model_kwargs": {"n_programs": 8}, "train_kwargs": {"max_epochs": 3}}


@pytest.fixture(scope="module")
def evaluated():
    cells = dtp.datasets.simulate_cells(400, 300, n_donors=6, seed=1)
    dtp.DTPTransformer.setup_anndata(
        cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    table = dtp.tl.cross_validate(
        dtp.DTPTransformer,
        cells,
        n_folds=2,
        distill={"n_genes": 50, "max_epochs": 2},
        threshold_rule="f1",
        n_boot=20,
        verbose=False,
        **SMALL,
    )
    return cells, table


def test_teacher_student_and_all_baselines_are_there(evaluated):
    cells, table = evaluated
    names = table["model"].unique()
    assert names.tolist() == [
        "teacher",
        "student",
        "logistic_regression",
        "gradient_boosting",
        "random_forest",
        "mean_expression",
        "lsc17",
    ]
    assert np.isfinite(table[["value", "low", "high"]]).all(axis=None)
    params = cells.uns["dtp_cv"]["params"]
    assert params["simulated"] is True
    assert params["model_class"] == "DTPTransformer"
    assert params["fold_threshold_rule"] == "f1"
    assert (params["scale"], params["n_genes"], params["n_donors"]) == ("counts", 300, 6)
    assert params["lsc17"]["n_found"] == 17


def test_scores_are_those_of_a_model_trained_on_the_other_donors(evaluated):
    cells, _ = evaluated
    result = cells.uns["dtp_cv"]
    test = np.flatnonzero(result["fold"] == 1)
    seed = np.random.default_rng(0).integers(2**31, size=2).tolist()[1]
    again = dtp.DTPTransformer(cells, **SMALL["model_kwargs"])
    train = np.flatnonzero(result["fold"] != 1)
    again.train(indices=train, seed=seed, threshold_rule="f1", verbose=False, max_epochs=3)
    expected = again.predict_logits(indices=test)["drug_tolerant"].to_numpy()
    assert result["scores"]["teacher"].to_numpy()[test] == pytest.approx(expected, abs=1e-5)
    assert result["folds"]["threshold_teacher"][1] == pytest.approx(again.threshold_["value"])


def test_student_follows_its_teacher_on_new_donors(evaluated):
    cells, _ = evaluated
    summary = cells.uns["dtp_fidelity"]["summary"]
    assert summary["spearman"] > 0.6
    assert summary["spearman_low"] < summary["spearman"] < summary["spearman_high"]
    assert summary["agreement"] > 0.6


def test_the_result_is_drawn_after_a_round_trip(evaluated, tmp_path):
    cells, _ = evaluated
    cells.write_h5ad(tmp_path / "cells.h5ad")
    read = ad.read_h5ad(tmp_path / "cells.h5ad")
    drawn = ("roc", "pr", "calibration", "benchmark", "threshold_sweep", "fidelity")
    for name in (*drawn, "decision_curve", "coverage", "threshold_transfer"):
        ax = getattr(dtp.pl, name)(read)
        assert ax.get_title("right") == "simulated data"


def test_student_class_trains_its_own_teacher():
    cells = dtp.datasets.simulate_cells(240, 200, n_donors=4, seed=2)
    dtp.DTPStudent.setup_anndata(
        cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    table = dtp.tl.cross_validate(
        dtp.DTPStudent,
        cells,
        n_folds=2,
        baselines=(),
        model_kwargs={"n_genes": 30},
        train_kwargs={"max_epochs": 1},
        audit=False,
        n_boot=20,
        verbose=False,
    )
    assert table["model"].unique().tolist() == ["student"]


def test_not_set_up_is_an_error():
    cells = dtp.datasets.simulate_cells(60, 100, n_donors=4)
    with pytest.raises(ValueError, match="set up for DTPTransformer"):
        dtp.tl.cross_validate(dtp.DTPTransformer, cells)
