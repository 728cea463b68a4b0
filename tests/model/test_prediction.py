"""The same score however the query is stored, ordered or read."""

from __future__ import annotations

import gc
import weakref

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import expit

from dtp_scvi.data import SymbolResolver
from dtp_scvi.model import DTPTransformer

TOLERANCE = {"rtol": 0, "atol": 2e-5}
both = pytest.mark.parametrize("name", ["teacher", "student"])


@pytest.fixture
def model(name, request):
    return request.getfixturevalue(name)


@pytest.fixture
def expected(model, query):
    return model.predict_logits(query)["drug_tolerant"].to_numpy()


def logits(model, adata, **kwargs):
    return model.predict_logits(adata, **kwargs)["drug_tolerant"].to_numpy()


@both
def test_gene_order(model, query, expected, rng):
    order = rng.permutation(query.n_vars)
    np.testing.assert_allclose(logits(model, query[:, order].copy()), expected, **TOLERANCE)


@both
def test_row_order(model, query, expected, rng):
    order = rng.permutation(query.n_obs)
    found = logits(model, query[order].copy())
    np.testing.assert_allclose(found, expected[order], **TOLERANCE)
    np.testing.assert_allclose(logits(model, query, indices=order), expected[order], **TOLERANCE)


@both
@pytest.mark.parametrize(
    "form", [sp.csr_matrix, sp.csc_matrix, sp.csr_array, lambda x: x.toarray()]
)
def test_storage(model, query, expected, form):
    query.X = form(query.X)
    np.testing.assert_allclose(logits(model, query), expected, **TOLERANCE)


@both
def test_backed(model, query, expected, tmp_path):
    query.write_h5ad(tmp_path / "query.h5ad")
    backed = ad.read_h5ad(tmp_path / "query.h5ad", backed="r")
    np.testing.assert_allclose(logits(model, backed), expected, **TOLERANCE)
    backed.file.close()


@both
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batch_size(model, query, expected, batch_size):
    found = logits(model, query, batch_size=batch_size)
    np.testing.assert_allclose(found, expected, **TOLERANCE)


@both
def test_one_cell_at_a_time(model, query, expected):
    one = [logits(model, query[i].copy(), scale="counts")[0] for i in range(5)]
    np.testing.assert_allclose(one, expected[:5], **TOLERANCE)


@both
def test_view_and_view_of_rows(model, query, expected):
    np.testing.assert_allclose(logits(model, query[10:20]), expected[10:20], **TOLERANCE)


@both
def test_log_normalised_input_gives_the_score_of_its_counts(model, query, expected):
    total = np.asarray(query.X.sum(axis=1))
    query.X = sp.csr_matrix(np.log1p(query.X.toarray() * 1e4 / total).astype(np.float32))
    np.testing.assert_allclose(logits(model, query), expected, rtol=0, atol=1e-4)


@both
def test_ensembl_ids_give_the_score_of_their_symbols(model, query):
    resolver = SymbolResolver.bundled()
    ids = {symbol: name for name, symbols in resolver._ensembl.items() for symbol in symbols}
    symbols = resolver.resolve(query.var_names)["symbol"]
    query.var["ensembl"] = [f"{ids[symbol]}.3" if symbol in ids else "" for symbol in symbols]
    found = query[:, query.var["ensembl"] != ""].copy()
    assert found.n_vars > 0.9 * query.n_vars
    by_symbol, by_id = logits(model, found), logits(model, found, gene_key="ensembl")
    np.testing.assert_allclose(by_id, by_symbol, **TOLERANCE)


@both
def test_missing_genes_stand_at_their_mean(model, query, expected, rng):
    keep = np.sort(rng.choice(query.n_vars, int(0.8 * query.n_vars), replace=False))
    cut = query[:, keep].copy()
    at_mean = logits(model, cut)
    assert np.corrcoef(at_mean, expected)[0, 1] > 0.7
    assert not np.allclose(at_mean, logits(model, cut, missing="zero"))
    with pytest.raises(ValueError, match="model genes found"):
        logits(model, cut, missing="error")
    with pytest.raises(ValueError, match="floor is 99%"):
        logits(model, cut, min_coverage=0.99)


