"""Each baseline against its definition on planted effects, and through its public class."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from dtp_scvi import pp
from dtp_scvi.model import PerturbationBaseline
from dtp_scvi.train import NEED_STRUCTURES, PERTURBATION_BASELINES

N_GENES = 25


def make_wells(
    n_drugs=30, cells=("A", "B"), doses=(1.0, 10.0), noise=0.0, seed=0, structures=True
):
    """Wells of which each drug's effect is linear in its bits × log10(dose + 1)."""
    rng = np.random.default_rng(seed)
    bits = (rng.random((n_drugs, 16)) < 0.3).astype(np.uint8)
    weight, of_cell = rng.normal(size=(16, N_GENES)), rng.normal(size=(len(cells), N_GENES))
    base = rng.normal(8, 2, size=(len(cells), N_GENES))
    parts = np.repeat(["train", "valid", "test"], [n_drugs - 10, 5, 5])
    rows, values = [], []
    for c, cell in enumerate(cells):
        rows += [("DMSO", cell, 1.0, "control")] * 6
        values += [base[c] + noise * rng.normal(size=N_GENES) for _ in range(6)]
        for d in range(n_drugs):
            for dose in doses:
                rows.append((f"d{d:02d}", cell, dose, parts[d]))
                effect = 0.3 * bits[d] @ weight * np.log10(dose + 1) + of_cell[c]
                values.append(base[c] + effect + noise * rng.normal(size=N_GENES))
    obs = pd.DataFrame(rows, columns=["drug", "cell", "dose", "split"])
    obs.index = [f"w{i}" for i in range(len(obs))]
    obs["time"] = 24.0
    wells = ad.AnnData(np.asarray(values, np.float32), obs)
    if structures:
        table = pd.DataFrame({"smiles": "C"}, index=[f"d{d:02d}" for d in range(n_drugs)])
        wells.uns["drugs"] = {"table": table, "bits": bits}
    pp.pair_controls(wells, drug_key="drug", control_label="DMSO", cell_key="cell")
    return wells


def change_of(wells):
    return wells.X - wells.obsm["dtp_control"]


def part_of(wells, name):
    return wells[wells.obs["split"] == name].copy()


def fit(name, wells, **options):
    return PerturbationBaseline(name, dose_key="dose", time_key="time", **options).fit(wells)


@pytest.fixture(scope="module")
def noisy():
    return make_wells(noise=0.3)


def test_copy_and_mean_baselines_are_their_definitions(noisy):
    train, test = part_of(noisy, "train"), part_of(noisy, "test")
    change = change_of(train)
    found = {
        name: fit(name, noisy).predict(test, return_delta=True).to_numpy()
        for name in ("copy_control", "mean_delta", "cell_mean_delta", "drug_mean_delta")
    }
    assert not found["copy_control"].any()
    np.testing.assert_allclose(
        found["mean_delta"], np.tile(change.mean(axis=0), (len(test), 1)), rtol=1e-4
    )
    # Drugs of the test part are not in training.
    np.testing.assert_array_equal(found["drug_mean_delta"], found["mean_delta"])
    for cell in "AB":
        expected = change[(train.obs["cell"] == cell).to_numpy()].mean(axis=0)
        rows = (test.obs["cell"] == cell).to_numpy()
        np.testing.assert_allclose(found["cell_mean_delta"][rows][0], expected, rtol=1e-4)


def test_control_mean_is_that_of_the_cell_line(noisy):
    test = part_of(noisy, "test")
    found = fit("cell_control_mean", noisy).predict(test, return_delta=False)
    # One plate: the mean of plate means is the control itself.
    np.testing.assert_allclose(found, test.obsm["dtp_control"], rtol=1e-6)
    pp.pair_controls(noisy, drug_key="drug", control_label="DMSO", cell_key="cell", how="well")
    test = part_of(noisy, "test")
    predicted = fit("cell_control_mean", noisy).predict(test, return_delta=False).to_numpy()
    inputs = noisy[(noisy.obs["dtp_control_role"] == "input") & (noisy.obs["cell"] == "A")]
    at = (test.obs["cell"] == "A").to_numpy()
    np.testing.assert_allclose(predicted[at][0], inputs.X.mean(axis=0), rtol=1e-5)
    pp.pair_controls(noisy, drug_key="drug", control_label="DMSO", cell_key="cell")


