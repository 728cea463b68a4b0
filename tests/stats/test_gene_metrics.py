"""Gene-wise metrics and means over clusters against independent code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import r2_score
from sklearn.metrics.pairwise import rbf_kernel

from dtp_scvi import stats


def tables(seed=0, n=30, n_genes=6):
    rng = np.random.default_rng(seed)
    truth = rng.normal(8, 2, size=(n, n_genes))
    return truth, 0.5 * truth + rng.normal(4, 1, size=(n, n_genes))


def test_gene_r2_agrees_with_sklearn():
    truth, predicted = tables()
    expected = r2_score(truth, predicted, multioutput="raw_values")
    np.testing.assert_allclose(stats.gene_r2(truth, predicted), expected)
    value, low, high = stats.gene_r2_interval(truth, predicted, n_boot=100)
    assert value == pytest.approx(expected.mean())
    assert low < value < high


def test_gene_r2_of_a_constant_gene_is_left_open():
    truth, predicted = tables()
    truth[:, 2] = 7.3
    found = stats.gene_r2(truth, predicted)
    assert np.isnan(found).tolist() == [False, False, True, False, False, False]


def test_gene_r2_interval_resamples_whole_groups():
    """Copies of rows within a group add nothing, so the interval stays as wide."""
    truth, predicted = tables(n=20)
    groups = np.arange(20)
    once = stats.gene_r2_interval(truth, predicted, groups, n_boot=200)
    many = (np.repeat(x, 5, axis=0) for x in (truth, predicted, groups))
    np.testing.assert_allclose(stats.gene_r2_interval(*many, n_boot=200), once)


@pytest.mark.parametrize("gamma", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("spread", [0.01, 1.0, 20.0])
def test_mmd_is_the_double_sum_of_kernels(gamma, spread):
    rng = np.random.default_rng(0)
    x, y = spread * rng.normal(size=(25, 4)), spread * rng.normal(0.5, 1, size=(17, 4))
    expected = [
        rbf_kernel(a, gamma=gamma).mean()
        + rbf_kernel(b, gamma=gamma).mean()
        - 2 * rbf_kernel(a, b, gamma=gamma).mean()
        for a, b in zip(x.T[:, :, None], y.T[:, :, None], strict=True)
    ]
    np.testing.assert_allclose(stats.gene_mmd(x, y, gamma=gamma), expected, atol=1e-12)


@given(seed=st.integers(0, 500), shift=st.floats(-100, 100))
def test_mmd_is_symmetric_and_moves_with_the_data(seed, shift):
    x, y = tables(seed, n=8)
    found = stats.gene_mmd(x, y)
    np.testing.assert_allclose(stats.gene_mmd(y, x), found, atol=1e-12)
    np.testing.assert_allclose(stats.gene_mmd(x + shift, y + shift), found, atol=1e-9)
    assert (found >= 0).all()


def test_mmd_refuses_what_it_cannot_compare():
    with pytest.raises(ValueError, match="the same genes"):
        stats.gene_mmd(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="finite numbers"):
        stats.gene_mmd(np.full((2, 3), np.nan), np.ones((2, 3)))


def test_cluster_mean_has_the_width_of_the_standard_error():
    values = np.random.default_rng(0).normal(size=400)
    mean, low, high = stats.cluster_mean(values, n_boot=2000)
    assert mean == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.08)


def test_cluster_mean_of_copies_is_no_surer():
    values = np.random.default_rng(0).normal(size=40)
    once = stats.cluster_mean(values, np.arange(40))
    np.testing.assert_allclose(
        stats.cluster_mean(np.repeat(values, 9), np.repeat(np.arange(40), 9)), once
    )


def test_cluster_mean_without_clusters_to_resample():
    for values, groups in (([1.0, 3.0], ["a", "a"]), ([2.0], None)):
        mean, low, high = stats.cluster_mean(values, groups)
        assert mean == 2.0
        assert np.isnan([low, high]).all()
    assert np.isnan(stats.cluster_mean([])).all()
