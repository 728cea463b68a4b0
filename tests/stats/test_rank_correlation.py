"""Spearman's correlation, plain and partial: against scipy, pingouin and brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pingouin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from dtp_scvi import stats
from dtp_scvi.stats._bca import bca_interval, resampling_weights
from dtp_scvi.stats._weighted_ranks import RankCorrelator

TRANSFORMS = [np.exp, lambda x: x**3, lambda x: 5 * x - 2, scipy_stats.norm.cdf]


def pair(seed: int = 0, n: int = 60, decimals: int = 1):
    """Two columns that correlate, with ties in the second."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, (0.5 * x + rng.normal(size=n)).round(decimals)


def test_value_and_p_are_scipys():
    x, y = pair()
    found, expected = stats.rank_correlation(x, y, n_boot=5), scipy_stats.spearmanr(x, y)
    assert found.rho == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.n == 60


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bca_interval_is_scipys_on_the_same_resamples(seed):
    x, y = pair(seed)
    found = stats.rank_correlation(x, y, n_boot=300, seed=seed, level=0.9)
    expected = scipy_stats.bootstrap(
        (x, y),
        lambda a, b: scipy_stats.spearmanr(a, b).statistic,
        paired=True,
        vectorized=False,
        n_resamples=300,
        confidence_level=0.9,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_partial_is_pingouins():
    x, y = pair(n=80)
    rng = np.random.default_rng(1)
    a, b = 0.7 * x + rng.normal(size=80), (rng.random(80) < 0.4).astype(float)
    table = pd.DataFrame({"x": x, "y": y, "a": a, "b": b})
    for names in (["a"], ["a", "b"]):
        found = stats.partial_rank_correlation(x, y, table[names].to_numpy(), n_boot=5)
        expected = pingouin.partial_corr(table, "x", "y", names, method="spearman").iloc[0]
        column = next(name for name in expected.index if name.lower().startswith("p"))
        assert found.rho == pytest.approx(expected["r"], abs=1e-9)
        assert found.p == pytest.approx(expected[column], rel=1e-6)


def test_a_covariate_that_repeats_another_costs_no_degree_of_freedom():
    x, y = pair()
    age = np.random.default_rng(2).normal(size=60)
    once = stats.partial_rank_correlation(x, y, age, n_boot=5)
    twice = stats.partial_rank_correlation(x, y, np.column_stack([age, 2 * age]), n_boot=5)
    assert twice.rho == pytest.approx(once.rho)
    assert twice.p == pytest.approx(once.p)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, len(TRANSFORMS) - 1))
def test_monotone_transforms_and_row_order_change_nothing(seed, which):
    x, y = pair(seed, n=30)
    before = stats.rank_correlation(x, y, n_boot=40)
    after = stats.rank_correlation(TRANSFORMS[which](x), y, n_boot=40)
    assert (after.rho, after.low, after.high) == pytest.approx(
        (before.rho, before.low, before.high)
    )
    order = np.random.default_rng(seed).permutation(30)
    assert stats.rank_correlation(x[order], y[order], n_boot=2).rho == pytest.approx(before.rho)
    turned = stats.rank_correlation(-x, y, n_boot=40)
    assert turned.rho == pytest.approx(-before.rho)
    assert turned.p == pytest.approx(before.p)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 4), min_size=6, max_size=12), st.integers(0, 1000))
def test_weights_count_like_repeated_rows(counts, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 5, (2, len(counts))).astype(float)
    age = rng.integers(0, 5, len(counts)).astype(float)
    rows = np.repeat(np.arange(len(counts)), counts)
    weights = np.array([counts], dtype=float)
    if len(rows) < 2 or np.ptp(x[rows]) == 0 or np.ptp(y[rows]) == 0:
        assert np.isnan(RankCorrelator(x, y).values(weights)).all()
        return
    expected = scipy_stats.spearmanr(x[rows], y[rows]).statistic
    assert RankCorrelator(x, y).values(weights)[0] == pytest.approx(expected, abs=1e-9)
    one = RankCorrelator(x, y, [age])
    other = RankCorrelator(x[rows], y[rows], [age[rows]])
    assert one.values(weights)[0] == pytest.approx(other.value(), abs=1e-9, nan_ok=True)


def test_patients_are_resampled_whole():
    x, y = pair(n=40)
    patients = np.repeat(np.arange(40), 6)
    by_row = stats.rank_correlation(x[patients], y[patients], n_boot=300)
    by_patient = stats.rank_correlation(x[patients], y[patients], patients, n_boot=300)
    single = stats.rank_correlation(x, y, n_boot=300)
    assert by_patient.rho == pytest.approx(single.rho, abs=0.01)
    assert by_patient.high - by_patient.low == pytest.approx(single.high - single.low, rel=0.1)
    assert by_row.high - by_row.low < 0.6 * (by_patient.high - by_patient.low)
    assert by_row.p < single.p
    assert 0.1 < np.log(by_patient.p) / np.log(single.p) < 2


def test_no_correlation_where_a_side_is_constant_or_explained():
    x, y = pair()
    assert np.isnan(stats.rank_correlation(x, np.ones(60), n_boot=5).rho)
    found = stats.partial_rank_correlation(x, y, x, n_boot=5)
    assert np.isnan([found.rho, found.low, found.high, found.p]).all()


def test_a_perfect_correlation_has_an_interval_of_no_width():
    found = stats.rank_correlation(range(20), range(20), n_boot=50)
    assert (found.rho, found.low, found.high, found.p) == pytest.approx((1, 1, 1, 0))


def test_value_beyond_all_draws_has_a_finite_interval():
    low, high = bca_interval(2.0, np.linspace(0, 1, 50), np.linspace(0, 1, 10), 0.95)
    assert np.isfinite([low, high]).all()
    assert low > 0.5


def test_many_clusters_are_left_out_in_groups_with_the_same_acceleration():
    n = 3000
    drawn, without = resampling_weights(None, n, 2, 0)
    assert drawn.shape == (2, n)
    assert without.shape == (1000, n)
    values = np.random.default_rng(0).exponential(size=n)

    def bend(left_out):
        gaps = left_out.mean() - left_out
        return (gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5)

    each = (values.sum() - values) / (n - 1)
    grouped = without @ values / without.sum(axis=1)
    assert bend(grouped) == pytest.approx(bend(each), rel=0.35)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([1, 2, 3], [1, 2, 3]), "at least 4 rows; found 3"),
        (([1, 2, 3, 4], [1, 2, 3]), "`y` to hold 4 values"),
        (([1, 2, 3, np.nan], [1, 2, 3, 4]), "`x` to be finite; found 1 NaN"),
        (([1, 2, 3, 4], [1, 2, 3, 4], ["a"] * 4), "at least 2 clusters"),
    ],
)
def test_bad_input_is_named(arguments, match):
    with pytest.raises(ValueError, match=match):
        stats.rank_correlation(*arguments)


def test_covariates_need_rows_of_their_own():
    with pytest.raises(ValueError, match="at least 5 rows; found 4"):
        stats.partial_rank_correlation([1, 2, 3, 4], [2, 1, 4, 3], [1, 3, 2, 4])
