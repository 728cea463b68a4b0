"""Calibration, score reference and threshold: from a cross-validation, and without signal."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import dtp_scvi as dtp
from dtp_scvi.datasets import simulate_cells
from dtp_scvi.model import DTPTransformer, load_model
from dtp_scvi.model._training_data import read_training_data
from dtp_scvi.stats import Calibration, ScoreReference, choose_threshold

TARGETS = {"recall": 0.7}


def made_up(rule="youden", *, donors=True, seed=3, **params):
    """A result of ``tl.cross_validate`` as far as a model takes it over."""
    rng = np.random.default_rng(seed)
    label = rng.random(300) < 0.4
    logits = rng.normal(size=300) + 1.5 * label + 0.7
    group = np.array([f"d{i}" for i in rng.integers(0, 7, 300)], dtype=object)
    threshold = {"value": 0.35, "rule": rule}
    if rule in TARGETS:
        threshold["target"] = TARGETS[rule]
    return {
        # The other columns are those of other models.
        "scores": pd.DataFrame({"student": -logits, "mine": logits, "lsc17": logits**2}),
        "label": label,
        "group": group if donors else np.full(300, "", dtype=object),
        "threshold": threshold,
        "params": {
            "model": "mine",
            "model_class": "DTPTransformer",
            "positive": "drug_tolerant",
            "seed": seed,
            "protocol": "donor-grouped 5-fold",
            "interval": "bootstrap over donors",
            **params,
        },
        "metrics": pd.DataFrame(
            {"model": ["mine"], "metric": ["auroc"], "value": [0.8], "low": [0.7], "high": [0.9]}
        ),
    }


def by_hand(result, rule, *, seed, **extra):
    """What the held-out scores of a result say, fitted without the package's shortcut."""
    logits = result["scores"][result["params"]["model"]].to_numpy()
    truth, group = np.asarray(result["label"]), np.asarray(result["group"]).astype(str)
    groups = group if len(set(group)) > 1 else None
    curve = Calibration.fit(logits, truth, kind="platt", groups=groups, n_boot=200, seed=seed)
    reference = ScoreReference.from_scores(logits, truth, groups)
    p = curve.transform(logits)
    threshold = choose_threshold(truth, p, rule=rule, groups=groups, seed=seed, **extra)
    return curve.to_dict(), reference.to_dict(), threshold.to_dict()


def held(model):
    return model.calibration_.to_dict(), model.score_reference_.to_dict(), model.threshold_


@pytest.fixture
def model(teacher, tmp_path):
    """A copy that may be changed."""
    teacher.save(tmp_path / "teacher")
    return load_model(tmp_path / "teacher")


@pytest.mark.parametrize("donors", [True, False])
@pytest.mark.parametrize(
    ("rule", "extra"),
    [
        ("youden", {}),
        ("f1", {}),
        ("mcc", {}),
        ("recall", {"target": 0.7}),
        ("fixed", {"fixed": 0.35}),
    ],
)
def test_a_model_takes_over_what_the_held_out_scores_say(model, rule, extra, donors):
    result = made_up(rule, donors=donors)
    before = held(model)
    model.adopt(result)
    expected = by_hand(result, rule, seed=3, **extra)
    assert held(model) == expected
    assert before[0] != expected[0]
    assert model.threshold_["rule"] == rule
    if rule == "fixed":
        assert model.threshold_["value"] == 0.35
    assert model.calibration_.unit == ("donor" if donors else "cell")
    assert model.calibration_.n_labels == 300


def test_calls_and_probabilities_follow(model, query):
    logits = model.predict_logits(query)["drug_tolerant"].to_numpy()
    result = made_up()
    model.adopt(result)
    curve = Calibration.from_dict(by_hand(result, "youden", seed=3)[0])
    found = model.predict_proba(query)["drug_tolerant"].to_numpy()
    np.testing.assert_allclose(found, curve.transform(logits), rtol=1e-12)
    np.testing.assert_array_equal(model.predict_logits(query)["drug_tolerant"], logits)
    dtp.tl.score(query, model, transfer="calls")
    cut = by_hand(result, "youden", seed=3)[2]
    assert query.uns["dtp"]["threshold"] == cut
    outside = (found < cut["low"]) | (found >= cut["high"])
    called = (query.obs["dtp_call"] == "drug_tolerant").to_numpy()
    np.testing.assert_array_equal(called[outside], found[outside] >= cut["value"])