@both
def test_probability_is_the_calibrated_logit(model, query):
    prob, logits = model.predict_proba(query), model.predict_logits(query)
    curve = model.calibration_.calibrator.parameters
    expected = expit(curve["slope"] * logits["drug_tolerant"] + curve["intercept"])
    np.testing.assert_allclose(prob["drug_tolerant"], expected, rtol=1e-9)
    np.testing.assert_allclose(prob.sum(axis=1), 1)
    assert list(prob.columns) == ["drug_tolerant", "sensitive"]
    assert list(prob.index) == list(query.obs_names)


@both
def test_a_query_is_left_alone(model, query):
    before = query.copy()
    model.predict_logits(query)
    pd.testing.assert_frame_equal(query.obs, before.obs)
    pd.testing.assert_frame_equal(query.var, before.var)
    assert list(query.uns) == list(before.uns)
    assert list(query.layers) == list(before.layers)
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(query.X, name), getattr(before.X, name))


@both
def test_a_query_is_freed(model, query):
    # A copy, because the fixture keeps its own object alive.
    own = query.copy()
    gone = weakref.ref(own)
    model.predict_proba(own)
    del own
    gc.collect()
    assert gone() is None


@both
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.nan, "1 NaN values; the first in row"),
        (np.inf, "1 infinite values; the first"),
        (-1.0, "negative"),
    ],
)
def test_unfit_values(model, query, value, text):
    query.X.data[17] = value
    with pytest.raises(ValueError, match=text):
        model.predict_logits(query)


@both
def test_z_scores_are_refused(model, query):
    dense = query.X.toarray()
    query.X = (dense - dense.mean(0)) / (dense.std(0) + 1)
    with pytest.raises(ValueError, match=r"z-scor|negative"):
        model.predict_logits(query)


@both
def test_foreign_genes_are_refused(model, query):
    query.var_names = [f"thing{i}" for i in range(query.n_vars)]
    with pytest.raises(ValueError, match=r"0 of .* model genes found"):
        model.predict_logits(query)


@both
def test_a_mask_and_positions_choose_the_same_rows(model, query, expected):
    mask = np.arange(query.n_obs) % 3 == 0
    found = model.predict_logits(query, indices=mask)
    np.testing.assert_allclose(found["drug_tolerant"], expected[mask], **TOLERANCE)
    assert list(found.index) == list(query.obs_names[mask])


@both
def test_training_data_need_no_argument(model, cells):
    own = model.predict_logits()
    # X holds the same counts as the registered layer.
    by_name = model.predict_logits(cells.copy(), layer="counts")
    np.testing.assert_allclose(own, by_name, **TOLERANCE)


@both
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_storage_and_step_give_one_score(model, query, expected, data):
    seed = data.draw(st.integers(0, 2**16))
    draw = np.random.default_rng(seed)
    rows, genes = draw.permutation(query.n_obs), draw.permutation(query.n_vars)
    form = data.draw(st.sampled_from([sp.csr_matrix, sp.csc_matrix, lambda x: x.toarray()]))
    other = query[rows][:, genes].copy()
    other.X = form(other.X)
    found = logits(model, other, batch_size=data.draw(st.integers(1, 200)))
    np.testing.assert_allclose(found, expected[rows], **TOLERANCE)


def test_an_untrained_model_predicts_nothing(cells):
    with pytest.raises(RuntimeError, match=r"Run train\(\) first"):
        DTPTransformer(cells).predict_logits()


@both
def test_unknown_arguments(model, query):
    with pytest.raises(ValueError, match="`missing` to be one of"):
        model.predict_logits(query, missing="median")
    with pytest.raises(ValueError, match="`batch_size` to be a whole number"):
        model.predict_logits(query, batch_size=0)
    with pytest.raises(KeyError, match="conuts"):
        model.predict_logits(query, layer="conuts")
    with pytest.raises(KeyError, match="ensembl"):
        model.predict_logits(query, gene_key="ensembl")
