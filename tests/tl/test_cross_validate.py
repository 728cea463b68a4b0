"""What is held out, what is stored, and that nothing leaks; on a small stand-in for a model."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score

from dtp_scvi import pl, stats, tl
from dtp_scvi.train import BASELINES

CHEAP = ("logistic_regression", "mean_expression", "lsc17")
# Without the search for C, which takes longer than all else.
QUICK = CHEAP[1:]


def run(fake, adata, **kwargs):
    arguments = {"n_folds": 4, "baselines": QUICK, "n_boot": 20, "verbose": False}
    table = tl.cross_validate(fake, adata, **{**arguments, **kwargs})
    return table, adata.uns[kwargs.get("key_added", "dtp_cv")]


@pytest.fixture(scope="module")
def evaluated(fresh):
    """Model class, cells, table and result of one run with a tuned baseline; only to be read."""
    fake, cells = fresh()
    return fake, cells, *run(fake, cells, baselines=CHEAP)


def test_no_donor_is_on_both_sides(evaluated):
    fake, cells, _, result = evaluated
    donors = cells.obs["donor"].to_numpy()
    assert len(fake.trained) == 4
    for number, call in enumerate(fake.trained):
        held_out = donors[result["fold"] == number]
        assert not set(donors[call["indices"]]) & set(held_out)
        assert len(call["indices"]) == cells.n_obs - len(held_out)
        assert set(result["folds"]["held_out"][number].split(", ")) == set(held_out)
    assert result["params"]["protocol"] == "donor-grouped 4-fold"
    assert result["params"]["optimistic"] is False
    assert result["params"]["interval"] == "bootstrap over 8 donors"
    assert result["group"].tolist() == donors.tolist()


def test_labels_of_a_fold_do_not_reach_its_scores(evaluated, fake, cells):
    *_, before = evaluated
    # The same donors keep the same share of positives, so the folds stay as they are.
    rng = np.random.default_rng(1)
    state = cells.obs["state"].to_numpy(copy=True)
    fold = before["fold"] == 0
    for donor in cells.obs["donor"][fold].unique():
        rows = np.flatnonzero(cells.obs["donor"] == donor)
        state[rows] = rng.permutation(state[rows])
    assert (state != cells.obs["state"]).sum() > 20
    cells.obs["state"] = state
    _, after = run(fake, cells, baselines=CHEAP)
    assert np.array_equal(before["fold"], after["fold"])
    same = before["scores"] == after["scores"]
    assert same[fold].all(axis=None)
    assert not same[~fold].any(axis=None)
    cuts = [name for name in before["folds"] if name.startswith("threshold_")]
    assert (before["folds"][cuts].iloc[0] == after["folds"][cuts].iloc[0]).all()


def test_metrics_are_those_of_the_stored_scores(evaluated):
    _, cells, table, result = evaluated
    label, fold = result["label"], result["fold"]
    assert np.array_equal(label, cells.obs["state"] == "bad")
    value = table.set_index(["model", "metric"])["value"]
    for name in ("Fake", *CHEAP):
        score = result["scores"][name].to_numpy()
        p = result["probabilities"][name].to_numpy()
        if name == "Fake":
            assert p == pytest.approx(stats.sigmoid(score))
        else:
            # Calibrated inside each fold on inner held-out rows: same order, other numbers.
            for number in range(fold.max() + 1):
                here = fold == number
                slope, start = np.polyfit(score[here], stats.logit(p[here]), 1)
                assert slope > 0
                expected = stats.sigmoid(slope * score[here] + start)
                assert p[here] == pytest.approx(expected, abs=1e-6)
        called = p >= result["folds"][f"threshold_{name}"].to_numpy()[fold]
        assert value[name, "auroc"] == pytest.approx(roc_auc_score(label, score))
        assert value[name, "brier"] == pytest.approx(brier_score_loss(label, p))
        assert value[name, "f1"] == pytest.approx(f1_score(label, called))
    differences = result["differences"].set_index(["baseline", "metric"])["value"]
    for name in CHEAP:
        expected = value["Fake", "auroc"] - value[name, "auroc"]
        assert differences[name, "auroc"] == pytest.approx(expected)
    chosen = stats.choose_threshold(label, result["probabilities"]["Fake"], n_boot=0)
    assert result["threshold"]["value"] == chosen.value
    assert result["threshold"]["low"] <= chosen.value <= result["threshold"]["high"]


def test_scores_are_what_the_model_says(fake, cells):
    _, result = run(fake, cells, baselines=(), model_kwargs={"C": 0.01})
    call = fake.trained[0]
    again = fake(cells, C=0.01)
    again.train(**call)
    rows = np.flatnonzero(result["fold"] == 0)
    expected = again.predict_logits(indices=rows)["bad"]
    assert result["scores"].iloc[rows]["Fake"].to_numpy() == pytest.approx(expected.to_numpy())
    assert result["folds"]["threshold_Fake"][0] == again.threshold_["value"]
    assert result["differences"].empty


def test_result_survives_the_file(fake, cells, tmp_path):
    _, result = run(fake, cells, distill=True)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    read = ad.read_h5ad(tmp_path / "cells.h5ad")
    stored = read.uns["dtp_cv"]
    assert set(stored) == set(result)
    for name, item in result.items():
        if isinstance(item, pd.DataFrame):
            pd.testing.assert_frame_equal(stored[name], item, check_names=False)
    assert np.array_equal(stored["label"], result["label"])
    assert set(stored["params"]) == set(result["params"])
    assert stored["params"]["lsc17"]["n_found"] == 2
    assert set(stored["params"]["seconds"]) == {"Fake", "student", *QUICK}
    for name in ("roc", "pr", "calibration", "benchmark", "threshold_sweep", "fidelity"):
        assert getattr(pl, name)(read).get_xlabel()
    for name in ("decision_curve", "coverage", "threshold_transfer"):
        assert getattr(pl, name)(read).get_xlabel()
    batches = pl.threshold_transfer(read, cohort_key="batch").get_xticklabels()
    assert [text.get_text() for text in batches] == ["x", "y"]


def test_benefit_and_coverage_are_those_of_the_stored_probabilities(evaluated):
    *_, result = evaluated
    label, p = result["label"], result["probabilities"]
    table = result["decision_curve"]
    assert set(table["strategy"]) == {"Fake", *CHEAP, "all", "none"}
    for name in ("Fake", "lsc17"):
        expected = stats.decision_curve(label, p[name], groups=result["group"], n_boot=20)
        mine = table[table["strategy"] == name].reset_index(drop=True)
        wanted = expected[expected["strategy"] == "model"].drop(columns="strategy")
        pd.testing.assert_frame_equal(mine.drop(columns="strategy"), wanted)
    coverage = stats.conformal_coverage(label, p["Fake"], result["group"], n_boot=20)
    pd.testing.assert_frame_equal(result["coverage"], coverage)
    held = result["coverage"].set_index("level")["reason"]
    assert (held[0.8] == "").all()
    assert (held[0.9] == "needs 9 donors of each class to fit on, 7 left").all()


def test_same_seed_same_result(fake, cells):
    first, second, other = (run(fake, cells, seed=seed)[1] for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(first["scores"], second["scores"])
    pd.testing.assert_frame_equal(first["metrics"], second["metrics"])
    # Other resamples, and another seed for each fit; donors of unequal size leave one best split.
    assert not first["metrics"]["low"].equals(other["metrics"]["low"])
    seeds = [[call["seed"] for call in fake.trained[k : k + 4]] for k in (0, 4, 8)]
    assert seeds[0] == seeds[1]
    assert len({*seeds[0], *seeds[2]}) == 8


# Forests and boosting go through the same folds as the others; they take long.
@pytest.mark.parametrize("baselines", [CHEAP, pytest.param(BASELINES, marks=pytest.mark.slow)])
def test_labels_permuted_within_donors_can_not_be_predicted(fake, draw_cells, baselines):
    cells = draw_cells(500)
    fake.setup_anndata(cells, "state", donor_key="donor")
    informed, _ = run(fake, cells, baselines=())
    rng = np.random.default_rng(0)
    cells.obs["state"] = cells.obs.groupby("donor", observed=True)["state"].transform(
        lambda column: rng.permutation(column.to_numpy())
    )
    table, _ = run(fake, cells, baselines=baselines, n_folds=3)
    auroc = table[table["metric"] == "auroc"].set_index("model")["value"]
    assert informed.set_index("metric")["value"]["auroc"] > 0.8
    assert set(auroc.index) == {"Fake", *baselines}
    assert (auroc - 0.5).abs().max() < 0.1


def test_batches_are_held_out_with_their_donors(fake, cells):
    cells.obs.loc[cells.obs_names[:40], "donor"] = "everywhere"
    with pytest.warns(UserWarning, match="Some donors are in several batches"):
        _, result = run(fake, cells, batch_folds=True)
    assert result["params"]["protocol"] == "leave-one-batch-out (2 batches)"
    assert result["folds"]["held_out"].tolist() == ["x", "y"]
    obs = cells.obs
    for call, batch in zip(fake.trained, ("x", "y"), strict=True):
        trained = obs.iloc[call["indices"]]
        assert set(trained["batch"]) == {"x", "y"} - {batch}
        assert not set(trained["donor"]) & set(obs["donor"][obs["batch"] == batch])


def test_one_donor_splits_cells_and_says_so(fake, cells):
    cells.obs["donor"] = "only"
    with pytest.warns(
        UserWarning, match=r"one donor \(only\): the metrics are optimistic"
    ) as seen:
        _, result = run(fake, cells)
    assert len(seen) == 1
    params = result["params"]
    assert params["optimistic"] is True
    assert params["protocol"].startswith("cell-level 4-fold (optimistic: one donor (only)")
    assert params["interval"].startswith("bootstrap over cells (optimistic")
    assert params["warnings"].tolist() == [str(seen[0].message)]


def test_without_donor_key_cells_are_split(fake, cells):
    fake.setup_anndata(cells, "state")
    with pytest.warns(UserWarning, match="there is no donor_key"):
        _, result = run(fake, cells)
    assert set(result["coverage"]["reason"]) == {"donors unknown"}
    assert result["coverage"]["coverage"].isna().all()
    assert set(result["group"]) == {""}
    assert "n_donors" not in result["params"]
    assert "donor_key" not in result["params"]


def test_cells_are_split_on_request_without_a_warning(fake, cells, evaluated):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, result = run(fake, cells, cell_level=True)
    assert result["params"]["optimistic"] is True
    assert "cells of one donor are in training and test" in result["params"]["protocol"]
    # Intervals still draw donors: their cells are alike.
    assert result["params"]["interval"] == "bootstrap over 8 donors"
    assert set(result["coverage"]["reason"]) == {"cells were held out, not donors"}
    # No donor was left out of what the calibration was fitted on.
    assert result["calibration"]["unit"] == "cell"
    assert result["calibration"]["n_groups"] == 8
    *_, grouped = evaluated
    assert grouped["calibration"]["unit"] == "donor"


@pytest.mark.parametrize("what", ["donor", "batch"])
def test_label_that_follows_the_donor_is_warned_of(fake, cells, what):
    cells.obs[what] = cells.obs[what].astype(str) + cells.obs["state"]
    with pytest.warns(UserWarning, match=f"The {what} determines the label") as seen:
        _, result = run(fake, cells)
    assert result["params"]["warnings"].tolist() == [str(w.message) for w in seen]


def test_the_audit_is_stored_beside_the_metrics(evaluated, fake, cells):
    _, audited, _, result = evaluated
    pd.testing.assert_frame_equal(result["audit"], audited.uns["dtp_audit"]["table"])
    assert "determined_by_donor" in set(result["audit"]["check"])
    _, result = run(fake, cells, audit=False)
    assert "audit" not in result
    assert "dtp_audit" not in cells.uns
