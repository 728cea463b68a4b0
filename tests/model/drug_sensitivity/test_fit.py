"""DrugSensitivity learns a planted signal on bulk and leaves encoder and data alone."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import dtp_scvi as dtp
from dtp_scvi.model import DrugSensitivity


def test_planted_signal_is_found_and_unlabelled_lines_are_counted(trained, bulk, sim):
    query = sim.lines(120, 3)
    table = trained.predict(query, scale=sim.SCALE)
    assert list(table) == ["logit", "probability", "call"]
    assert roc_auc_score(sim.resistant(query), table["logit"]) > 0.9
    assert set(table["call"].cat.categories) == {"resistant", "sensitive"}
    reached = table["probability"] >= trained.threshold_["value"]
    assert ((table["call"] == "resistant") == reached).all()
    assert trained.protocol_["n_unlabelled"] == 16
    assert trained.protocol_["drug"] == "DRUG-A"
    assert trained.protocol_["polarity_checked"]
    assert trained.data_["n_rows"] == 144
    # Five heads hold out a fifth each.
    assert trained.protocol_["threshold_rows"] == 144
    assert roc_auc_score(np.arange(sim.G) < sim.PLANTED, trained.importance_) > 0.65


def test_the_lines_of_the_user_stay_as_they_were(bulk):
    assert not bulk.uns
    assert list(bulk.obs) == ["label", "plate"]
    assert set(bulk.obsm) == {"response", "ln_ic50"}


def test_numbers_are_labels_as_well(vae, bulk, sim):
    model = DrugSensitivity.from_vae(vae, n_members=1)
    model.fit_bulk(bulk, "DRUG-B", scale=sim.SCALE, max_epochs=30, verbose=False)
    query = sim.lines(80, 3)
    logit = model.predict(query, scale=sim.SCALE)["logit"]
    assert roc_auc_score(sim.resistant(query), logit) > 0.85
    assert not model.protocol_["polarity_checked"]
    assert model.positive_ == "resistant"


def encoder_state(model):
    parts = (model.module.encoder, model.module.mu)
    return [value for part in parts for value in part.state_dict().values()]


def test_the_encoder_stays_bit_identical_unless_it_is_freed(trained, vae, bulk, sim):
    assert all(map(torch.equal, encoder_state(trained), encoder_state(vae)))
    freed = sim.fitted(vae, bulk, epochs=4, n_members=None, n_unfrozen_epochs=2)
    assert freed.n_members == 1
    assert not all(map(torch.equal, encoder_state(freed), encoder_state(vae)))
    assert freed.module.frozen
    assert not freed.module.encoder.training


@pytest.mark.parametrize("augment", ["vae", "smote"])
def test_augmentation_changes_the_heads_and_no_evidence_rests_on_made_up_rows(
    augment, vae, bulk, sim
):
    few = bulk[
        np.flatnonzero(sim.resistant(bulk))[20:].tolist()
        + np.flatnonzero(~sim.resistant(bulk)).tolist()
    ]
    model = sim.fitted(vae, few.copy(), augment=augment, epochs=30)
    assert model.protocol_["augment"] == augment
    assert model.data_["n_rows"] == model.protocol_["n_rows"] <= few.n_obs
    assert model.protocol_["threshold_rows"] < 0.25 * few.n_obs
    query = sim.lines(80, 3)
    logit = model.predict(query, scale=sim.SCALE)["logit"]
    assert roc_auc_score(sim.resistant(query), logit) > 0.85


def test_shuffled_labels_leave_chance(vae, sim):
    rows, found = sim.lines(360, 20), []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        rows.obs["label"] = rng.permutation(rows.obs["label"].to_numpy())
        DrugSensitivity.setup_anndata(rows, "label", positive="resistant", scale=sim.SCALE)
        model = DrugSensitivity(rows, n_members=1)
        test = np.arange(180, 360)
        model.train(5, vae=vae, indices=np.arange(180), seed=seed, verbose=False)
        logit = model.predict_logits(indices=test)["resistant"]
        found.append(roc_auc_score(sim.resistant(rows)[test], logit))
    assert abs(np.mean(found) - 0.5) < 0.05


def test_one_seed_gives_one_model(vae, bulk, sim):
    ids = [sim.fitted(vae, bulk, epochs=2, train={"seed": seed}).id_ for seed in (0, 0, 1)]
    assert ids[0] == ids[1] != ids[2]


def test_reference_of_the_paper_is_the_published_mismatch(vae, bulk, sim):
    given = {
        name: sim.fitted(vae, bulk, epochs=1, reference=name)
        for name in ("train", "pretraining", "paper")
    }
    raw = given["train"].module
    pool = np.log1p(1e4 * vae.adata.X / vae.adata.X.sum(axis=1, keepdims=True))
    for name, model in given.items():
        net = model.module
        if name == "train":
            assert torch.equal(net.mean, net.query_mean)
            continue
        assert net.mean.numpy() == pytest.approx(pool.mean(axis=0), abs=1e-4)
        assert net.sd.numpy() == pytest.approx(pool.std(axis=0), abs=1e-4)
        wanted = raw if name == "paper" else net
        assert torch.allclose(net.query_mean, wanted.mean, atol=1e-5)
        assert torch.allclose(net.query_sd, wanted.sd, atol=1e-5)
    assert not torch.allclose(
        given["paper"].module.mean, given["paper"].module.query_mean, atol=1e-2
    )


def test_published_settings_are_run(vae, bulk, sim):
    model = sim.fitted(vae, bulk, epochs=3, **DrugSensitivity.PAPER)
    assert model.protocol_["lr"] == 2e-5
    assert model.protocol_["keep"] == "last"
    assert model.protocol_["augment"] == "vae"
    assert len(model.history_table_) == 3


def test_cross_validation_with_and_without_an_autoencoder(vae, sim):
    rows = sim.lines(90, 4)
    rows.obs["line"] = rows.obs_names
    DrugSensitivity.setup_anndata(
        rows, "label", positive="resistant", donor_key="line", scale=sim.SCALE
    )
    arguments = {"n_folds": 2, "n_boot": 20, "verbose": False, "audit": False}
    model_kwargs = {"n_members": 1, "encoder": (16,), "decoder": (16,), "n_latent": 6}
    table = dtp.tl.cross_validate(
        DrugSensitivity,
        rows,
        baselines=["logistic_regression"],
        model_kwargs=model_kwargs,
        train_kwargs={"max_epochs": 30, "pretrain_kwargs": {"max_epochs": 40}},
        **arguments,
    )
    auroc = table[table["metric"] == "auroc"].set_index("model")["value"]
    assert auroc["DrugSensitivity"] > 0.7
    assert auroc["logistic_regression"] > 0.7
    given = dtp.tl.cross_validate(
        DrugSensitivity,
        rows,
        baselines=[],
        model_kwargs={"n_members": 1},
        train_kwargs={"max_epochs": 30, "vae": vae},
        **arguments,
    )
    assert given.loc[given["metric"] == "auroc", "value"].item() > 0.7


def test_embeddings_by_key(bulk, sim):
    made = bulk.copy()
    made.obsm["X_emb"] = np.log1p(made.X)[:, ::-1].copy()
    source = sim.autoencoder(made, obsm_key="X_emb", scale="auto")
    model = DrugSensitivity.from_vae(source, n_members=1)
    model.fit_bulk(made, "DRUG-A", max_epochs=30, verbose=False)
    query = sim.lines(80, 3)
    query.obsm["X_emb"] = np.log1p(query.X)[:, ::-1].copy()
    logit = model.predict(query)["logit"]
    assert roc_auc_score(sim.resistant(query), logit) > 0.85
    model.adapt(query, "adain")
    assert model.adaptation_["scale"] == "as_is"
    model.predict(query)
    query.obsm["X_emb"] = query.obsm["X_emb"][:, :7]
    with pytest.raises(ValueError, match=r"the 60 columns of the model.*found 7 columns"):
        model.predict(query)
    rows = ad.AnnData(made.obsm["X_emb"][:, :7], made.obs)
    DrugSensitivity.setup_anndata(rows, "label", positive="resistant", scale="as_is")
    with pytest.raises(ValueError, match=r"embeddings of width 60.*found width 7"):
        DrugSensitivity(rows).train(vae=source, verbose=False)


def test_embeddings_made_otherwise_are_refused(bulk, sim, tmp_path):
    def embedded(adata, resolution):
        adata.obsm["X_emb"] = np.log1p(adata.X)
        options = {"resolution": resolution, "pool": "all"}
        dtp.pp.record_embedding(adata, "X_emb", model="scfoundation", options=options)
        return adata

    made = embedded(bulk.copy(), "a5")
    source = sim.autoencoder(made, obsm_key="X_emb", scale="auto")
    source.save(tmp_path / "vae")
    again = dtp.model.ResVAE.load(tmp_path / "vae")
    other = embedded(sim.lines(80, 3), "f1")
    for model in (source, again):
        with pytest.raises(ValueError, match=r"resolution 'a5'; found resolution 'f1'"):
            model.get_latent_representation(other)
    model = DrugSensitivity.from_vae(source, n_members=1)
    with pytest.raises(ValueError, match=r"resolution 'a5'; found resolution 'f1'"):
        model.fit_bulk(other, "DRUG-A", max_epochs=2, verbose=False)
    model.fit_bulk(made, "DRUG-A", max_epochs=2, verbose=False)
    with pytest.raises(ValueError, match=r"resolution 'a5'; found resolution 'f1'"):
        model.predict(other)
    del other.uns["dtp_embeddings"]
    with pytest.raises(ValueError, match="no record"):
        model.adapt(other, "adain")
    assert len(model.predict(embedded(sim.lines(20, 4), "a5"))) == 20
