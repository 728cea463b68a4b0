from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dtp_scvi.pp import record_embedding

NAMES = ["c0", "c1", "c2"]


@pytest.fixture
def adata():
    return ad.AnnData(np.ones((3, 2), np.float32), obs=pd.DataFrame(index=NAMES))


@pytest.fixture
def made():
    return pd.DataFrame(np.arange(6.0).reshape(3, 2), index=NAMES)


def test_rows_are_keyed_by_name(adata, made):
    record_embedding(adata, "X_sf", model="sf", values=made.iloc[[2, 0, 1]])
    np.testing.assert_array_equal(adata.obsm["X_sf"], made.to_numpy())
    assert adata.obsm["X_sf"].dtype == np.float32


def test_rows_of_other_cells_are_left_out(adata, made):
    more = pd.concat([pd.DataFrame(9.0, index=["other"], columns=made.columns), made])
    record_embedding(adata, "X_sf", model="sf", values=more)
    np.testing.assert_array_equal(adata.obsm["X_sf"], made.to_numpy())


def test_what_is_recorded(adata, made):
    record_embedding(adata, "X_sf", model="sf", options={"resolution": "a5"}, values=made)
    record_embedding(adata, "X_gf", model="gf", values=made.iloc[:, :1])
    records = adata.uns["dtp_embeddings"]
    assert set(records) == {"X_sf", "X_gf"}
    assert records["X_sf"]["model"] == "sf"
    assert records["X_sf"]["n_dims"] == 2
    assert records["X_sf"]["options"] == {"resolution": "a5"}


def test_an_array_without_names_is_refused(adata, made):
    with pytest.raises(TypeError, match="a table whose index names the rows; found ndarray"):
        record_embedding(adata, "X_sf", model="sf", values=made.to_numpy())
    assert "X_sf" not in adata.obsm


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (["c0", "c2"], r"1 rows without one \(c1\)"),
        (["c0", "c1", "c2", "c2"], r"1 names repeated \(c2\)"),
    ],
)
def test_rows_that_do_not_meet(adata, made, rows, match):
    with pytest.raises(ValueError, match=match):
        record_embedding(adata, "X_sf", model="sf", values=made.loc[rows])


def test_options_of_no_plain_value(adata, made):
    with pytest.raises(TypeError, match=r"text, numbers or booleans; found layers=\[1\]"):
        record_embedding(adata, "X_sf", model="sf", options={"layers": [1]}, values=made)


def test_no_such_key(adata):
    with pytest.raises(KeyError, match=r"`key` to name a key of adata.obsm"):
        record_embedding(adata, "X_sf", model="sf")


def test_a_value_that_is_not_finite(adata, made):
    made.iloc[1, 0] = np.nan
    with pytest.raises(ValueError, match="in 1 rows: c1"):
        record_embedding(adata, "X_sf", model="sf", values=made)
    assert "X_sf" not in adata.obsm
