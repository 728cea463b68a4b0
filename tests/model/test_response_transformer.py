"""A response transformer finds planted interactions, and keeps to the ridge where there are none."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge

import dtp_scvi as dtp
from dtp_scvi.model import ResponseModel, ResponseTransformer, load_model, read_card

G, K, TARGETS = 64, 4, ["drug_a", "drug_b"]


def samples(n, seed, interaction=1.5, missing=0.3):
    """Counts of simulated samples; responses depend on programmes and on their products."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(99)
    loading = np.zeros((K, G))
    loading[np.arange(G) % K, np.arange(G)] = fixed.uniform(0.4, 1, G)
    hidden = rng.normal(size=(n, K))
    logs = fixed.normal(3, 1, G) + hidden @ loading + rng.normal(0, 0.3, (n, G))
    share = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    product = hidden[:, 1] * hidden[:, 2]
    truth = np.stack([hidden[:, 0], -hidden[:, 3]], axis=1) + interaction * product[:, None]
    y = 100 + 20 * (truth + rng.normal(0, 0.5, truth.shape))
    y[rng.random(y.shape) < missing] = np.nan
    names = [f"s{i}" for i in range(n)]
    adata = ad.AnnData(
        rng.poisson(share * 3e5).astype(np.float32),
        obs=pd.DataFrame({"donor": [f"d{i // 2}" for i in range(n)]}, index=names),
        var=pd.DataFrame(index=[f"GENE{i}" for i in range(G)]),
    )
    adata.obsm["auc"] = pd.DataFrame(y, index=names, columns=TARGETS)
    adata.obsm["truth"] = truth
    return adata


def fitted(adata, max_epochs=25, **kwargs):
    model = ResponseTransformer("planted", n_programs=K, d_model=16, n_members=1, **kwargs)
    return model.fit(adata, "auc", donor_key="donor", max_epochs=max_epochs, verbose=False)


@pytest.fixture(scope="module")
def train():
    return samples(500, 0)


@pytest.fixture(scope="module")
def model(train):
    return fitted(train)


@pytest.fixture(scope="module")
def query():
    return samples(150, 1)


def worth(predicted, adata):
    return [
        spearmanr(predicted.iloc[:, t], adata.obsm["truth"][:, t]).statistic
        for t in range(len(TARGETS))
    ]


def test_interactions_are_found_where_they_are_planted(model, train, query):
    alone = [
        ResponseModel(target="value").fit(
            ad.AnnData(train.X, train.obs.assign(y=train.obsm["auc"][t]), train.var), "y"
        )
        for t in TARGETS
    ]
    linear = pd.concat([ridge.predict(query) for ridge in alone], axis=1)
    assert min(model.settings_["member_scale"]) > 0
    assert np.mean(worth(model.predict(query), query)) > np.mean(worth(linear, query)) + 0.1
    assert model.settings_["spearman_left_out"] > np.mean(
        list(model.settings_["spearman_left_out_linear"].values())
    )


@pytest.mark.parametrize("loss", ["huber", "rank"])
def test_without_interactions_the_ridge_is_what_is_left(loss, query):
    simple = samples(300, 2, interaction=0.0)
    found = fitted(simple, max_epochs=6, loss=loss)
    assert found.settings_["member_scale"] == [0.0]
    one = found.predict(query)["drug_a"]
    rows = ad.AnnData(simple.X, simple.obs.assign(y=simple.obsm["auc"]["drug_a"]), simple.var)
    ridge = ResponseModel().fit(rows, "y", donor_key="donor").predict(query)
    # The two standardise by other rows: the transformer by all that have any response.
    assert np.corrcoef(one, ridge)[0, 1] > 0.995
    if loss == "huber":
        assert one.to_numpy() == pytest.approx(ridge.to_numpy(), abs=0.25 * ridge.std())


def test_linear_part_is_a_ridge_on_the_measured_rows(model, train):
    from dtp_scvi.model._response_data import read_training
    from dtp_scvi.model._response_linear import Targets, fit_linear_response
    from dtp_scvi.model._response_reference import InputReference

    options = {"layer": None, "gene_key": None, "donor_key": "donor", "scale": "auto"}
    given = read_training(train, "auc", **options)
    y = Targets.of(given.y, as_rank=False)
    _, z = InputReference.of(given.values, ("closed",))
    folds = [(np.arange(100, len(given.y)), np.arange(100))]
    found = fit_linear_response(z[0], y.values, given.donors, folds)
    for t in range(len(TARGETS)):
        seen = np.flatnonzero(np.isfinite(given.y[:, t]))
        oracle = Ridge(found.penalty[t]).fit(z[0][seen], y.values[seen, t])
        assert found.weight[:, t] == pytest.approx(oracle.coef_, abs=1e-8)
        assert found.bias[t] == pytest.approx(oracle.intercept_, abs=1e-8)
        inside = seen[seen >= 100]
        held = Ridge(found.penalty[t]).fit(z[0][inside], y.values[inside, t]).predict(z[0][:100])
        assert found.out_of_fold[:100, t] == pytest.approx(held, abs=1e-8)


