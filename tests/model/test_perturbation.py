"""Perturbation models from set-up to disk: planted effects, new drugs, parts, order of rows."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from dtp_scvi.model import PertDiT, XPert, load_model, read_card

N_GENES, N_DRUGS, N_BITS = 24, 30, 8
TINY_XPERT = {"d_model": 16, "n_heads": 2, "treated": ("cross",), "untreated": 1, "d_head": 16}
TINY_PERTDIT = {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_hidden": 16, "n_steps": 10}
KEYS = {
    "drug_key": "drug",
    "dose_key": "dose",
    "time_key": "hours",
    "cell_key": "cell",
    "plate_key": "plate",
    "control_label": "DMSO",
}


def drug_table(bits, smiles):
    table = pd.DataFrame(
        {"smiles": smiles, "status": "ok"}, index=[f"drug {i}" for i in range(len(bits))]
    )
    atoms = np.zeros((len(bits), 3, 4), np.uint8)
    atoms[:, 0] = 1
    atoms[::2, 1, 0] = 1
    mask = atoms.any(axis=2)
    params = {"fingerprint": "fcfp4", "n_bits": bits.shape[1], "salts": "keep"}
    return {
        "table": table,
        "bits": bits,
        "counts": bits,
        "atoms": atoms,
        "atom_mask": mask,
        "params": params,
    }


def simulated(seed=0, n_drugs=N_DRUGS, cells=("A", "B"), *, n_genes=N_GENES):
    """Log2 values whose change is linear in a drug's bits and in log10(dose + 1)."""
    rng = np.random.default_rng(seed)
    effect = np.random.default_rng(99).normal(0, 1, (N_BITS, N_GENES))[:, :n_genes]
    bits = rng.integers(0, 2, (n_drugs, N_BITS)).astype(np.uint8)
    rows = [(f"drug {d}", c, x) for d in range(n_drugs) for c in cells for x in (1.0, 9.0)]
    rows += [("DMSO", cell, np.nan) for cell in cells for _ in range(4)]
    obs = pd.DataFrame(rows, columns=["drug", "cell", "dose"])
    obs.index = [f"well {i}" for i in range(len(obs))]
    obs["hours"] = np.where(obs["dose"].isna(), np.nan, 24.0)
    obs["plate"] = "plate " + obs["cell"]
    code = obs["drug"].str.replace("drug ", "").replace("DMSO", "-1").astype(int).to_numpy()
    base = np.random.default_rng(98).uniform(4, 12, (2, N_GENES))[:, :n_genes]
    profile = base[(obs["cell"] == "B").astype(int)]
    change = (bits - 0.5)[code] @ effect * np.log10(obs["dose"].fillna(0).to_numpy() + 1)[:, None]
    change[code < 0] = 0
    x = (profile + change + rng.normal(0, 0.1, change.shape)).astype(np.float32)
    adata = ad.AnnData(x, obs, pd.DataFrame(index=[f"gene {g}" for g in range(n_genes)]))
    adata.layers["truth"] = change.astype(np.float32)
    # By whole drugs: three in five, one in five, one in five.
    part = np.array(["train", "train", "train", "valid", "test"])[code % 5]
    adata.obs["split"] = np.where(code < 0, "control", part)
    adata.uns["drugs"] = drug_table(bits, ["C"] * n_drugs)
    return adata


def set_up(adata, *classes, **changes):
    for cls in classes:
        cls.setup_anndata(adata, **KEYS | changes)
    return adata


def part(adata, name):
    return adata[adata.obs["split"] == name].copy()


@pytest.fixture(scope="module")
def wells():
    return set_up(simulated(), XPert, PertDiT)


@pytest.fixture(scope="module")
def xpert(wells):
    model = XPert(wells, **TINY_XPERT)
    model.train(max_epochs=60, lr=1e-2, batch_size=16, patience=60, ema=0.9)
    return model


