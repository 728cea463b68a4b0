from __future__ import annotations

import sys

import anndata as ad
import numpy as np
import pytest

import dtp_scvi as dtp
from dtp_scvi.pp import Combat

combatlearn = pytest.importorskip("combatlearn")


@pytest.fixture(scope="module")
def _ici():
    made = dtp.datasets.simulate_ici((24, 30, 26), n_genes=30, response_rates=(0.6, 0.3, 0.5))
    dtp.pp.close_composition(made)
    rng = np.random.default_rng(0)
    made.obs["age"] = rng.normal(60, 10, 80)
    made.obs["sex"] = rng.choice(["f", "m"], 80)
    return made


@pytest.fixture
def train(_ici):
    return _ici[::2].copy()


@pytest.fixture
def test(_ici):
    return _ici[1::2].copy()


@pytest.mark.parametrize("mean_only", [False, True])
@pytest.mark.parametrize("method", ["johnson", "fortin"])
def test_training_rows_are_those_of_the_library(train, method, mean_only):
    genes = np.array(
        [
            np.ptp(train.X[(train.obs["study"] == s).to_numpy()], axis=0) > 0
            for s in train.obs["study"].unique()
        ]
    ).all(axis=0)
    batch = train.obs["study"].astype(str)
    theirs = combatlearn.ComBat(batch=batch, method=method, mean_only=mean_only)
    expected = theirs.fit_transform(train.to_df().loc[:, genes]).to_numpy()
    combat = Combat("study", mean_only=mean_only).fit(train)
    out = combat.transform(train, copy=True)
    np.testing.assert_allclose(out.X[:, genes], expected, atol=1e-8)
    assert np.array_equal(out.X[:, ~genes], train.X[:, ~genes])
    assert combat.unadjusted_genes_.tolist() == train.var_names[~genes].tolist()


def test_covariates_go_to_the_library(train):
    combat = Combat("study", covariates=["age", "sex"]).fit(train)
    genes = ~train.var_names.isin(combat.unadjusted_genes_)
    theirs = combatlearn.ComBat(
        batch=train.obs["study"].astype(str),
        discrete_covariates=train.obs[["sex"]],
        continuous_covariates=train.obs[["age"]],
        method="fortin",
    )
    expected = theirs.fit_transform(train.to_df().loc[:, genes]).to_numpy()
    combat.transform(train)
    np.testing.assert_allclose(train.X[:, genes], expected, atol=1e-8)


def test_test_rows_change_no_parameter(train, test):
    combat = Combat("study").fit(train)
    shift, scale = combat.shift_.copy(), combat.scale_.copy()
    first = combat.transform(test, copy=True)
    wild = test.copy()
    wild.X[5:] = np.random.default_rng(1).normal(50, 9, wild.X[5:].shape)
    second = combat.transform(wild, copy=True)
    # The first five rows are corrected alike, whatever lies beside them.
    assert np.array_equal(first.X[:5], second.X[:5])
    assert shift.equals(combat.shift_)
    assert scale.equals(combat.scale_)


def test_one_row_is_scaled_and_shifted(train, test):
    combat = Combat("study").fit(train)
    x, study = test.X[3].copy(), test.obs["study"].iloc[3]
    expected = combat.scale_.loc[study].to_numpy() * x + combat.shift_.loc[study].to_numpy()
    out = combat.transform(test[3:4], copy=True)
    np.testing.assert_allclose(out.X[0], expected, atol=1e-8)


def test_means_of_batches_meet(train):
    before = train.to_df().groupby(train.obs["study"], observed=True).mean()
    Combat("study").fit(train).transform(train)
    after = train.to_df().groupby(train.obs["study"], observed=True).mean()
    assert after.std().mean() < 0.15 * before.std().mean()


def test_row_and_gene_order_do_not_matter(train, test):
    combat = Combat("study").fit(train)
    turned = test[::-1, ::-1].copy()
    straight = combat.transform(test, copy=True)
    combat.transform(turned)
    np.testing.assert_allclose(turned.X, straight.X[::-1, ::-1], atol=1e-12)
    again = Combat("study").fit(train[::-1])
    np.testing.assert_allclose(again.shift_, combat.shift_, atol=1e-8)


def test_the_label_is_not_looked_at_unless_asked(train, test):
    plain = Combat("study").fit(train)
    other = train.copy()
    other.obs["response"] = 1 - other.obs["response"]
    assert Combat("study").fit(other).shift_.equals(plain.shift_)
    with pytest.warns(UserWarning, match="Combat read the label 'response' of the training rows"):
        asked = Combat("study", labels_key="response").fit(train)
    assert not np.allclose(asked.shift_, plain.shift_)
    # Rows that are transformed need no label, and theirs changes nothing.
    bare = test.copy()
    del bare.obs["response"]
    for adata in (test, bare):
        asked.transform(adata)
    assert np.array_equal(test.X, bare.X)
    assert test.uns["dtp_combat"]["label_used"]
    assert test.uns["dtp_combat"]["params"]["labels_key"] == "response"


