from __future__ import annotations

import time

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from dtp_scvi.data import check_matrix

FORMS = [np.asarray, sp.csr_matrix, sp.csc_matrix, sp.csr_array, sp.coo_matrix, sp.lil_matrix]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.nan, "found 1 NaN values; the first in row 2, column 1.*Find where"),
        (np.inf, "found 1 infinite values; the first in row 2, column 1"),
        (-np.inf, "found 1 infinite, 1 negative values; the first in row 2, column 1"),
        (-1.0, "found 1 negative values; the first in row 2, column 1.*pass counts"),
    ],
)
def test_bad_value_is_counted_and_located(form, bad, message):
    values = np.array([[0.0, 1.0], [2.0, 0.0], [0.0, bad], [3.0, 4.0]])
    with pytest.raises(ValueError, match=f"finite, non-negative values in adata.X; {message}"):
        check_matrix(form(values))


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_files_are_checked(tmp_path, form):
    values = np.random.default_rng(0).poisson(1.0, (300, 40)).astype(np.float32)
    values[123, 7] = np.nan
    values[200, 3] = -2
    path = tmp_path / "x.h5ad"
    ad.AnnData(form(values)).write_h5ad(path)
    message = "1 NaN, 1 negative values; the first in row 123, column 7"
    with pytest.raises(ValueError, match=message):
        check_matrix(ad.read_h5ad(path, backed="r").X)


@pytest.mark.parametrize("form", FORMS)
def test_good_values_pass(form):
    check_matrix(form(np.array([[0.0, 1.0], [2.5, 0.0]])))
    check_matrix(form(np.array([[0, 1], [2, 0]])))


def test_negative_values_pass_on_request():
    check_matrix(np.array([[-1.0, 1.0]]), negative=True)
    with pytest.raises(ValueError, match="1 NaN values"):
        check_matrix(np.array([[-1.0, np.nan]]), negative=True)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty_matrix_is_named(shape):
    with pytest.raises(ValueError, match="query with cells and genes; found shape"):
        check_matrix(sp.csr_matrix(shape), name="query")


def test_it_costs_no_more_than_reading():
    X = sp.csr_matrix(
        (np.ones(7_000_000, np.float32), np.zeros(7_000_000, np.int32), [0, 7_000_000])
    )
    start = time.process_time()
    check_matrix(X)
    assert time.process_time() - start < 0.15
