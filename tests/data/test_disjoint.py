from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from dtp_scvi.data import check_disjoint, row_hashes


def draw(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(1.0, (n, 12)).astype(np.float32) + np.eye(n, 12, dtype=np.float32)


@settings(max_examples=30)
@given(st.integers(0, 9999))
def test_hashes_are_equal_where_rows_are(seed):
    # Few values, so that there are copies.
    values = np.random.default_rng(seed).integers(0, 2, (30, 3)).astype(np.float32)
    found = row_hashes(values)
    same = (values[:, None, :] == values[None, :, :]).all(axis=2)
    assert np.array_equal(found[:, None] == found[None, :], same)
    assert np.array_equal(found == 0, ~values.any(axis=1))


def test_hashes_do_not_depend_on_the_storage():
    values = draw()
    dense = row_hashes(values)
    assert np.array_equal(dense, row_hashes(sp.csr_matrix(values)))
    assert np.array_equal(dense, row_hashes(sp.csc_matrix(values)))
    assert np.array_equal(dense, row_hashes(values.astype(np.float64)))
    stored = sp.csr_matrix(values)
    stored.data[stored.data == 1] = 0.0  # an explicit zero is no value
    assert np.array_equal(row_hashes(stored), row_hashes(np.where(values == 1, 0, values)))


def test_a_copy_in_training_data_is_refused_by_name():
    values = np.vstack([draw(20), draw(20)[:3]])
    names = [f"s{i}" for i in range(23)]
    folds = [(np.arange(20), np.arange(20, 23)), (np.arange(20, 23), np.arange(5, 20))]
    hashes = row_hashes(values)
    words = r"no row and no patient.*of 18 test rows 3 have an identical row.*rows s20, s21, s22"
    with pytest.raises(ValueError, match=words):
        check_disjoint(folds, hashes=hashes, names=names)
    shared = check_disjoint(folds, hashes=hashes, allowed=True)
    assert (shared.n_rows, shared.n_tested, shared.n_grouped) == (3, 18, 0)
    assert not check_disjoint(folds[1:], hashes=hashes)
    # Copies that are tested together have not been seen.
    together = [(np.arange(3, 20), np.r_[0:3, 20:23])]
    assert not check_disjoint(together, hashes=hashes)


def test_a_patient_on_both_sides_is_refused_by_name():
    patients = ["p1", "p1", "p2", "p3"]
    folds = [(np.array([0, 2]), np.array([1, 3]))]
    words = r"of 2 test rows 1 belong to 1 patients or donors.*patients p1\)\. Drop the copies"
    with pytest.raises(ValueError, match=words):
        check_disjoint(folds, groups=patients)
    assert check_disjoint(folds, groups=patients, allowed=True).n_groups == 1
    assert not check_disjoint([(np.array([0, 1]), np.array([2, 3]))], groups=patients)


def test_rows_of_zeros_are_not_the_same_row():
    values = np.zeros((4, 3))
    values[0] = values[2] = 1.0
    folds = [(np.array([0, 1]), np.array([2, 3]))]
    assert check_disjoint(folds, hashes=row_hashes(values), allowed=True).n_rows == 1
    assert not check_disjoint([(np.array([1]), np.array([3]))], hashes=row_hashes(values))
