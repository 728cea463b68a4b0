"""ResVAE: input by name, deterministic latents, training, folds, save and load, errors."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import dtp_scvi as dtp
from dtp_scvi.model import ResVAE, load_model, load_predictor, read_card
from dtp_scvi.module import PRESETS

SMALL = {"encoder": (32, 16), "n_latent": 6, "decoder": (16, 32)}


@pytest.fixture(scope="module")
def made():
    adata = dtp.datasets.simulate_cells(240, 150, n_donors=5, seed=2)
    rng = np.random.default_rng(0)
    hidden = np.asarray(adata.obsm["true_programmes"])[:, :3]
    adata.obsm["X_emb"] = (hidden @ rng.normal(size=(hidden.shape[1], 20))).astype(np.float32)
    return adata


@pytest.fixture(scope="module")
def vae(made):
    cells = made.copy()
    ResVAE.setup_anndata(cells, layer="counts", donor_key="donor")
    model = ResVAE(cells, **SMALL)
    model.train(15, verbose=False, accelerator="cpu")
    return model


@pytest.fixture(scope="module")
def over_embedding(made):
    cells = made.copy()
    ResVAE.setup_anndata(cells, obsm_key="X_emb")
    model = ResVAE(cells, **SMALL)
    model.train(100, verbose=False, accelerator="cpu")
    return model


@pytest.fixture
def query():
    return dtp.datasets.simulate_cells(90, 150, n_donors=3, seed=9)


def latent(model, adata, **kwargs):
    return model.get_latent_representation(adata, **{"layer": "counts", **kwargs})


def test_shapes_and_names(vae, query):
    assert latent(vae, query).shape == (90, 6)
    back = vae.reconstruct(query, layer="counts")
    assert back.columns.tolist() == vae.genes_.tolist()
    assert back.index.tolist() == query.obs_names.tolist()
    x = query.layers["counts"].toarray()
    x = np.log1p(1e4 * x / x.sum(axis=1, keepdims=True))
    error = vae.reconstruction_error(query, layer="counts")
    np.testing.assert_allclose(error, ((back - x) ** 2).mean(axis=1), rtol=1e-4)


def test_it_learns_what_the_mean_does_not_know(over_embedding):
    assert over_embedding.evaluation_["variance_explained"] > 0.7
    history = over_embedding.history_table_
    assert history["validation_loss"].min() < history["validation_loss"].iloc[0]
    assert {"mse", "kl", "train_loss"} <= set(history)


def test_a_query_is_read_alike_in_any_form_and_left_alone(vae, query, tmp_path):
    wanted = latent(vae, query)
    before = query.copy()
    dense = query.copy()
    dense.layers["counts"] = dense.layers["counts"].toarray()
    np.testing.assert_allclose(latent(vae, dense), wanted, atol=1e-5)
    shuffled = query[:, np.random.default_rng(0).permutation(query.n_vars)].copy()
    np.testing.assert_allclose(latent(vae, shuffled), wanted, atol=1e-5)
    query.write_h5ad(tmp_path / "query.h5ad")
    backed = ad.read_h5ad(tmp_path / "query.h5ad", backed="r")
    np.testing.assert_allclose(latent(vae, backed), wanted, atol=1e-5)
    assert set(query.obs) == set(before.obs)
    assert set(query.uns) == set(before.uns)
    assert (query.layers["counts"] != before.layers["counts"]).nnz == 0


def test_rows_do_not_depend_on_their_batch_or_order(vae, query):
    wanted = latent(vae, query)
    np.testing.assert_allclose(latent(vae, query, batch_size=7), wanted, atol=1e-5)
    some = np.array([50, 3, 3, 88])
    np.testing.assert_allclose(latent(vae, query, indices=some), wanted[some], atol=1e-5)
    mask = np.arange(90) % 3 == 0
    np.testing.assert_allclose(latent(vae, query, indices=mask), wanted[mask], atol=1e-5)


def test_means_are_deterministic_and_draws_follow_their_seed(vae, query):
    np.testing.assert_array_equal(latent(vae, query), latent(vae, query))
    draw = latent(vae, query, give_mean=False, seed=1)
    again = latent(vae, query, give_mean=False, seed=1, batch_size=11)
    np.testing.assert_allclose(draw, again, atol=1e-5)
    assert np.abs(draw - latent(vae, query, give_mean=False, seed=2)).max() > 1e-3
    assert np.abs(draw - latent(vae, query)).max() > 1e-3


def test_a_missing_gene_stands_at_its_training_mean(vae, query):
    cut = query[:, 30:].copy()
    cut.obs["total"] = 0
    x = query.layers["counts"][:, 30:].toarray()
    x = np.log1p(1e4 * x / x.sum(axis=1, keepdims=True)).astype(np.float32)
    filled = np.hstack([np.tile(vae.module.mean[:30].numpy(), (90, 1)), x])
    import torch

    with torch.inference_mode():
        wanted = vae.module.encode(torch.from_numpy(filled))[0].numpy()
    np.testing.assert_allclose(latent(vae, cut), wanted, atol=1e-4)


def test_the_total_is_taken_before_the_panel_is_cut(made):
    cells = made.copy()
    ResVAE.setup_anndata(cells, layer="counts")
    panel = cells.var_names[10:60].tolist()
    model = ResVAE(cells, genes=panel, **SMALL)
    rows = model._read(None).data.values
    rows = rows if isinstance(rows, np.ndarray) else rows.toarray()
    x = cells.layers["counts"].toarray()
    wanted = np.log1p(1e4 * x / x.sum(axis=1, keepdims=True))[:, 10:60]
    np.testing.assert_allclose(rows, wanted, rtol=1e-5)
    with pytest.raises(ValueError, match=r"`genes` among the names.*1 of 2 that are not.*nobody"):
        ResVAE(cells, genes=[panel[0], "nobody"], **SMALL)


def test_same_seed_same_weights_and_a_second_fit_trains(made):
    ids = []
    for seed in (0, 0, 1):
        cells = made.copy()
        ResVAE.setup_anndata(cells, layer="counts", donor_key="donor")
        model = ResVAE(cells, **SMALL)
        model.train(2, seed=seed, verbose=False, accelerator="cpu")
        ids.append(model.id_)
    assert ids[0] == ids[1] != ids[2]
    # A network left in evaluation mode would have kept the batch norm's first moments.
    model.train(2, seed=0, verbose=False, accelerator="cpu")
    assert model.id_ == ids[0]
    assert not model.module.training


def test_validation_runs_without_training_the_batch_norm(made, monkeypatch):
    from dtp_scvi.train import VAEPlan

    modes, step = [], VAEPlan.validation_step

    def watched(self, batch, batch_idx):
        modes.append(self.network.training)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(VAEPlan, "validation_step", watched)
    cells = made.copy()
    ResVAE.setup_anndata(cells, layer="counts")
    ResVAE(cells, **SMALL).train(2, verbose=False, accelerator="cpu")
    assert modes
    assert not any(modes)


@pytest.mark.parametrize("name", ["vae", "over_embedding"])
def test_a_saved_model_is_the_same_model(name, request, made, tmp_path):
    model = request.getfixturevalue(name)
    model.save(tmp_path / "a")
    found = load_model(tmp_path / "a")
    assert isinstance(found, ResVAE)
    kwargs = {"layer": "counts"} if name == "vae" else {}
    np.testing.assert_array_equal(
        found.get_latent_representation(made, **kwargs),
        model.get_latent_representation(made, **kwargs),
    )
    found.save(tmp_path / "b")
    for file in ("model.json", "model.safetensors", "card.md"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    card = read_card(tmp_path / "a")
    assert card.evaluation == model.evaluation_
    assert card.limits[0].startswith("Trained on simulated data")
    with pytest.raises(ValueError, match=r"predicts a class or a response.*found a ResVAE"):
        load_predictor(tmp_path / "a")
    again = ResVAE.load(tmp_path / "a", made.copy())
    again.train(1, verbose=False, accelerator="cpu")


def test_a_shared_activation_survives_the_file(made, tmp_path):
    cells = made.copy()
    ResVAE.setup_anndata(cells, obsm_key="X_emb")
    model = ResVAE(cells, activation="shared_swish", spectral_norm="outer", **SMALL)
    model.train(2, verbose=False, accelerator="cpu")
    model.save(tmp_path / "m")
    found = ResVAE.load(tmp_path / "m")
    assert found.module.encoder[0].activation is found.module.decoder[1].activation
    np.testing.assert_array_equal(
        found.get_latent_representation(made), model.get_latent_representation(made)
    )


def test_folds_keep_donors_whole_and_leave_the_model_alone(vae):
    before = vae.id_
    table = vae.k_fold(3, max_epochs=3)
    assert vae.id_ == before
    assert table["n_validation"].sum() == 240
    assert (table["n_train"] + table["n_validation"] == 240).all()
    sizes = vae.adata.obs["donor"].value_counts().to_numpy()
    sums = {int(sizes[list(part)].sum()) for part in _subsets(len(sizes))}
    assert set(table["n_validation"]) <= sums
    assert table["seed"].tolist() == [0, 1, 2]
    assert (table["validation_loss"] <= table["last_validation_loss"]).all()
    with pytest.raises(ValueError, match=r"2 to 5 folds of 5 donors; found 6"):
        vae.k_fold(6)


def _subsets(n):
    return [[i for i in range(n) if mask >> i & 1] for mask in range(1, 2**n)]


def test_tuning_draws_from_the_published_ranges(made):
    pytest.importorskip("optuna")
    cells = made[::4].copy()
    ResVAE.setup_anndata(cells, obsm_key="X_emb")
    table = ResVAE.tune(cells, n_trials=2, n_folds=2, ranges="gf", max_epochs=1, seed=0)
    assert len(table) == 2
    assert (table["state"] == "COMPLETE").all()
    assert table["value"].is_monotonic_increasing
    assert table["outer"].between(250, 2500).all()
    assert table["n_latent"].between(150, 500).all()
    assert table["lr"].between(1e-6, 5e-4).all()
    with pytest.raises(ValueError, match=r"`ranges` to be one of 'sf', 'gf'"):
        ResVAE.tune(cells, ranges="dist")


def test_presets_bring_their_settings(made):
    cells = ad.AnnData(np.zeros((4, 1)))
    cells.obsm["X_geneformer"] = np.random.default_rng(0).normal(size=(4, 512)).astype(np.float32)
    ResVAE.setup_anndata(cells, obsm_key="X_geneformer")
    model = ResVAE(cells, preset="gf")
    assert model.module.n_latent == 498
    assert model.module.reconstruction_weight == 10000
    model.train(1, keep="last", validation_size=0.25, verbose=False, accelerator="cpu")
    assert model.protocol_["lr"] == PRESETS["gf"].lr == 4.94342821029886e-4
    assert model.protocol_["weight_decay"] == 3.5519647899254e-3
    assert not model.protocol_["start_at_mean"]
    with pytest.raises(ValueError, match=r"3,072 inputs for the preset 'sf'; found 512"):
        ResVAE(cells, preset="sf")


def test_embeddings_are_matched_by_name_or_width(over_embedding, made):
    wanted = over_embedding.get_latent_representation(made)
    table = pd.DataFrame(made.obsm["X_emb"], index=made.obs_names, columns=over_embedding.genes_)
    other = ad.AnnData(np.zeros((240, 1)), obs=made.obs[[]])
    other.obsm["mine"] = table.iloc[:, ::-1]
    found = over_embedding.get_latent_representation(other, obsm_key="mine")
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    other.obsm["sparse"] = sp.csr_matrix(made.obsm["X_emb"])
    found = over_embedding.get_latent_representation(other, obsm_key="sparse")
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    other.obsm["narrow"] = made.obsm["X_emb"][:, :12]
    with pytest.raises(ValueError, match=r"the 20 columns of the model .*; found 12 columns"):
        over_embedding.get_latent_representation(other, obsm_key="narrow")
    other.obsm["renamed"] = table.add_prefix("a")
    with pytest.raises(ValueError, match=r"found columns of other names"):
        over_embedding.get_latent_representation(other, obsm_key="renamed")


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"obsm_key": "X_em"}, KeyError, r"`obsm_key`.*'X_em'.*Did you mean X_emb"),
        ({"obsm_key": "X_emb", "layer": "counts"}, ValueError, "found both"),
        ({"obsm_key": "X_emb", "scale": "counts"}, ValueError, "`scale` to be one of"),
        ({"obsm_key": "X_bad"}, ValueError, r"finite values in adata.obsm\['X_bad'\].*1 NaN"),
        ({"layer": "z"}, ValueError, "scale that the evidence makes clear"),
        ({"layer": "counts", "donor_key": "patient"}, KeyError, "`donor_key`"),
    ],
)
def test_unfit_training_data(made, kwargs, error, match):
    cells = made.copy()
    bad = made.obsm["X_emb"].copy()
    bad[7, 3] = np.nan
    cells.obsm["X_bad"] = bad
    cells.layers["z"] = np.random.default_rng(0).normal(size=cells.shape)
    with pytest.raises(error, match=match):
        ResVAE.setup_anndata(cells, **kwargs)
    assert "_scvi_uuid" not in cells.uns


def test_unfit_queries(vae, over_embedding, query):
    with pytest.raises(ValueError, match=r"30 of 150 model genes found"):
        latent(vae, query[:, :30].copy())
    with pytest.raises(ValueError, match=r'found scale="as_is"'):
        latent(vae, query, scale="as_is")
    with pytest.raises(ValueError, match=r"found obsm_key='X_emb'"):
        latent(vae, query, obsm_key="X_emb")
    with pytest.raises(KeyError, match=r"'X_emb'"):
        over_embedding.get_latent_representation(query)
    with pytest.raises(RuntimeError, match=r"a trained ResVAE"):
        ResVAE(vae.adata, **SMALL).get_latent_representation()


def test_values_of_a_layer_as_they_are(made):
    cells = made.copy()
    cells.layers["z"] = np.random.default_rng(0).normal(size=cells.shape).astype(np.float32)
    ResVAE.setup_anndata(cells, layer="z", scale="as_is")
    model = ResVAE(cells, **SMALL)
    model.train(1, verbose=False, accelerator="cpu")
    assert model.scale_ == "as_is"
    np.testing.assert_array_equal(model._read(None).data.values, cells.layers["z"])
    with pytest.raises(ValueError, match=r"values as they are .* found scale='counts'"):
        model.get_latent_representation(made, layer="counts", scale="counts")