def test_drug_mean_takes_the_nearest_dose(noisy):
    train = part_of(noisy, "train")
    asked = train[(train.obs["drug"] == "d03") & (train.obs["cell"] == "A")].copy()
    asked.obs["dose"] = [0.1, 50.0]
    found = fit("drug_mean_delta", noisy).predict(asked, return_delta=True).to_numpy()
    for i, dose in enumerate((1.0, 10.0)):
        rows = ((train.obs["drug"] == "d03") & (train.obs["dose"] == dose)).to_numpy()
        np.testing.assert_allclose(found[i], change_of(train)[rows].mean(axis=0), rtol=1e-4)


def test_additive_recovers_a_known_drug_in_an_unseen_pair():
    """Without noise and with little to shrink, cell plus drug is exact at one dose."""
    wells = make_wells(doses=(10.0,))
    left_out = ((wells.obs["drug"] == "d02") & (wells.obs["cell"] == "B")).to_numpy()
    wells.obs["split"] = np.where(
        left_out, "test", np.where(wells.obs["drug"] == "DMSO", "control", "train")
    )
    other = ((wells.obs["drug"] == "d04") & (wells.obs["cell"] == "A")).to_numpy()
    wells.obs.loc[other, "split"] = "valid"
    model = fit("additive", wells)
    assert model.details["value"] == 0.3
    assert model.details["chosen_on"] == "valid"
    test = part_of(wells, "test")
    truth, predicted = change_of(test)[0], model.predict(test, return_delta=True).to_numpy()[0]
    assert np.corrcoef(truth, predicted)[0, 1] > 0.97


def test_ridge_agrees_with_sklearn_and_recovers_planted_effects():
    wells = make_wells()
    model, train, test = fit("ridge", wells), part_of(wells, "train"), part_of(wells, "test")
    predicted = model.predict(test, return_delta=True).to_numpy()
    truth = change_of(test)
    assert np.corrcoef(truth.ravel(), predicted.ravel())[0, 1] > 0.9
    # Controls without noise take two values, so that the cell line is what the components say.
    bits = pd.DataFrame(wells.uns["drugs"]["bits"], index=wells.uns["drugs"]["table"].index)

    def features(rows):
        line = np.where(rows.obs["cell"] == "A", -1.0, 1.0) * scale
        dose = np.log10(rows.obs["dose"].to_numpy() + 1)[:, None]
        return np.hstack([line[:, None], bits.loc[rows.obs["drug"]].to_numpy() * dose])

    n = len(train)
    scale = np.sqrt((n - 1) / n)
    oracle = Ridge(alpha=model.details["value"]).fit(features(train), change_of(train))
    np.testing.assert_allclose(predicted, oracle.predict(features(test)), atol=2e-3)


def test_neighbours_are_weighted_by_tanimoto_similarity():
    wells = make_wells(doses=(10.0,), cells=("A",))
    model, train, test = (
        fit("tanimoto_knn", wells),
        part_of(wells, "train"),
        part_of(wells, "test"),
    )
    k = model.details["value"]
    bits = pd.DataFrame(wells.uns["drugs"]["bits"] > 0, index=wells.uns["drugs"]["table"].index)
    known, change = bits.loc[train.obs["drug"]].to_numpy(), change_of(train)
    predicted = model.predict(test, return_delta=True).to_numpy()
    for i, drug in enumerate(test.obs["drug"]):
        mine = bits.loc[drug].to_numpy()
        similar = (known & mine).sum(axis=1) / (known | mine).sum(axis=1)
        nearest = np.argsort(-similar, kind="stable")[:k]
        np.testing.assert_allclose(
            predicted[i], np.average(change[nearest], axis=0, weights=similar[nearest]), rtol=1e-4
        )


def test_bilinear_recovers_planted_effects_of_structure():
    wells = make_wells(n_drugs=60, doses=(10.0,), cells=("A",))
    test = part_of(wells, "test")
    predicted = fit("bilinear", wells).predict(test, return_delta=True).to_numpy()
    centre = fit("mean_delta", wells).predict(test, return_delta=True).to_numpy()
    truth = change_of(test)
    assert np.mean((predicted - truth) ** 2) < 0.6 * np.mean((centre - truth) ** 2)


def test_drug_free_network_learns_the_cell_line_alone():
    wells = make_wells(noise=0.05)
    model, test = fit("drug_free_mlp", wells), part_of(wells, "test")
    predicted = model.predict(test)
    expected = fit("cell_mean_delta", wells).predict(test)
    gap = np.abs(predicted.to_numpy() - expected.to_numpy()).mean()
    assert gap < 0.4 * np.abs(expected.to_numpy()).mean()
    assert model.details["n_epochs"] >= 1
    test.obs["drug"] = "d01"
    pd.testing.assert_frame_equal(model.predict(test, return_delta=True), predicted)