def test_unseen_batches(train, test, tmp_path):
    known = train[train.obs["study"] != "study_3"].copy()
    combat = Combat("study").fit(known)
    with pytest.raises(ValueError, match=r"batches of the training rows .*; found study_3"):
        combat.transform(test)
    out = combat.transform(test, unseen="own", copy=True)
    record = out.uns["dtp_combat"]
    assert record["transductive"]
    assert record["batches"]["fitted_on"].tolist() == ["training rows"] * 2 + ["own rows"]
    assert not record["label_used"]
    # The new batch moved to where the corrected training rows are.
    reference = combat.transform(known, copy=True).X.mean(axis=0)
    new = (test.obs["study"] == "study_3").to_numpy()
    before = np.abs(test.X[new].mean(axis=0) - reference).mean()
    assert np.abs(out.X[new].mean(axis=0) - reference).mean() < 0.3 * before
    # Others are corrected as if it were not there.
    alone = combat.transform(test[~new], copy=True)
    assert np.array_equal(out.X[~new], alone.X)
    out.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad").uns["dtp_combat"]
    assert back["batches"].equals(record["batches"])


def test_one_training_batch_can_receive_another(train, test):
    one = train[train.obs["study"] == "study_1"].copy()
    combat = Combat("study").fit(one)
    assert np.array_equal(combat.transform(one, copy=True).X, one.X)
    out = combat.transform(test, unseen="own", copy=True)
    same = (test.obs["study"] == "study_1").to_numpy()
    assert np.array_equal(out.X[same], test.X[same])
    assert not np.allclose(out.X[~same], test.X[~same])


def test_few_rows_of_an_unseen_batch_are_warned_of(train, test):
    combat = Combat("study").fit(train[train.obs["study"] != "study_3"])
    new = test[test.obs["study"] == "study_3"][:4].copy()
    with pytest.warns(UserWarning, match="'study_3' has 4 rows"):
        combat.transform(new, unseen="own")
    with pytest.raises(ValueError, match="at least 2 rows in every batch; found 1 in study_3"):
        combat.transform(new[:1].copy(), unseen="own")


def test_layers_and_copies(train):
    train.layers["logs"] = train.X + 1
    before = train.X.copy()
    Combat("study", layer="logs").fit(train).transform(train, layer_added="combat")
    assert np.array_equal(train.X, before)
    assert train.uns["dtp_combat"]["params"]["layer_added"] == "combat"


def test_warnings_of_the_library_are_passed_on():
    unequal = dtp.datasets.simulate_ici((50, 2), n_genes=30, response_rates=0.5)
    dtp.pp.close_composition(unequal)
    with pytest.warns(UserWarning, match=r"combatlearn: Batch sizes are highly imbalanced"):
        Combat("study").fit(unequal)


def test_genes_have_to_agree(train, test):
    combat = Combat("study").fit(train)
    with pytest.raises(ValueError, match=rf"missing: {train.var_names[0]};"):
        combat.transform(test[:, 1:].copy())
    fewer = Combat("study").fit(train[:, 1:])
    with pytest.raises(ValueError, match=rf"not in training: {train.var_names[0]};"):
        fewer.transform(test)


def test_levels_of_covariates_have_to_be_known(train, test):
    combat = Combat("study", covariates="sex").fit(train)
    test.obs["sex"] = "other"
    with pytest.raises(
        ValueError, match="levels of 'sex' that the training rows have; found other"
    ):
        combat.transform(test)


def test_what_the_batch_determines_is_refused(train):
    train.obs["site"] = train.obs["study"].astype(str) + "-site"
    with pytest.raises(ValueError, match="that batches do not determine"):
        Combat("study", covariates="site").fit(train)


def test_counts_are_refused(make_cells):
    with pytest.raises(
        ValueError, match=r"logarithms or log-ratios in adata\.X; found Values look like counts"
    ):
        Combat("run").fit(make_cells())


def test_single_rows_and_missing_batches_are_refused(train):
    lonely = train[[0, *range(12, 30)]].copy()
    with pytest.raises(ValueError, match="found 1 in study_1"):
        Combat("study").fit(lonely)
    train.obs["study"] = train.obs["study"].astype(object)
    train.obs.loc[train.obs_names[0], "study"] = None
    with pytest.raises(ValueError, match="1 missing of 40"):
        Combat("study").fit(train)


def test_order_of_calls_and_names_are_checked(train):
    with pytest.raises(RuntimeError, match="a fitted Combat"):
        Combat("study").transform(train)
    with pytest.raises(ValueError, match="neither batch nor covariate"):
        Combat("study", labels_key="study")
    with pytest.raises(KeyError, match="`batch_key` to name a key"):
        Combat("studie").fit(train)
    with pytest.raises(KeyError, match="`covariates` to name a key"):
        Combat("study", covariates="agee").fit(train)
    with pytest.raises(ValueError, match="`unseen` to be one of"):
        Combat("study").fit(train).transform(train, unseen="guess")


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "combatlearn", None)
    with pytest.raises(ImportError, match=r"dtp-scvi\[harmonise\]"):
        Combat("study")
