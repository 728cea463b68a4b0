"""Values that are used as they are: declared, never detected, never transformed."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from dtp_scvi.data import (
    LINEARISE,
    Scale,
    align_genes,
    iter_blocks,
    linearise,
    linearise_block,
    resolve_scale,
    scale_kind,
)


@pytest.fixture
def values():
    found = np.random.default_rng(0).normal(size=(150, 12)).astype(np.float32)
    found[3], found[:, 2] = 0, 0
    return found


def test_it_has_a_kind_and_no_transform(values):
    assert scale_kind("as_is") == "as_is"
    assert linearise(values, Scale.AS_IS) is values
    assert linearise_block(values, "as_is") is values
    assert Scale.AS_IS not in LINEARISE


def test_it_is_declared_where_it_may_be_and_never_detected(values):
    assert resolve_scale(values, "as_is", values=True) is Scale.AS_IS
    assert resolve_scale(np.zeros((3, 3)), "as_is", values=True) is Scale.AS_IS
    with pytest.raises(ValueError, match=r"`scale` to be one of.*'log2'; found 'as_is'"):
        resolve_scale(values, "as_is")
    with pytest.raises(ValueError, match=r"scale that the evidence makes clear"):
        resolve_scale(values, "auto", values=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_none_are_refused(values, bad):
    values[140, 5] = bad
    with pytest.raises(
        ValueError, match=r"finite values in adata\.X; found 1 .*row 140, column 5"
    ):
        resolve_scale(values, "as_is", values=True)
    with pytest.raises(ValueError, match=r"finite values in the embedding; found 1 "):
        list(iter_blocks(values, scale="as_is", check="the embedding"))


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_blocks_hold_the_values_zeros_and_empty_rows_included(values, form):
    blocks = list(iter_blocks(form(values), scale="as_is", check="x", max_bytes=1))
    found = np.vstack([block.matrix.toarray() for block in blocks])
    np.testing.assert_array_equal(found, values)
    total = np.concatenate([block.total for block in blocks])
    np.testing.assert_allclose(total, values.sum(axis=1, dtype=float), atol=1e-5)
    assert [block.rows.start for block in blocks] == [0, 64, 128]


def test_backed_values_are_read_alike(values, tmp_path):
    ad.AnnData(values).write_h5ad(tmp_path / "x.h5ad")
    backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    found = np.vstack([b.matrix.toarray() for b in iter_blocks(backed.X, scale="as_is")])
    np.testing.assert_array_equal(found, values)


def test_columns_of_one_name_are_averaged():
    alignment = align_genes(["GPR56", "CD34", "ADGRG1"], ["ADGRG1", "CD34"])
    block = next(iter_blocks(np.array([[1.0, -3.0, 4.0]]), alignment, scale="as_is"))
    assert block.matrix.toarray().tolist() == [[2.5, -3.0]]