@pytest.fixture(scope="module")
def pertdit(wells):
    model = PertDiT(wells, **TINY_PERTDIT)
    model.train(max_epochs=2, lr=5e-3)
    return model


@pytest.fixture(scope="module", params=["xpert", "pertdit"])
def model(request):
    return request.getfixturevalue(request.param)


def error(delta, adata):
    return float(np.square(delta.to_numpy() - adata.layers["truth"]).mean())


def mean_change_error(wells, test):
    train = part(wells, "train")
    mean = (train.X - train.obsm["dtp_control"]).mean(axis=0)
    return float(np.square(mean - test.layers["truth"]).mean())


def test_xpert_learns_what_unseen_drugs_do(wells, xpert):
    test = part(wells, "test")
    assert error(xpert.predict(test), test) < 0.75 * mean_change_error(wells, test)
    assert xpert.evaluation_["delta_mse"] < xpert.evaluation_["mean_delta_mse"]


def test_xpert_of_bins_learns_it_too(wells):
    model = XPert(wells, **TINY_XPERT, value="bins")
    model.train(max_epochs=25, lr=1e-2, batch_size=16, patience=25, ema=0.9)
    test = part(wells, "test")
    assert error(model.predict(test), test) < 0.75 * mean_change_error(wells, test)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["ddpm", "edm", "direct"])
@pytest.mark.parametrize("backbone", ["cross", "ada"])
def test_pertdit_learns_what_unseen_drugs_do(wells, objective, backbone):
    model = PertDiT(wells, **TINY_PERTDIT, objective=objective, backbone=backbone)
    model.train(max_epochs=150, lr=1e-2, batch_size=16, patience=150, ema=0.9)
    test = part(wells, "test")
    assert error(model.predict(test, n_samples=8), test) < 0.7 * mean_change_error(wells, test)


def test_the_direct_network_learns_it_too(wells):
    model = PertDiT(wells, **TINY_PERTDIT, objective="direct")
    model.train(max_epochs=40, lr=1e-2, batch_size=16, patience=40, ema=0.9)
    test = part(wells, "test")
    assert error(model.predict(test), test) < 0.7 * mean_change_error(wells, test)


def test_predictions_are_named_and_controls_do_not_change(wells, model):
    delta = model.predict()
    assert delta.index.equals(wells.obs_names)
    assert delta.columns.tolist() == wells.var_names.tolist()
    assert (delta[(wells.obs["drug"] == "DMSO").to_numpy()] == 0).all(axis=None)
    post = model.predict(return_delta=False)
    np.testing.assert_allclose(post, wells.obsm["dtp_control"] + delta, atol=1e-5)


def test_genes_by_name_rows_by_name_and_batches_change_nothing(wells, model):
    test = part(wells, "test")
    expected = model.predict(test)
    order = np.random.default_rng(0).permutation(test.n_vars)
    turned = test[::-1, order].copy()
    # What pair_controls wrote goes with the genes.
    turned.obsm["dtp_control"] = test.obsm["dtp_control"][::-1][:, order]
    found = model.predict(turned, batch_size=5)
    pd.testing.assert_frame_equal(found.loc[expected.index], expected, atol=1e-5)


def test_the_profile_itself_is_not_looked_at(wells, model):
    test = part(wells, "test")
    expected = model.predict(test)
    test.X[:] = np.nan
    pd.testing.assert_frame_equal(model.predict(test), expected)


def test_prediction_leaves_the_query_and_the_global_state_alone(wells, model):
    test = part(wells, "test")
    before, state = test.copy(), torch.get_rng_state()
    model.predict(test)
    assert list(test.obs) == list(before.obs)
    assert set(test.uns) == set(before.uns)
    assert torch.equal(torch.get_rng_state(), state)