@pytest.mark.parametrize("name", PERTURBATION_BASELINES)
def test_every_baseline_predicts_by_row_and_reads_no_treated_value(name, noisy):
    model, test = fit(name, noisy), part_of(noisy, "test")
    change = model.predict(test)
    assert change.shape == test.shape
    assert change.index.equals(test.obs_names)
    assert change.columns.equals(test.var_names)
    np.testing.assert_allclose(
        model.predict(test, return_delta=False),
        test.obsm["dtp_control"] + change.to_numpy(),
        rtol=1e-5,
    )
    order = np.random.default_rng(0).permutation(len(test))
    other = test[order].copy()
    other.X = np.zeros_like(other.X)
    shuffled = model.predict(other, return_delta=True)
    np.testing.assert_allclose(shuffled, change.iloc[order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PERTURBATION_BASELINES)
def test_values_of_the_test_part_change_nothing(name, noisy):
    changed = noisy.copy()
    test = (changed.obs["split"] == "test").to_numpy()
    changed.X[test] += 100.0
    rows = part_of(noisy, "test")
    pd.testing.assert_frame_equal(fit(name, changed).predict(rows), fit(name, noisy).predict(rows))


def test_same_seed_same_network(noisy):
    rows = part_of(noisy, "test")
    tables = [fit("drug_free_mlp", noisy, seed=seed).predict(rows) for seed in (0, 0, 1)]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not np.allclose(tables[0], tables[2])


@pytest.mark.parametrize("name", ["additive", "ridge", "tanimoto_knn", "drug_free_mlp"])
def test_without_validation_rows_nothing_is_chosen(name, noisy):
    wells = noisy[noisy.obs["split"] != "valid"].copy()
    assert fit(name, wells).details["chosen_on"] == "none: no validation rows"


def test_backed_and_sparse_data_fit_alike(noisy, tmp_path):
    import scipy.sparse as sp

    rows = part_of(noisy, "test")
    expected = fit("ridge", noisy).predict(rows)
    sparse = noisy.copy()
    sparse.X = sp.csr_matrix(sparse.X)
    noisy.write_h5ad(tmp_path / "wells.h5ad")
    backed = ad.read_h5ad(tmp_path / "wells.h5ad", backed="r")
    for other in (sparse, backed):
        np.testing.assert_allclose(fit("ridge", other).predict(rows), expected, rtol=1e-5)


def test_an_unseen_cell_line_gets_the_mean_of_all(noisy):
    wells = noisy.copy()
    wells.obs["split"] = np.where(
        wells.obs["drug"] == "DMSO", "control", np.where(wells.obs["cell"] == "B", "test", "train")
    )
    test = part_of(wells, "test")
    found = fit("cell_mean_delta", wells).predict(test, return_delta=True)
    pd.testing.assert_frame_equal(found, fit("mean_delta", wells).predict(test, return_delta=True))
    # Its controls are known, though it was not trained on.
    np.testing.assert_allclose(
        fit("cell_control_mean", wells).predict(test, return_delta=False),
        test.obsm["dtp_control"],
        rtol=1e-6,
    )


@pytest.mark.parametrize("name", NEED_STRUCTURES)
def test_structures_are_needed(name):
    with pytest.raises(ValueError, match="fingerprints of drugs"):
        fit(name, make_wells(structures=False))


def test_bad_input(noisy):
    with pytest.raises(ValueError, match="`name` to be one of"):
        PerturbationBaseline("mean")
    with pytest.raises(RuntimeError, match=r"Run .fit\(adata\) first"):
        PerturbationBaseline("mean_delta").predict(noisy)
    bare = ad.AnnData(noisy.X.copy(), noisy.obs.copy())
    with pytest.raises(KeyError, match=r"Run dtp\.pp\.pair_controls first"):
        PerturbationBaseline("mean_delta").fit(bare)
    with pytest.raises(KeyError, match="`split_key` to name a key"):
        PerturbationBaseline("mean_delta").fit(noisy, split_key="fold")
    wells = noisy.copy()
    wells.obs["split"] = "test"
    with pytest.raises(ValueError, match='treated rows of part "train"'):
        PerturbationBaseline("mean_delta").fit(wells)
    wells = noisy.copy()
    wells.obs["dose"] = wells.obs["dose"].astype(str) + " uM"
    with pytest.raises(ValueError, match="found text"):
        fit("mean_delta", wells)
    wells = noisy.copy()
    wells.obs.loc[wells.obs["drug"] == "d01", "dose"] = 0.0
    with pytest.raises(ValueError, match=r"above 0 µM in every treated row; found .* rows with 0"):
        fit("mean_delta", wells)