def test_shuffled_responses_can_not_be_predicted(train):
    shuffled = train.copy()
    found = []
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(train.n_obs)
        values = train.obsm["auc"].to_numpy()[order]
        shuffled.obsm["auc"] = pd.DataFrame(values, index=train.obs_names, columns=TARGETS)
        found.append(fitted(shuffled, max_epochs=4).settings_["spearman_left_out"])
    assert abs(np.mean(found)) < 0.15


@pytest.mark.parametrize("align", ["none", "moments", "rank"])
def test_order_of_genes_and_rows_and_storage_do_not_matter(model, query, align, tmp_path):
    expected = model.predict(query, align=align)
    rng = np.random.default_rng(0)
    genes, rows = rng.permutation(G), rng.permutation(query.n_obs)
    shuffled = model.predict(query[rows][:, genes].copy(), align=align)
    pd.testing.assert_frame_equal(shuffled.loc[query.obs_names], expected, rtol=1e-5)
    sparse = ad.AnnData(sp.csr_matrix(query.X), obs=query.obs, var=query.var)
    pd.testing.assert_frame_equal(model.predict(sparse, align=align), expected, rtol=1e-5)
    sparse.write_h5ad(tmp_path / "q.h5ad")
    backed = ad.read_h5ad(tmp_path / "q.h5ad", backed="r")
    pd.testing.assert_frame_equal(model.predict(backed, align=align), expected, rtol=1e-5)
    if align != "moments":
        one = pd.concat([model.predict(query[i : i + 1].copy(), align=align) for i in range(3)])
        pd.testing.assert_frame_equal(one, expected.iloc[:3], rtol=1e-4)


def test_depth_genes_of_others_and_empty_rows(model, query):
    expected = model.predict(query).to_numpy()
    doubled = query.copy()
    doubled.X = query.X * 2
    assert model.predict(doubled).to_numpy() == pytest.approx(expected, rel=1e-4)
    other = ad.AnnData(query.X + 5, query.obs, pd.DataFrame(index=[f"X{i}" for i in range(G)]))
    more = ad.concat([query, other], axis=1, merge="first")
    assert model.predict(more).to_numpy() == pytest.approx(expected, rel=1e-4)
    doubled.X[3] = 0
    found = model.predict(doubled).to_numpy()
    assert np.isnan(found[3]).all()
    assert np.isfinite(np.delete(found, 3, axis=0)).all()


def test_one_seed_gives_one_model_and_leaves_the_global_state(train):
    small = train[:120].copy()
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    ids = {fitted(small, max_epochs=2).id_ for _ in range(2)}
    assert len(ids) == 1
    assert torch.equal(before, torch.random.get_rng_state())
    model = ResponseTransformer("planted", n_programs=K, d_model=16, n_members=1)
    model.fit(small, "auc", donor_key="donor", max_epochs=2, verbose=False, seed=1)
    assert model.id_ not in ids


def test_save_and_load_keep_every_bit(model, query, tmp_path):
    model.describe(population="nobody: simulated")
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert isinstance(again, ResponseTransformer)
    pd.testing.assert_frame_equal(again.predict(query), model.predict(query))
    assert (again.targets_, again.id_, again.settings_) == (
        model.targets_,
        model.id_,
        dtp.model._plain.plain(model.settings_),
    )
    assert len(again.history_table_) == len(model.history_table_)
    card = read_card(tmp_path / "m")
    n = int(model.data_["n_measured"]["drug_a"])
    left_out = model.settings_["spearman_left_out_by_target"]["drug_a"]
    text = card.to_markdown()
    assert f"| drug_a | {n} | " in text
    assert f" | {left_out:.3f} |" in text
    assert "on donors held out in 5 folds: mean Spearman" in text
    assert {p.name for p in (tmp_path / "m").iterdir()} == {
        "model.safetensors",
        "model.json",
        "card.md",
        "card.json",
    }
    with pytest.raises(ValueError, match=r"Expected a ResponseModel in .*found a ResponseTransf"):
        ResponseModel.load(tmp_path / "m")


