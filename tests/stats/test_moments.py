"""Moments are those of numpy in any blocks, and maps give a data set those of another."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from dtp_scvi.stats import Moments, coral_map, moment_map


def rows(n, d=5, seed=0, mean=0.0):
    rng = np.random.default_rng(seed)
    return mean + rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(0, 3, d)


@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=5).filter(any),
    st.sampled_from([0.0, 1e6]),
    st.booleans(),
)
def test_moments_do_not_depend_on_the_blocks(sizes, mean, sparse):
    whole = rows(sum(sizes), mean=mean)
    parts = np.split(whole, np.cumsum(sizes)[:-1])
    found = Moments.from_blocks(map(sp.csr_matrix, parts) if sparse else parts)
    assert found.n == len(whole)
    assert found.mean == pytest.approx(whole.mean(axis=0), rel=1e-12)
    assert found.sd == pytest.approx(whole.std(axis=0), rel=1e-7, abs=1e-8)


@given(st.integers(10, 60), st.integers(10, 60), st.integers(0, 5))
def test_mapped_rows_have_the_moments_of_the_reference(n, m, seed):
    own, reference = rows(n, seed=seed), Moments.from_blocks([rows(m, seed=seed + 1)])
    gain, shift = moment_map(Moments.from_blocks([own]), reference)
    mapped = Moments.from_blocks([own * gain + shift])
    assert mapped.mean == pytest.approx(reference.mean, abs=1e-6)
    assert mapped.sd == pytest.approx(reference.sd, abs=1e-6)


def test_mapping_undoes_any_change_of_location_and_scale_of_each_feature():
    own = rows(40)
    reference = Moments.from_blocks([own])
    moved = own * np.array([0.1, 2, 30, 4, 5]) - 7
    gain, shift = moment_map(Moments.from_blocks([moved]), reference)
    assert moved * gain + shift == pytest.approx(own, abs=1e-9)


def test_a_constant_feature_becomes_the_mean_of_the_reference():
    own, other = rows(30), rows(30, seed=1)
    own[:, 0], other[:, 1] = np.float32(0.1), 1e4
    reference = Moments.from_blocks([other])
    found = Moments.from_blocks([own])
    assert found.constant.tolist() == [True, False, False, False, False]
    gain, shift = moment_map(found, reference)
    mapped = own * gain + shift
    assert np.isfinite(mapped).all()
    assert mapped[:, :2] == pytest.approx(np.tile(reference.mean[:2], (30, 1)), rel=1e-12)
    assert mapped[:, 2:].std(axis=0) == pytest.approx(reference.sd[2:], abs=1e-9)


def test_too_few_rows_are_counted():
    few, many = rows(9), rows(30)
    with pytest.raises(ValueError, match="at least 10 rows to take moments of; found 9"):
        moment_map(Moments.from_blocks([few]), Moments.from_blocks([many]))
    for pair in ((few, many), (many, few)):
        with pytest.raises(ValueError, match="at least 10 rows to take moments of; found 9"):
            coral_map(*pair)


def test_unfit_rows_are_refused():
    with pytest.raises(ValueError, match="found no row"):
        Moments.from_blocks([np.zeros((0, 3))])
    with pytest.raises(ValueError, match="NaN or infinite"):
        Moments.from_blocks([np.array([[1.0, np.nan]])])
    with pytest.raises(ValueError, match="same features; found 5 and 4"):
        moment_map(Moments.from_blocks([rows(20)]), Moments.from_blocks([rows(20, 4)]))
    with pytest.raises(ValueError, match="same features in both; found 5 and 4"):
        coral_map(rows(20), rows(20, 4))
    with pytest.raises(ValueError, match=r"`shrinkage` in \[0, 1\]"):
        coral_map(rows(20), rows(20), shrinkage=2.0)


def test_covariance_of_the_reference_is_recovered():
    own, reference = rows(80, seed=2), rows(60, seed=3)
    mapped = coral_map(own, reference, shrinkage=0.0)(own)
    assert mapped.mean(axis=0) == pytest.approx(reference.mean(axis=0), abs=1e-6)
    assert np.cov(mapped.T, ddof=0) == pytest.approx(np.cov(reference.T, ddof=0), abs=1e-6)


def test_coral_follows_its_formula_with_the_shrinkage_of_scikit_learn():
    from scipy.linalg import inv, sqrtm
    from sklearn.covariance import ledoit_wolf

    own, reference = rows(25, seed=4), rows(30, seed=5)
    white = inv(sqrtm(ledoit_wolf(own)[0]))
    colour = sqrtm(ledoit_wolf(reference)[0])
    expected = (own - own.mean(axis=0)) @ white @ colour + reference.mean(axis=0)
    assert coral_map(own, reference)(own) == pytest.approx(expected, abs=1e-8)


def test_fewer_rows_than_features_and_constant_features_stay_finite():
    own, reference = rows(12, 30), rows(15, 30, seed=1)
    own[:, 3] = 0
    for shrinkage in ("ledoit_wolf", 0.0):
        mapped = coral_map(own, reference, shrinkage=shrinkage)(own)
        assert np.isfinite(mapped).all()
        assert np.abs(mapped).max() < 100
