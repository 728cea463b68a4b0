from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from dtp_scvi import pp
from dtp_scvi.datasets import simulate_perturbation
from dtp_scvi.datasets._simulate_perturbation_drugs import (
    MOST_DRUGS,
    PAIRS,
    SCAFFOLDS,
    SUBSTITUENTS,
)


def profile(adata, **where):
    """The planted change in the wells that are meant, and their rows of ``obs``."""
    chosen = np.all([(adata.obs[key] == value).to_numpy() for key, value in where.items()], axis=0)
    return adata.layers["truth"][chosen], adata.obs[chosen]


def test_layout_and_seed(tmp_path):
    adata = simulate_perturbation(3, n_drugs=7, n_genes=15, n_replicates=2, n_plates=3)
    wells = 3 * 7 * 3 * 2 * 2
    controls = 3 * 2 * 3 * 6
    assert adata.shape == (wells + controls, 15)
    obs = adata.obs
    assert (obs["drug"] == "DMSO").equals(obs["is_control"])
    assert (obs.loc[obs["is_control"], "dose"] == 0).all()
    assert (obs.loc[~obs["is_control"], "dose"] > 0).all()
    # A plate holds one line and one time, and has controls of its own.
    by_plate = obs.groupby("plate", observed=True)
    assert by_plate[["cell", "time"]].nunique().eq(1).all(axis=None)
    assert by_plate["is_control"].sum().eq(6).all()
    copies = obs[~obs["is_control"]].groupby(["cell", "drug", "dose", "time"], observed=True)
    assert copies["plate"].nunique().eq(2).all()
    assert adata.X.min() >= 2
    assert adata.X.max() <= 15
    assert np.array_equal(
        simulate_perturbation(2, n_genes=5).X, simulate_perturbation(2, n_genes=5).X
    )
    free = simulate_perturbation(2, n_drugs=4, n_genes=5, seed=None)
    free.write_h5ad(tmp_path / "x.h5ad")
    record = ad.read_h5ad(tmp_path / "x.h5ad").uns["dtp_simulation"]
    assert record["simulated"]
    again = simulate_perturbation(2, n_drugs=4, n_genes=5, seed=int(record["seed"]))
    assert np.array_equal(again.X, free.X)


def test_every_molecule_is_valid_and_different():
    chem = pytest.importorskip("rdkit.Chem")
    groups = list(SUBSTITUENTS.values())
    written = [s.format(a=groups[i], b=groups[j]) for s in SCAFFOLDS.values() for i, j in PAIRS]
    canonical = {chem.MolToSmiles(chem.MolFromSmiles(smiles)) for smiles in written}
    assert len(written) == len(canonical) == MOST_DRUGS == 1260


def test_truth_is_what_is_left_without_noise():
    adata = simulate_perturbation(2, n_drugs=6, n_genes=30, plate_sd=0, noise_sd=0)
    control = adata.obs["is_control"].to_numpy()
    for cell in adata.obs["cell"].unique():
        here = (adata.obs["cell"] == cell).to_numpy()
        basal = adata.X[here & control][0]
        change = adata.X[here & ~control] - basal
        truth = adata.layers["truth"][here & ~control]
        inside = (basal + truth > 2) & (basal + truth < 15)
        np.testing.assert_allclose(change[inside], truth[inside], atol=1e-4)
    assert not adata.layers["truth"][control].any()


def test_dose_is_a_hill_curve_and_time_saturates():
    doses, times = (0.01, 0.3, 1.0, 3.0, 1e4), (1.0, 6.0, 24.0, 480.0)
    adata = simulate_perturbation(2, n_drugs=4, n_genes=12, doses=doses, times=times)
    record = adata.uns["dtp_simulation"]
    ec50 = record["drugs"].loc["drug_2", "ec50"]
    values, obs = profile(adata, drug="drug_2", cell="cell_1", time=24.0)
    full = values[obs["dose"] == 1e4]
    for dose in doses:
        share = dose**1.5 / (dose**1.5 + ec50**1.5)
        top = 1e4**1.5 / (1e4**1.5 + ec50**1.5)
        np.testing.assert_allclose(values[obs["dose"] == dose], full * share / top, rtol=1e-3)
    # The planted formula, written out once more.
    late, _ = profile(adata, drug="drug_2", cell="cell_1", dose=1e4, time=6.0)
    programmes = record["effects"][1] * record["modulation"][0] * (1 - np.exp(-6 / record["tau"]))
    expected = programmes @ adata.varm["true_loadings"].T * top
    np.testing.assert_allclose(late[0], expected, rtol=1e-3, atol=1e-5)