def test_save_and_load(tmp_path, wells, model):
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    test = part(wells, "test")
    pd.testing.assert_frame_equal(again.predict(test), model.predict(test))
    assert again.evaluation_ == model.evaluation_
    assert again.drugs_ == model.drugs_
    card = read_card(tmp_path / "model")
    assert card.data["n_rows"] == (wells.obs["split"] == "train").sum()
    assert "well 1" not in json.dumps(card.to_dict())
    assert "picked the epoch" in card.to_markdown()
    with_data = type(model).load(tmp_path / "model", set_up(simulated()))
    pd.testing.assert_frame_equal(with_data.predict(), model.predict())


def test_the_same_seed_gives_the_same_weights(wells):
    first, again, other = (PertDiT(wells, **TINY_PERTDIT) for _ in range(3))
    for one, seed in ((first, 1), (again, 1), (other, 2)):
        one.train(max_epochs=1, seed=seed)
    assert first.id_ == again.id_ != other.id_
    again.train(max_epochs=1, seed=1)
    assert first.id_ == again.id_


def test_samples_their_spread_and_seed(wells, pertdit):
    test = part(wells, "test")
    mean, spread = pertdit.predict(test, n_samples=3, return_std=True)
    assert spread.shape == mean.shape
    assert (spread > 0).any(axis=None)
    assert not np.allclose(pertdit.predict(test, seed=1), pertdit.predict(test, seed=2))
    with pytest.raises(ValueError, match=r"several samples with return_std.*n_samples=1"):
        pertdit.predict(test, n_samples=1, return_std=True)
    with pytest.raises(ValueError, match=r"`sampler` to be one of 'auto', 'ddim', 'ddpm'"):
        pertdit.predict(test, sampler="heun")
    with pytest.raises(ValueError, match="`n_steps` of at most 10"):
        pertdit.predict(test, n_steps=11)


def test_test_rows_are_never_looked_at():
    changed = simulated()
    changed.X[(changed.obs["split"] == "test").to_numpy()] += 5
    ids = []
    for adata in (simulated(), changed):
        model = XPert(set_up(adata, XPert), **TINY_XPERT)
        model.train(max_epochs=1)
        ids.append(model.id_)
    assert ids[0] == ids[1]


def test_three_parts_that_share_no_row(wells):
    model = XPert(wells, **TINY_XPERT)
    with pytest.raises(ValueError, match=r"parts that share no row; found 1 rows in several"):
        model.train(indices=([0, 1], [2], [1]))
    with pytest.raises(ValueError, match=r"three parts: train, validation and test; found 2"):
        model.train(indices=([0, 1], [2]))
    controls = np.flatnonzero(wells.obs["drug"] == "DMSO")
    with pytest.raises(ValueError, match=r"treated rows to train and.*none in valid"):
        model.train(indices=([0, 1], controls, [2]))
    with pytest.raises(KeyError, match=r"`key` to name a key of adata\.obs"):
        model.train(split_key="fold")
    assert not model.is_trained_
    with pytest.raises(RuntimeError, match="a trained XPert"):
        model.predict()
    model.train(indices=(range(8), range(8, 12), range(12, 16)), max_epochs=1)
    assert model.data_["n_rows"] == 8


def test_a_part_without_rows(wells):
    model = PertDiT(wells, **TINY_PERTDIT)
    wells.obs["two"] = wells.obs["split"].astype(str).replace("valid", "test")
    with pytest.raises(
        ValueError, match=r"rows in each of train, valid, test; found none in valid"
    ):
        model.train(split_key="two")


def test_counts_are_refused():
    adata = simulated()
    adata.X = np.random.default_rng(0).poisson(np.exp2(adata.X)).astype(np.float32)
    with pytest.raises(ValueError, match=r"logarithms in adata\.X; found .*counts"):
        set_up(adata, XPert)


def test_drugs_without_structure():
    adata = simulated()
    del adata.uns["drugs"]
    with pytest.raises(ValueError, match=r"`smiles_key`, or drugs that were encoded"):
        set_up(adata, XPert)
    adata = simulated()
    adata.obs["drug"] = adata.obs["drug"].replace("drug 3", "mystery")
    with pytest.raises(ValueError, match=r"1 that are not \(mystery\)"):
        set_up(adata, XPert)