def test_a_split_by_cell_leaves_no_donor_out(model):
    """Donors are resampled for the intervals all the same, which are then wider."""
    model.adopt(made_up(optimistic=True))
    by_cell = model.calibration_.to_dict()
    model.adopt(made_up(optimistic=False))
    by_donor = model.calibration_.to_dict()
    assert (by_cell.pop("unit"), by_donor.pop("unit")) == ("cell", "donor")
    assert by_cell == by_donor


def test_an_adopted_model_is_saved_and_loaded(model, tmp_path):
    model.adopt(made_up("recall"))
    model.save(tmp_path / "m")
    assert held(load_model(tmp_path / "m")) == held(model)


def test_few_held_out_rows_give_no_reference(model):
    result = made_up()
    label = np.zeros(300, dtype=bool)
    label[:15] = True
    result["label"] = label
    result["scores"].loc[:14, "mine"] += 2
    model.adopt(result)
    assert model.score_reference_ is None
    assert model.calibration_.calibrator is not None


def test_a_result_without_signal_warns(model, query):
    result = made_up()
    result["scores"]["mine"] *= -1
    with pytest.warns(UserWarning, match=r"No calibration: held-out logits.*\(300 rows\)"):
        model.adopt(result)
    logits = model.predict_logits(query)["drug_tolerant"]
    np.testing.assert_allclose(
        model.predict_proba(query)["drug_tolerant"], expit(logits), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("params", "rule", "match"),
    [
        (
            {"model_class": "DTPStudent"},
            "youden",
            "of DTPTransformer for 'drug_tolerant'; found one of DTPStudent for 'drug_tolerant'",
        ),
        ({"positive": "sensitive"}, "youden", "found one of DTPTransformer for 'sensitive'"),
        ({}, "fpr", "needs no named negatives; found 'fpr'. Pass the threshold rule to train"),
    ],
)
def test_a_result_of_something_else_changes_nothing(model, params, rule, match):
    before = held(model)
    with pytest.raises(ValueError, match=match):
        model.adopt(made_up(rule, **params))
    assert held(model) == before


def test_a_student_takes_no_result_of_its_teacher(student):
    with pytest.raises(ValueError, match=r"of DTPStudent.*found one of DTPTransformer"):
        student.adopt(made_up())


def test_an_untrained_model(cells):
    with pytest.raises(RuntimeError, match="a trained DTPTransformer"):
        DTPTransformer(cells, n_programs=8).adopt(made_up())


# Without donors the cross-validation says that it is optimistic; that is tested elsewhere.
@pytest.mark.filterwarnings("ignore:Cross-validation splits single cells")
@pytest.mark.parametrize("donor_key", ["donor", None])
def test_a_stored_cross_validation_and_its_file_say_the_same(donor_key, tmp_path):
    cells = simulate_cells(240, 100, n_donors=4, seed=2)
    DTPTransformer.setup_anndata(
        cells, "state", positive="drug_tolerant", layer="counts", donor_key=donor_key
    )
    small = {"n_programs": 4, "d_model": 16, "n_blocks": 1}
    dtp.tl.cross_validate(
        DTPTransformer,
        cells,
        n_folds=2,
        cell_level=donor_key is None,
        baselines=("mean_expression",),
        model_kwargs=small,
        train_kwargs={"max_epochs": 1},
        threshold_rule="f1",
        audit=False,
        n_boot=10,
        seed=5,
        verbose=False,
    )
    model = DTPTransformer(cells, **small)
    model.train(max_epochs=1, verbose=False)
    model.adopt(cells.uns["dtp_cv"])
    found = held(model)
    assert found == by_hand(cells.uns["dtp_cv"], "f1", seed=5)
    assert found[0]["n_labels"] == 240
    assert found[0]["unit"] == ("cell" if donor_key is None else "donor")
    cells.write_h5ad(tmp_path / "cells.h5ad")
    stored = ad.read_h5ad(tmp_path / "cells.h5ad").uns["dtp_cv"]
    model.adopt(stored)
    assert held(model) == found
    json.dumps(found, allow_nan=False)


