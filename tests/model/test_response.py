"""A response model recovers a planted linear response and does not care how a matrix is stored."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

from dtp_scvi.model import ResponseModel, load_model, read_card
from dtp_scvi.model._ridge import PENALTIES, fit_ridge

N, G = 160, 60


def samples(n=N, seed=0, depth=2e5):
    """Counts of samples whose response is linear in the logarithms of five genes."""
    rng = np.random.default_rng(seed)
    base = np.random.default_rng(99).normal(3, 1, G)
    logs = base + rng.normal(0, 0.7, (n, G))
    share = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    counts = rng.poisson(share * depth * rng.lognormal(0, 0.4, (n, 1))).astype(np.float32)
    truth = (logs - base)[:, :5] @ np.array([1.0, -1.0, 1.0, -1.0, 1.0])
    obs = pd.DataFrame(
        {"auc": 150 + 20 * truth + rng.normal(0, 10, n), "truth": truth},
        index=[f"s{i}" for i in range(n)],
    )
    names = [f"GENE{i}" for i in range(G)]
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=names))


@pytest.fixture(scope="module")
def train():
    return samples()


@pytest.fixture(scope="module")
def model(train):
    return ResponseModel("planted", inputs="blend").fit(train, "auc", units="AUC")


@pytest.fixture(scope="module")
def query():
    return samples(70, seed=1)


@pytest.mark.parametrize("inputs", ["closed", "rank", "blend"])
@pytest.mark.parametrize("target", ["value", "rank"])
def test_planted_response_is_recovered_in_new_samples(train, query, inputs, target):
    fitted = ResponseModel(inputs=inputs, target=target).fit(train, "auc")
    predicted = fitted.predict(query)
    assert spearmanr(predicted, query.obs["truth"]).statistic > 0.85
    top = fitted.importance_.argsort()[-5:]
    assert set(top) == set(range(5))
    if target == "rank":
        assert predicted.between(-0.5, 1.5).all()
    else:
        assert abs(predicted.mean() - 150) < 10


def test_ridge_is_sklearns_and_leaves_whole_donors_out():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(60, 20))
    z -= z.mean(axis=0)
    donors = rng.integers(0, 25, 60)
    y = z[:, 0] + rng.normal(size=60) + rng.normal(size=25)[donors]
    found = fit_ridge(z, y, donors)
    oracle = SklearnRidge(found.penalty).fit(z, y)
    assert found.weight == pytest.approx(oracle.coef_, abs=1e-10)
    assert found.intercept == pytest.approx(oracle.intercept_)
    folds = {"groups": donors, "cv": LeaveOneGroupOut()}
    out = {p: cross_val_predict(SklearnRidge(p), z, y, **folds) for p in PENALTIES}
    assert found.held_out == pytest.approx(out[found.penalty], abs=1e-9)
    losses = {p: np.mean((y - held) ** 2) for p, held in out.items()}
    assert found.penalty == min(losses, key=losses.get)
    alone = fit_ridge(z, y, None)
    assert alone.held_out == pytest.approx(
        cross_val_predict(SklearnRidge(alone.penalty), z, y, cv=len(y)), abs=1e-9
    )


def test_blend_is_the_mean_of_both_on_their_own_deviation(train, query):
    def on(inputs):
        fitted = ResponseModel(inputs=inputs).fit(train, "auc")
        inside = fitted.predict(train)
        return (fitted.predict(query) - inside.mean()) / inside.std(), inside.std()

    (closed, a), (rank, b) = on("closed"), on("rank")
    blend = ResponseModel(inputs="blend").fit(train, "auc").predict(query)
    expected = train.obs["auc"].mean() + (closed + rank) / 2 * (a + b) / 2
    assert blend.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-6)


@pytest.mark.parametrize("align", ["none", "moments", "rank"])
def test_order_of_genes_and_rows_and_storage_do_not_matter(model, query, align, tmp_path):
    expected = model.predict(query, align=align)
    rng = np.random.default_rng(0)
    genes, rows = rng.permutation(G), rng.permutation(query.n_obs)
    shuffled = model.predict(query[rows][:, genes].copy(), align=align)
    pd.testing.assert_series_equal(shuffled[query.obs_names], expected)
    for form in (sp.csr_matrix, sp.csc_matrix, sp.csr_array):
        other = ad.AnnData(form(query.X), obs=query.obs, var=query.var)
        pd.testing.assert_series_equal(model.predict(other, align=align), expected)
    other.write_h5ad(tmp_path / "q.h5ad")
    backed = ad.read_h5ad(tmp_path / "q.h5ad", backed="r")
    pd.testing.assert_series_equal(model.predict(backed, align=align), expected)


@pytest.mark.parametrize(
    ("scale", "forward"),
    [
        ("log2", lambda x: np.log2(0.0137 * x + 1e-5)),
        ("log1p_normalized", np.log1p),
        ("log2_sizefactor", lambda x: np.log2(x + 1)),
    ],
)
def test_scales_of_the_same_samples_agree(model, query, scale, forward):
    other = query.copy()
    other.X = forward(query.X.astype(np.float64))
    found = model.predict(other, scale=scale)
    assert found.to_numpy() == pytest.approx(model.predict(query).to_numpy(), abs=0.05)


def test_depth_and_genes_outside_the_panel_do_not_matter(model, query):
    doubled = query.copy()
    doubled.X = query.X * 2
    more = ad.concat(
        [
            query,
            ad.AnnData(query.X + 5, query.obs, pd.DataFrame(index=[f"X{i}" for i in range(G)])),
        ],
        axis=1,
        merge="first",
    )
    expected = model.predict(query).to_numpy()
    assert model.predict(doubled).to_numpy() == pytest.approx(expected, rel=1e-5)
    assert model.predict(more).to_numpy() == pytest.approx(expected, rel=1e-12)


def test_missing_genes_stand_at_their_mean(train):
    fitted = ResponseModel().fit(train, "auc")
    few = samples(70, seed=1)[:, 5:].copy()
    predicted = fitted.predict(few)
    assert predicted.std() < 0.5 * fitted.predict(samples(70, seed=1)).std()
    assert abs(predicted.mean() - 150) < 10


def test_moments_undo_a_factor_per_gene_and_ranks_any_monotone_change(model, query):
    gain = np.random.default_rng(3).lognormal(0, 0.8, G).astype(np.float32)
    other = query.copy()
    other.X = query.X * gain
    truth = query.obs["truth"]

    def worth(adata, **kwargs):
        return spearmanr(model.predict(adata, scale="corrected_counts", **kwargs), truth).statistic

    assert worth(other, align="moments") > 0.85
    other.X = query.X**1.5
    ranked = ResponseModel(inputs="rank").fit(samples(), "auc")
    pd.testing.assert_series_equal(
        ranked.predict(other, scale="corrected_counts"), ranked.predict(query)
    )
    pd.testing.assert_series_equal(
        model.predict(other, scale="corrected_counts", align="rank"),
        model.predict(query, align="rank"),
    )


def test_moments_make_a_row_depend_on_the_others_and_nothing_else_does(model, query):
    half = query[:35].copy()
    for align, depends in (("none", False), ("rank", False), ("moments", True)):
        same = np.allclose(
            model.predict(half, align=align), model.predict(query, align=align)[:35], rtol=1e-9
        )
        assert same is not depends


def test_shift_is_seen(model, query):
    assert model.shift(model.prepare(query))["shifted"] == 0
    other = query.copy()
    other.X = query.X * np.random.default_rng(3).lognormal(0, 4, G).astype(np.float32)
    assert model.shift(model.prepare(other, scale="corrected_counts"))["shifted"] > 0.2


def test_rows_without_expression_are_missing(model, query):
    other = query.copy()
    other.X[3] = 0
    found = model.predict(other)
    assert found.isna().to_numpy().nonzero()[0].tolist() == [3]
    expected = model.predict(query).drop("s3")
    assert found.drop("s3").to_numpy() == pytest.approx(expected.to_numpy())


def test_save_and_load_give_the_same_bits_and_keep_no_row(model, train, query, tmp_path):
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert isinstance(again, ResponseModel)
    pd.testing.assert_series_equal(again.predict(query), model.predict(query))
    assert again.card_.to_dict() == read_card(tmp_path / "m").to_dict() == model.card_.to_dict()
    held = {name: array.size for name, array in again.fitted_.to_arrays().items()}
    assert max(held.values()) == 2 * G < train.n_obs
    text = (tmp_path / "m" / "model.json").read_text()
    assert not any(name in text for name in train.obs_names)


def test_damage_is_found(model, tmp_path):
    model.save(tmp_path / "m")
    file = tmp_path / "m" / "model.json"
    meta = json.loads(file.read_text())
    file.write_text(json.dumps({**meta, "units": "something else"}))
    with pytest.raises(ValueError, match=r"model.json as it was written; found another checksum"):
        load_model(tmp_path / "m")
    meta.pop("units")
    file.write_text(json.dumps(meta))
    with pytest.raises(ValueError, match=r"Expected units in .*; found an incomplete file"):
        load_model(tmp_path / "m")


def test_evaluation_and_notes_go_into_the_card(train):
    fitted = ResponseModel("m").fit(train, "auc", units="AUC")
    assert fitted.worth_ == "not evaluated on rows of others"
    assert "Not evaluated on rows of others." in fitted.card_.limits
    fitted.adopt(
        {"cohort": "wave 3", "n": 40, "spearman": {"value": 0.1, "low": -0.2, "high": 0.4}}
    )
    fitted.describe(licence="CC0")
    assert fitted.worth_ == "Spearman 0.10 [-0.20, 0.40] on wave 3 (n = 40)"
    page = fitted.card_.to_markdown()
    assert "Not shown to predict anything: on wave 3" in page
    assert "| licence | CC0 |" in page
    assert json.loads(fitted.card_.to_json())["target"]["units"] == "AUC"
    # Of another fit it says nothing.
    assert fitted.fit(train, "auc", units="AUC").worth_ == "not evaluated on rows of others"


def bad(adata, **columns):
    return ad.AnnData(adata.X, obs=adata.obs.assign(**columns), var=adata.var)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"auc": "12"}, r"numbers in adata.obs\['auc'\]; found values of type .*12"),
        ({"auc": np.inf}, "finite numbers .*; found 160 infinite"),
        (
            {"auc": 7.0},
            "at least 20 rows with different values in each target.*160 rows with 1 values",
        ),
        ({"auc": np.nan}, "0 rows with 0 values"),
    ],
)
def test_responses_that_can_not_be_learned(train, columns, message):
    with pytest.raises(ValueError, match=message):
        ResponseModel().fit(bad(train, **columns), "auc")


def test_other_errors_of_fit(train):
    with pytest.raises(KeyError, match=r"`target_key` to name a key of adata\.obs; found 'au'"):
        ResponseModel().fit(train, "au")
    with pytest.raises(ValueError, match="`inputs` to be one of 'closed', 'rank', 'blend'"):
        ResponseModel(inputs="log")
    with pytest.raises(ValueError, match="`target` to be one of 'value', 'rank'"):
        ResponseModel(target="auc")
    with pytest.raises(ValueError, match="`direction` to be one of"):
        ResponseModel().fit(train, "auc", direction="up")
    twice = train.copy()
    twice.var["symbol"] = ["A", "A", *train.var_names[2:]]
    with pytest.raises(ValueError, match=r"each gene once; found 1 that repeat \(A\)"):
        ResponseModel().fit(twice, "auc", gene_key="symbol")
    empty = train.copy()
    empty.X[2] = 0
    with pytest.raises(ValueError, match="expression in every row; found 1 rows of zeros"):
        ResponseModel().fit(empty, "auc")


def test_errors_of_predict(model, query):
    with pytest.raises(RuntimeError, match=r"a fitted ResponseModel; found one that is not"):
        ResponseModel().predict(query)
    with pytest.raises(ValueError, match="at least 10 rows to take moments of; found 9"):
        model.predict(query[:9].copy(), align="moments")
    with pytest.raises(ValueError, match="`align` to be one of 'none', 'moments', 'rank'"):
        model.predict(query, align="quantile")
    with pytest.raises(ValueError, match=r"20 of 60 model genes found \(coverage 33%"):
        model.predict(query[:, :20].copy())
    with pytest.raises(ValueError, match="59 of 60 model genes found"):
        model.predict(query[:, 1:].copy(), missing="error")
    with pytest.raises(ValueError, match="at least one row and one gene; found 0 rows"):
        model.predict(query[:0].copy())
    with pytest.raises(ValueError, match="an evaluation with cohort, n and spearman"):
        model.adopt({"cohort": "x", "n": 3})
    with pytest.raises(TypeError, match="any of title"):
        model.describe(colour="red")
    broken = query.copy()
    broken.X[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"finite, non-negative values in adata\.X; found 1 NaN"):
        model.predict(broken, scale="counts")