def test_plates_shift_all_their_wells():
    adata = simulate_perturbation(2, n_drugs=3, n_genes=200, plate_sd=1.0, noise_sd=0.1)
    controls = adata[adata.obs["is_control"]]
    residual = np.array(controls.X)
    for cell in controls.obs["cell"].unique():
        here = (controls.obs["cell"] == cell).to_numpy()
        residual[here] -= residual[here].mean(axis=0)
    same = controls.obs["plate"].to_numpy()[:, None] == controls.obs["plate"].to_numpy()
    correlation = np.corrcoef(residual)
    assert correlation[same].mean() > 0.9
    assert correlation[~same].mean() < 0.1


@pytest.mark.parametrize("kind", ["fcfp4", "ecfp4"])
def test_structure_predicts_the_effect_unless_switched_off(kind):
    pytest.importorskip("rdkit")
    found = {}
    for name, change in {
        "planted": {},
        "unrelated": {"structure": False},
        "shuffled": {"shuffle_smiles": True},
    }.items():
        adata = simulate_perturbation(
            2, n_drugs=200, n_genes=10, doses=[1.0], times=[6.0], **change
        )
        pp.encode_drugs(adata, smiles_key="smiles", fingerprint=kind)
        bits = adata.uns["drugs"]["bits"].astype(float)
        effects = adata.uns["dtp_simulation"]["effects"]
        model = RidgeCV(np.logspace(-1, 3, 9)).fit(bits[:150], effects[:150])
        found[name] = model.score(bits[150:], effects[150:])
    assert found["planted"] > 0.7
    assert found["unrelated"] < 0.1
    assert found["shuffled"] < 0.1


def test_shuffling_moves_every_structure_and_no_effect():
    plain = simulate_perturbation(2, n_drugs=20, n_genes=5)
    moved = simulate_perturbation(2, n_drugs=20, n_genes=5, shuffle_smiles=True)
    first, second = (a.uns["dtp_simulation"]["drugs"]["smiles"] for a in (plain, moved))
    assert sorted(first) == sorted(second)
    assert (first != second).all()
    assert np.array_equal(
        plain.uns["dtp_simulation"]["effects"], moved.uns["dtp_simulation"]["effects"]
    )


def test_what_a_line_does_to_a_drug_shows_in_its_untreated_profile():
    adata = simulate_perturbation(60, n_drugs=2, n_genes=80, doses=[1.0], times=[6.0], n_plates=1)
    controls = adata[adata.obs["is_control"]]
    basal = np.stack(
        [
            controls.X[controls.obs["cell"] == c].mean(axis=0)
            for c in controls.obs["cell"].cat.categories
        ]
    )
    target = adata.uns["dtp_simulation"]["modulation"]
    model = RidgeCV(np.logspace(-1, 3, 9)).fit(basal[:45], target[:45])
    assert model.score(basal[45:], target[45:]) > 0.7


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_cells": 0}, "`n_cells`"),
        ({"n_drugs": 1}, "`n_drugs`"),
        ({"n_drugs": 1261}, r"`n_drugs` in \[2, 1260\]"),
        ({"n_plates": 0}, "`n_plates`"),
        ({"n_controls": 0}, "`n_controls`"),
        ({"doses": [0.0, 1.0]}, "`doses`"),
        ({"doses": [1.0, 1.0]}, "different values in `doses`"),
        ({"times": []}, "different values in `times`"),
        ({"noise_sd": -1}, "`noise_sd`"),
        ({"effect": np.nan}, "`effect`"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        simulate_perturbation(**arguments)