def test_score_writes_one_target_and_all_responses(model, query):
    scored = query.copy()
    dtp.tl.score(scored, model, target="drug_b", transfer="skip")
    expected = model.predict(query)
    assert scored.obs["dtp_score"].to_numpy() == pytest.approx(expected["drug_b"].to_numpy())
    pd.testing.assert_frame_equal(scored.obsm["dtp_responses"], expected)
    assert scored.uns["dtp"]["target"] == "drug_b"
    with pytest.raises(ValueError, match="`target`, one of the model's responses; found none"):
        dtp.tl.score(query, model)
    with pytest.raises(KeyError, match=r"among the 2 responses.*drug_a"):
        dtp.tl.score(query, model, target="drug_aa")
    assert not len(query.obs.filter(like="dtp_").columns)
    # A later score of one response leaves no table of an earlier model behind.
    student = model.distill(query, n_genes=20, target="drug_a")
    dtp.tl.score(scored, student, transfer="skip")
    assert "dtp_responses" not in scored.obsm


def test_a_distilled_panel_says_nearly_the_same(model, train, query):
    student = model.distill(train, n_genes=40, target="drug_a", donor_key="donor")
    assert isinstance(student, ResponseModel)
    assert len(student.genes_) == 40
    assert student.targets_ == ("drug_a",)
    assert student.settings_["teacher"] == model.id_
    agreement = spearmanr(student.predict(query), model.predict(query)["drug_a"]).statistic
    assert agreement > 0.6
    assert abs(agreement - student.settings_["spearman_left_out"]) < 0.15


def test_columns_of_obs_and_chosen_targets(train):
    by_column = train[:150].copy()
    by_column.obs["drug_b"] = by_column.obsm["auc"]["drug_b"]
    options = {"donor_key": "donor", "max_epochs": 1, "verbose": False}
    settings = {"n_programs": K, "d_model": 16, "n_members": 1}
    one = ResponseTransformer(**settings).fit(by_column, "drug_b", **options)
    two = ResponseTransformer(**settings).fit(by_column, "auc", targets=["drug_b"], **options)
    assert one.targets_ == two.targets_ == ("drug_b",)
    pd.testing.assert_frame_equal(one.predict(by_column), two.predict(by_column))
    both = ResponseTransformer(**settings).fit(by_column, ["drug_b"], **options)
    assert both.id_ == one.id_


def test_errors_before_any_work(train, query):
    model = ResponseTransformer(n_programs=K)
    with pytest.raises(RuntimeError, match=r"a fitted ResponseTransformer.*Run fit\(\) first"):
        model.predict(query)
    with pytest.raises(KeyError, match=r"among the 2 columns of adata.obsm\['auc'\].*drug_a"):
        model.fit(train, "auc", targets=["drug_c"])
    with pytest.raises(ValueError, match=r"`targets` with a `target_key` of adata.obsm"):
        model.fit(train, "donor", targets=["x"])
    with pytest.raises(KeyError, match="target_key"):
        model.fit(train, "aucs")
    few = train.copy()
    few.obsm["auc"].iloc[15:, 1] = np.nan
    with pytest.raises(ValueError, match=r"1 of 2 targets without \('drug_b': \d+ rows"):
        model.fit(few, "auc")
    text = train.copy()
    text.obsm["auc"]["drug_a"] = text.obsm["auc"]["drug_a"].astype(str)
    with pytest.raises(ValueError, match=r"numbers in adata.obsm\['auc'\]\['drug_a'\]"):
        model.fit(text, "auc")
    array = train.copy()
    array.obsm["auc"] = array.obsm["auc"].to_numpy()
    with pytest.raises(ValueError, match=r"a DataFrame in adata.obsm\['auc'\]; found ndarray"):
        model.fit(array, "auc")
    lonely = train.copy()
    lonely.obs["donor"] = "one"
    with pytest.raises(ValueError, match="at least two donors; found one"):
        model.fit(lonely, "auc", donor_key="donor")
    with pytest.raises(ValueError, match="loss"):
        ResponseTransformer(loss="mse")


def test_rank_targets_and_rank_loss_say_their_units(train):
    small = train[:150].copy()
    settings = {"n_programs": K, "d_model": 16, "n_members": 1}
    options = {"donor_key": "donor", "max_epochs": 1, "verbose": False, "units": "AUC"}
    ranked = ResponseTransformer(target="rank", **settings).fit(small, "auc", **options)
    assert ranked.units_ == "rank of the AUC among the training rows, 0 to 1"
    assert ranked.predict(small).to_numpy().mean() == pytest.approx(0.5, abs=0.05)
    ordered = ResponseTransformer(loss="rank", **settings).fit(small, "auc", **options)
    assert ordered.units_ == "ordered as the AUC, without units"
