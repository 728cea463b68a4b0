"""The control that says what a protocol finds where there is nothing to find."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp
from dtp_scvi import tl
from dtp_scvi.data import row_hashes
from dtp_scvi.tl._permutation_labels import exchange_units, permute_labels, resolve_by

PROTOCOL = {"n_folds": 3}


def control(fake, adata, **kwargs):
    arguments = {"models": ["mean_expression"], "n_permutations": 5, "verbose": False}
    arguments |= {} if "observed" in kwargs else {"protocol": PROTOCOL}
    return tl.permutation_control(fake, adata, **{**arguments, **kwargs})


def validate(fake, adata, **kwargs):
    arguments = {"n_folds": 3, "baselines": ("mean_expression",), "n_boot": 20, "audit": False}
    tl.cross_validate(fake, adata, **{"verbose": False, **arguments, **kwargs})
    return adata.uns["dtp_cv"]


@pytest.fixture
def bulk(fake):
    """One row a donor; the response rises with the total of the first genes, not with the study."""
    rng = np.random.default_rng(0)
    n = 90
    response = rng.random(n) < 0.45
    mean = rng.gamma(2.0, 10.0, 20) * np.ones((n, 1))
    mean[response, :8] *= 1.5
    obs = pd.DataFrame(
        {
            "state": np.where(response, "bad", "good"),
            "donor": [f"p{i}" for i in range(n)],
            "study": np.where(np.arange(n) < 40, "A", "B"),
        },
        index=[f"s{i}" for i in range(n)],
    )
    var = pd.DataFrame(index=[f"G{i}" for i in range(20)])
    adata = ad.AnnData(rng.poisson(mean).astype(np.float32), obs=obs, var=var)
    fake.setup_anndata(adata, "state")
    return adata


@pytest.mark.filterwarnings("ignore:Cross-validation splits single cells")
def test_signal_is_placed_above_the_permutations(fake, bulk, tmp_path):
    table = control(fake, bulk, models=["logistic_regression"], n_permutations=9)
    row = table.iloc[0]
    assert row["observed"] > 0.8
    assert abs(row["mean"] - 0.5) < 0.12
    assert (row["n_as_high"], row["p"]) == (0, 0.1)
    assert row["low"] <= row["mean"] <= row["high"] < row["observed"]
    result = bulk.uns["dtp_permutation"]
    assert result["params"]["by"] == "row"
    assert len(result["draws"]) == 9
    assert result["draws"]["value"].nunique() > 5
    # Only the model that was asked for was fitted, and labels are as they were.
    assert fake.trained == []
    bulk.write_h5ad(tmp_path / "bulk.h5ad")
    stored = ad.read_h5ad(tmp_path / "bulk.h5ad").uns["dtp_permutation"]
    pd.testing.assert_frame_equal(stored["table"], result["table"], check_names=False)


def test_the_observed_value_is_that_of_the_cross_validation(fake, cells):
    result = validate(fake, cells)
    own = control(fake, cells)
    stored = control(fake, cells, observed=result)
    pd.testing.assert_frame_equal(own, stored)
    auroc = result["metrics"].set_index(["model", "metric"])["value"]["mean_expression", "auroc"]
    assert own["observed"].tolist() == [auroc]
    again = control(fake, cells, observed=result, seed=1)
    assert not np.allclose(own["mean"], again["mean"])


def test_an_observed_result_may_come_from_a_file(fake, cells, tmp_path):
    result = validate(fake, cells)
    own = control(fake, cells, observed=result)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    read = ad.read_h5ad(tmp_path / "cells.h5ad").uns["dtp_cv"]
    pd.testing.assert_frame_equal(control(fake, cells, observed=read), own)


def test_p_counts_the_observed_value_itself(fake, cells):
    table = control(fake, cells, n_permutations=7)
    draws = cells.uns["dtp_permutation"]["draws"]["value"]
    n = int((draws >= table["observed"][0] - 1e-12).sum())
    assert table[["n_as_high", "p"]].iloc[0].tolist() == [n, (n + 1) / 8]
    assert table["mean"][0] == pytest.approx(draws.mean())


def test_another_protocol_is_not_compared(fake, cells):
    result = validate(fake, cells)
    with pytest.raises(ValueError, match=r"same protocol.*n_folds 3 and 4"):
        control(fake, cells, observed=result, protocol={"n_folds": 4})
    with pytest.raises(ValueError, match="`observed` to hold every model; found none for lsc17"):
        control(fake, cells, observed=result, models=["lsc17"])
    with pytest.raises(ValueError, match=r"arguments of the model .*'C', 0.5.* and .*\[\]"):
        control(
            fake, cells, observed=validate(fake, cells, model_kwargs={"C": 0.5}), models=["Fake"]
        )
    cells.X[0, 0] += 1
    with pytest.raises(ValueError, match="found the rows, labels or donors of the data"):
        control(fake, cells, observed=result)


@pytest.mark.filterwarnings("ignore:Cross-validation splits single cells")
def test_within_studies_what_the_study_says_is_left(fake, bulk):
    # In study A nearly all respond, in B hardly any; expression knows the study.
    first = bulk.obs["study"].to_numpy() == "A"
    rng = np.random.default_rng(1)
    bulk.obs["state"] = np.where(rng.random(90) < np.where(first, 0.8, 0.2), "bad", "good")
    bulk.X[first, :5] += 60
    protocol = {**PROTOCOL, "study_key": "study"}
    table = control(
        fake, bulk, models=["logistic_regression", "study_only"], protocol=protocol
    ).set_index(["model", "metric"])
    assert table.loc[("logistic_regression", "auroc"), "mean"] > 0.65
    assert (
        abs(table.loc[("logistic_regression", "auroc_within_study_and_fold"), "mean"] - 0.5) < 0.1
    )
    assert table.loc[("study_only", "auroc_within_study_and_fold"), "mean"] == 0.5
    assert bulk.uns["dtp_permutation"]["params"]["within_study"] is True
    with pytest.raises(ValueError, match="study_only: not defined"):
        control(fake, bulk, models=["study_only"], protocol={**protocol, "study_folds": True})


@pytest.mark.filterwarnings("ignore:Cross-validation splits single cells")
def test_smote_inside_folds_finds_nothing_in_permuted_labels(fake, bulk, monkeypatch):
    pytest.importorskip("imblearn")
    monkeypatch.setattr("dtp_scvi.train._baseline_trees.N_TREES", 40)
    monkeypatch.setattr("dtp_scvi.train._baseline_trees._N_INNER_TREES", 10)
    bulk.obs["state"] = np.where(np.arange(90) % 4 == 0, "bad", "good")
    protocol = {**PROTOCOL, "resample": "smote"}
    table = control(fake, bulk, models=["random_forest"], protocol=protocol, n_permutations=8)
    assert abs(table["mean"][0] - 0.5) < 0.08
    assert bulk.uns["dtp_permutation"]["params"]["arguments"]["resample"] == "smote"


@pytest.mark.filterwarnings("ignore:The metrics are optimistic", "ignore:Cross-validation splits")
def test_a_leaky_protocol_shows_itself(fake, bulk, monkeypatch):
    monkeypatch.setattr("dtp_scvi.train._baseline_more.ADABOOST_ROUNDS", 15)
    again = bulk[bulk.obs["state"] == "bad"].copy()
    again.obs_names = again.obs_names + "_copy"
    leaky = ad.concat([bulk, again])
    fake.setup_anndata(leaky, "state")
    with pytest.raises(ValueError, match="have an identical row in training data"):
        control(fake, leaky)
    protocol = {**PROTOCOL, "allow_shared_rows": True}
    table = control(fake, leaky, models=["adaboost"], protocol=protocol, n_permutations=4)
    assert table["mean"][0] > 0.65
    assert leaky.uns["dtp_permutation"]["params"]["optimistic"] is True
    assert leaky.uns["dtp_permutation"]["params"]["n_units"] == bulk.n_obs


def test_a_model_is_trained_on_the_permuted_labels():
    cells = dtp.datasets.simulate_cells(300, 200, n_donors=6, seed=1)
    dtp.DTPTransformer.setup_anndata(
        cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    before = cells.obs["state"].copy()
    table = tl.permutation_control(
        dtp.DTPTransformer,
        cells,
        models=["teacher"],
        n_permutations=1,
        protocol={"n_folds": 2},
        model_kwargs={"n_programs": 8},
        train_kwargs={"max_epochs": 2},
        verbose=False,
    )
    assert cells.obs["state"].equals(before)
    assert table["model"].tolist() == ["teacher"]
    assert table["observed"][0] > table["mean"][0] + 0.1


class Reg:
    """The columns of a registration that matter here."""

    def __init__(self, labels, donors=None):
        self.labels = np.array(labels)
        self.donors = None if donors is None else np.array(donors)


def shuffled(reg, by, studies=None, hashes=None, seed=0):
    hashes = np.arange(1, len(reg.labels) + 1) if hashes is None else hashes
    unit, stratum = exchange_units(reg, hashes, studies, by)
    return permute_labels(reg.labels, unit, stratum, np.random.default_rng(seed))


def test_donors_exchange_their_labels_as_a_whole():
    donors = np.repeat(list("abcdef"), [3, 1, 4, 2, 5, 1])
    reg = Reg(np.where(np.isin(donors, ["a", "c"]), "x", "y"), donors)
    assert resolve_by(None, reg) == "donor"
    found = [shuffled(reg, "donor", seed=seed) for seed in range(6)]
    for labels in found:
        per_donor = pd.Series(labels).groupby(donors).unique()
        assert all(len(values) == 1 for values in per_donor)
        assert sum(values[0] == "x" for values in per_donor) == 2
    assert len({"".join(labels) for labels in found}) > 1


def test_rows_of_a_donor_keep_its_share_and_studies_theirs():
    rng = np.random.default_rng(0)
    donors, labels = rng.choice(list("abc"), 60), rng.choice(["x", "y"], 60)
    reg = Reg(labels, donors)
    assert resolve_by(None, reg) == "within_donor"
    found = shuffled(reg, "within_donor")
    assert not np.array_equal(found, labels)
    for donor in "abc":
        here = donors == donor
        assert sorted(found[here]) == sorted(labels[here])
    studies = np.where(np.arange(60) < 20, "s", "t")
    found = shuffled(reg, "row", studies=studies)
    assert sorted(found[:20]) == sorted(labels[:20])
    assert sorted(found[20:]) == sorted(labels[20:])


def test_copies_keep_one_label():
    values = np.random.default_rng(0).random((30, 4))
    hashes = row_hashes(np.vstack([values, values[:10], np.zeros((4, 4))]))
    labels = np.array(["x"] * 10 + ["y"] * 20 + ["x"] * 10 + ["y"] * 4)
    unit, _ = exchange_units(Reg(labels), hashes, None, "row")
    assert len(set(unit)) == 34  # empty rows are no copies
    found = shuffled(Reg(labels), "row", hashes=hashes)
    assert np.array_equal(found[:10], found[30:40])
    assert not np.array_equal(found, labels)


@pytest.mark.parametrize(
    ("by", "labels", "donors", "words"),
    [
        ("donor", list("xyxy"), list("aabb"), r"donors of one class each.*2 with several \(a, b"),
        ("within_donor", list("xxyy"), list("aabb"), "no label would move"),
        ("donor", list("xxyy"), None, "two donors or more for by='donor'"),
        ("cell", list("xxyy"), None, "`by` to be one of 'donor'"),
    ],
)
def test_what_can_not_be_exchanged_is_an_error(by, labels, donors, words):
    with pytest.raises(ValueError, match=words):
        resolve_by(by, Reg(labels, donors))


def test_unknown_arguments_are_errors(fake, cells):
    with pytest.raises(TypeError, match="a protocol of n_folds"):
        control(fake, cells, protocol={"folds": 3})
    with pytest.raises(ValueError, match="`n_permutations` to be a whole number"):
        control(fake, cells, n_permutations=0)
    with pytest.raises(ValueError, match="models that can be fitted; found none"):
        control(fake, cells, models=[])