@pytest.mark.parametrize(("column", "argument"), [("dose", "dose"), ("hours", "hours")])
@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, "ten"])
def test_doses_and_times_that_are_none(column, argument, wrong):
    adata = simulated()
    adata.obs[column] = adata.obs[column].astype(object)
    adata.obs.iloc[0, adata.obs.columns.get_loc(column)] = wrong
    if not isinstance(wrong, str):
        adata.obs[column] = adata.obs[column].astype(float)
    with pytest.raises(ValueError, match=argument):
        set_up(adata, PertDiT)


def test_a_plate_without_controls():
    adata = simulated()
    adata.obs["plate"] = np.where(adata.obs_names == "well 0", "lonely", adata.obs["plate"])
    with pytest.raises(ValueError, match=r"control wells on every plate; found none on 'lonely'"):
        set_up(adata, XPert)


def test_controls_have_to_be_named():
    with pytest.raises(ValueError, match="Say what a control is"):
        XPert.setup_anndata(simulated(), drug_key="drug")


def test_controls_that_are_paired_are_taken(wells):
    adata = simulated()
    adata.obs["drug copy"] = adata.obs["drug"]
    set_up(adata, XPert)
    adata.obsm["dtp_control"] += 1
    before = adata.obsm["dtp_control"].copy()
    XPert.setup_anndata(adata, drug_key="drug", dose_key="dose")
    assert np.array_equal(adata.obsm["dtp_control"], before)
    with pytest.raises(ValueError, match="as controls were paired by"):
        XPert.setup_anndata(adata, drug_key="drug copy")


def test_a_gene_is_missing(wells, model):
    test = part(wells, "test")
    test.var_names = ["other", *test.var_names[1:]]
    with pytest.raises(ValueError, match=r"all 24 genes.*1 missing \(gene 0\)"):
        model.predict(test)


def test_attention(wells, xpert):
    test = part(wells, "test")
    atoms = xpert.get_attention(test)
    assert atoms.index.tolist() == sorted(test.obs["drug"].unique())
    assert atoms.columns.tolist() == ["atom 0", "atom 1", "atom 2"]
    table = test.uns["drugs"]
    real = pd.DataFrame(table["atom_mask"], table["table"].index).loc[atoms.index]
    assert np.array_equal(atoms.notna().to_numpy(), real.to_numpy())
    assert atoms.max(axis=None) <= 2
    tokens = xpert.get_attention(test, of="tokens", batch_size=3)
    assert tokens.index.tolist() == test.obs_names.tolist()
    assert np.allclose(tokens.sum(axis=1), 1, atol=1e-5)
    genes = xpert.get_attention(test, of="genes")
    assert genes.columns.tolist() == test.var_names.tolist()
    assert (genes.sum(axis=1) < 1).all()
    both = [xpert.get_cls_embedding(test, branch=name) for name in ("treated", "untreated")]
    assert both[0].shape == (test.n_obs, 16)
    assert not np.allclose(*both)


def test_published_configurations(wells):
    for backbone, published in (("cross", 2.16), ("cat", 2.16), ("catonly", 1.64), ("ada", 2.42)):
        model = PertDiT.paper(wells, backbone=backbone)
        own = sum(p.numel() for p in model.module.parameters())
        # 978 genes and 1,024 bits in place of those of the simulation; a token for time.
        full = own + (978 - N_GENES) * 256 + (1024 - N_BITS) * 256 - 2 * 256
        assert round(full / 1e6, 2) == published
    assert XPert.paper(wells).module.treated[0].cross.n_heads == 8
    assert XPert.paper(wells).module.genes.value.edges[[0, -1]].tolist() == pytest.approx(
        [0, 15.002]
    )
