"""The same score however the query is stored, ordered or read."""

from __future__ import annotations

import gc
import weakref

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit

from dtp_scvi.data import SymbolResolver

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
    table = SymbolResolver.bundled().resolve(query.var_names)
    known = SymbolResolver.bundled()
    ids = {symbol: ensembl for symbol, ensembl in known_ensembl(known).items()}
    query.var["ensembl"] = [f"{ids.get(s, '')}.3" if s in ids else "" for s in table["symbol"]]
    found = query[:, query.var["ensembl"] != ""].copy()
    by_symbol, by_id = logits(model, found), logits(model, found, gene_key="ensembl")
    np.testing.assert_allclose(by_id, by_symbol, **TOLERANCE)


def known_ensembl(resolver):
    import gzip
    from importlib.resources import files

    text = gzip.decompress((files("dtp_scvi.data") / "resources/hgnc_symbols.tsv.gz").read_bytes())
    lines = [line.split("\t") for line in text.decode().splitlines()]
    at = lines[0].index("ensembl")
    return {line[0]: line[at] for line in lines[1:] if len(line) > at and line[at]}


@both
def test_missing_genes_stand_at_their_mean(model, query, expected, rng):
    keep = np.sort(rng.choice(query.n_vars, int(0.8 * query.n_vars), replace=False))
    cut = query[:, keep].copy()
    at_mean = logits(model, cut)
    assert np.corrcoef(at_mean, expected)[0, 1] > 0.7
    assert not np.allclose(at_mean, logits(model, cut, missing="zero"))
    with pytest.raises(ValueError, match="model genes found"):
        logits(model, cut, missing="error")
    with pytest.raises(ValueError, match="floor is 99 %|floor is 99%"):
        logits(model, cut, min_coverage=0.99)


@both
def test_probability_is_the_sigmoid_of_the_logit(model, query):
    prob = model.predict_proba(query)
    np.testing.assert_array_equal(prob, expit(model.predict_logits(query)))
    np.testing.assert_allclose(prob.sum(axis=1), 1)
    assert list(prob.columns) == ["drug_tolerant", "sensitive"]
    assert list(prob.index) == list(query.obs_names)


@both
def test_a_query_is_left_alone_and_freed(model, query):
    before = (query.obs.copy(), dict(query.uns), list(query.layers), query.X.copy())
    model.predict_logits(query)
    assert query.obs.equals(before[0])
    assert set(query.uns) == set(before[1])
    assert (query.X != before[3]).nnz == 0
    gone = weakref.ref(query)
    query = None
    gc.collect()
    # The fixture itself still holds one reference; the model must not add another.
    assert all(type(r).__name__ != "AnnDataManager" for r in gc.get_referrers(gone()) if gone())


@both
@pytest.mark.parametrize(
    ("value", "text"),
    [(np.nan, "NaN|missing|not a number"), (np.inf, "infinit"), (-1.0, "negative")],
)
def test_unfit_values(model, query, value, text):
    query.X[3, 4] = value
    with pytest.raises(ValueError, match=text):
        model.predict_logits(query)


@both
def test_z_scores_are_refused(model, query):
    dense = query.X.toarray()
    query.X = (dense - dense.mean(0)) / (dense.std(0) + 1)
    with pytest.raises(ValueError, match="z-scor|negative"):
        model.predict_logits(query)


@both
def test_foreign_genes_are_refused(model, query):
    query.var_names = [f"thing{i}" for i in range(query.n_vars)]
    with pytest.raises(ValueError, match="0 of .* model genes found"):
        model.predict_logits(query)