@pytest.fixture(scope="module")
def misled():
    """Cells whose label means the opposite in the donors that training holds out."""
    cells = simulate_cells(480, 120, n_donors=6, seed=1)
    rng = np.random.default_rng(0)
    # As many rows of each class in every donor, so that turning a donor changes no fold.
    cells.obs["donor"] = np.repeat([f"d{i}" for i in range(6)], 80)
    up = np.tile([True, False], 240)
    counts = cells.layers["counts"].toarray()
    counts[:, :30] += rng.poisson(np.where(up, 6.0, 1.0)[:, None], (480, 30))
    cells.layers["counts"] = counts.astype(np.float32)
    cells.obs["state"] = np.where(up, "high", "low")
    given = {"positive": "high", "layer": "counts", "donor_key": "donor"}
    DTPTransformer.setup_anndata(cells, "state", **given)
    model = DTPTransformer(cells, n_programs=4, d_model=16, n_blocks=1)
    model.train(max_epochs=1, verbose=False)
    assert model.calibration_.calibrator is not None
    held_out = np.zeros(480, dtype=bool)
    held_out[read_training_data(model, None, 0).inner.folds[0][1]] = True
    cells.obs["state"] = np.where(up != held_out, "high", "low")
    DTPTransformer.setup_anndata(cells, "state", **given)
    model = DTPTransformer(cells, n_programs=4, d_model=16, n_blocks=1)
    with pytest.warns(UserWarning, match="No calibration") as said:
        model.train(max_epochs=1, verbose=False)
    return model, [str(warning.message) for warning in said], int(held_out.sum())


def test_training_without_signal_in_the_held_out_rows_warns(misled):
    model, said, n_held_out = misled
    assert said == [
        f"No calibration: held-out logits are no higher in the positive class ({n_held_out} "
        "rows). Probabilities are the plain sigmoid of the logit; do not read them as "
        "probabilities."
    ]
    assert model.calibration_.calibrator is None
    assert model.calibration_.reason == "held-out logits are no higher in the positive class"
    assert model.calibration_.n_labels == n_held_out


def test_without_calibration_the_score_is_the_sigmoid(misled, tmp_path):
    model, _, _ = misled
    query = simulate_cells(100, 120, n_donors=3, seed=4)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert loaded.calibration_.to_dict() == model.calibration_.to_dict()
    assert loaded.threshold_ == model.threshold_
    for found in (model, loaded):
        adata = query.copy()
        dtp.tl.score(adata, found, layer="counts", transfer="skip")
        logit = found.predict_logits(query, layer="counts")["high"].to_numpy()
        np.testing.assert_allclose(adata.obs["dtp_score"], expit(logit), rtol=1e-9)
        proba = found.predict_proba(query, layer="counts")
        np.testing.assert_allclose(proba["high"], expit(logit), rtol=1e-12)
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
        assert "calibrator" not in adata.uns["dtp"]["calibration"]
        assert "no higher" in adata.uns["dtp"]["calibration"]["reason"]
        adata.write_h5ad(tmp_path / "scored.h5ad")
        with pytest.raises(ValueError, match="a model with a calibration; found none"):
            dtp.tl.recalibrate(adata, prevalence=0.2)
    # The check of the query has nothing to say of the probabilities, and runs.
    assert dtp.tl.transfer_check(query, loaded, layer="counts")["verdict"] in (
        "calls",
        "recalibrate",
        "rank_only",
    )


def test_a_student_of_such_a_teacher_has_none_either(misled):
    student = misled[0].distill(n_genes=30, max_epochs=1, mixtures=1, verbose=False)
    assert student.calibration_.calibrator is None
    logits, proba = student.predict_logits(), student.predict_proba()
    np.testing.assert_allclose(proba["high"], expit(logits["high"]), rtol=1e-12)
