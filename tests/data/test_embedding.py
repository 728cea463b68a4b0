from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from dtp_scvi.data import check_same_options, embedding_matrix
from dtp_scvi.pp import record_embedding

A5 = {"model": "scfoundation", "options": {"resolution": "a5", "pool": "all"}}


def record(**options):
    return {"model": "scfoundation", "options": {**A5["options"], **options}}


@pytest.fixture
def adata():
    values = np.arange(12, dtype=np.float64).reshape(4, 3)
    obs = pd.DataFrame(index=[f"c{i}" for i in range(4)])
    return ad.AnnData(np.ones((4, 2), np.float32), obs=obs, obsm={"X_sf": values})


@pytest.mark.parametrize("store", [np.asarray, sp.csr_matrix, pd.DataFrame])
def test_values_and_names_of_any_storage(adata, store):
    values = adata.obsm["X_sf"]
    stored = store(values)
    adata.obsm["X_sf"] = (
        stored.set_index(adata.obs_names) if isinstance(stored, pd.DataFrame) else stored
    )
    got, names, kept = embedding_matrix(adata, "X_sf", n_dims=3)
    np.testing.assert_array_equal(got, values)
    assert got.dtype == np.float32
    assert names == ["X_sf_0", "X_sf_1", "X_sf_2"]
    assert kept == {}


def test_float32_is_not_copied(adata):
    adata.obsm["X_sf"] = adata.obsm["X_sf"].astype(np.float32)
    assert np.shares_memory(embedding_matrix(adata, "X_sf").values, adata.obsm["X_sf"])


def test_another_width(adata):
    with pytest.raises(
        ValueError, match=r"of 5 dimensions, as in training; found 3 in adata.obsm"
    ):
        embedding_matrix(adata, "X_sf", n_dims=5)


def test_a_record_of_another_array(adata):
    record_embedding(adata, "X_sf", model="scfoundation")
    adata.obsm["X_sf"] = np.ones((4, 7))
    with pytest.raises(ValueError, match="the 3 dimensions that were recorded"):
        embedding_matrix(adata, "X_sf")
    record_embedding(adata, "X_sf", model="scfoundation")
    assert embedding_matrix(adata, "X_sf").record["n_dims"] == 7


def test_unknown_key(adata):
    with pytest.raises(KeyError, match=r"`obsm_key` to name a key of adata.obsm.*X_sf"):
        embedding_matrix(adata, "X_scf")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_named(adata, bad):
    adata.obsm["X_sf"][2, 1] = bad
    with pytest.raises(ValueError, match="NaN or infinite ones in 1 rows: c2"):
        embedding_matrix(adata, "X_sf")


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (pd.DataFrame({"a": list("wxyz")}, index=[f"c{i}" for i in range(4)]), "numbers in"),
        (np.ones((4, 2, 2)), r"shape \(4, 2, 2\)"),
        (np.ones((4, 0)), r"shape \(4, 0\)"),
    ],
)
def test_what_is_no_table_of_numbers(adata, values, match):
    adata.obsm["X_sf"] = values
    with pytest.raises(ValueError, match=match):
        embedding_matrix(adata, "X_sf")


def test_the_same_options_pass():
    check_same_options(A5, record())
    check_same_options({}, A5)  # nothing is known of the training embedding


@pytest.mark.parametrize(
    ("query", "match"),
    [
        (record(resolution="f1"), r"'X_sf' made as .*resolution 'a5'; found resolution 'f1'"),
        (record(pool="max"), "pool 'all'; found pool 'max'"),
        ({**A5, "model": "geneformer"}, "model 'scfoundation'; found model 'geneformer'"),
        ({}, "scfoundation, resolution 'a5', pool 'all'.*found no record"),
    ],
)
def test_mixed_options_are_refused(query, match):
    with pytest.raises(ValueError, match=match):
        check_same_options(A5, query, key="X_sf")


def test_bulk_goes_with_cells_but_for_the_rest():
    check_same_options(record(resolution="bulk"), A5)
    check_same_options(A5, record(resolution="bulk"))
    with pytest.raises(ValueError, match="pool 'all'; found pool 'max'"):
        check_same_options(A5, record(resolution="bulk", pool="max"))


def test_an_option_of_one_side_is_warned_of():
    with pytest.warns(UserWarning, match="only one of training data and query.*checkpoint"):
        check_same_options(A5, record(checkpoint="rde"))


def test_records_agree_after_a_file(adata, tmp_path):
    options = {"resolution": "a5", "depth": 4, "scaled": True, "share": 0.5}
    record_embedding(adata, "X_sf", model="scfoundation", options=options)
    before = embedding_matrix(adata, "X_sf").record
    adata.write_h5ad(tmp_path / "a.h5ad")
    after = embedding_matrix(ad.read_h5ad(tmp_path / "a.h5ad"), "X_sf").record
    assert after["options"] == options
    assert all(type(after["options"][name]) is type(value) for name, value in options.items())
    check_same_options(before, after)
    check_same_options(after, before)
