"""Quantiles, their geometric mean and robust aggregation against closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, gmean, kstest, spearmanr

from dtp_scvi import stats

UNIT = st.floats(0.001, 1.0)


def test_rho_is_the_smallest_order_statistic_by_the_binomial():
    ranks = np.random.default_rng(0).uniform(0.01, 1, size=(50, 5))
    rho, p = stats.robust_rank_aggregation(ranks)
    # The k-th smallest of n uniforms is at most x where at least k of them are.
    tails = [[binom.sf(k, 5, x) for k, x in enumerate(sorted(row))] for row in ranks]
    np.testing.assert_allclose(rho, np.min(tails, axis=1), rtol=1e-10)
    np.testing.assert_allclose(p, np.minimum(1, 5 * rho))


def test_p_bounds_the_share_of_random_items_from_above():
    ranks = np.random.default_rng(1).uniform(size=(40_000, 4))
    rho, p = stats.robust_rank_aggregation(ranks)
    for level in (0.01, 0.05, 0.2):
        share = (p <= level).mean()
        slack = 4 * np.sqrt(level / len(p))
        assert share <= level + slack
        # Bonferroni's bound is not far off: the order statistics of one item go together.
        assert share > 0.4 * level
    assert kstest(rho, "uniform").statistic > 0.1


def test_one_list_gives_its_own_rank_and_no_list_gives_nothing():
    rho, p = stats.robust_rank_aggregation([[0.3], [np.nan]])
    assert rho[0] == pytest.approx(0.3)
    assert p[0] == pytest.approx(0.3)
    assert np.isnan([rho[1], p[1]]).all()


def test_an_item_is_judged_by_the_lists_that_know_it():
    rho, p = stats.robust_rank_aggregation([[0.2, np.nan, 0.1], [0.2, 0.1, np.nan]])
    alone = stats.robust_rank_aggregation([[0.1, 0.2]])
    np.testing.assert_allclose(rho, [alone[0][0]] * 2)
    np.testing.assert_allclose(p, [alone[1][0]] * 2)


@given(arrays(np.float64, (6, 3), elements=UNIT), st.permutations(range(3)))
@settings(max_examples=30, deadline=None)
def test_order_of_lists_does_not_matter_and_a_better_rank_never_harms(ranks, order):
    rho, _ = stats.robust_rank_aggregation(ranks)
    np.testing.assert_allclose(stats.robust_rank_aggregation(ranks[:, order])[0], rho)
    better = ranks.copy()
    better[:, 0] /= 2
    assert (stats.robust_rank_aggregation(better)[0] <= rho + 1e-12).all()


@pytest.mark.parametrize(
    ("ranks", "found"),
    [([[0.0, 0.5]], "0 to 0.5"), ([[0.1, 1.5]], "0.1 to 1.5"), ([0.1, 0.2], r"shape \(2,\)")],
)
def test_ranks_that_are_not_normalised_are_refused(ranks, found):
    with pytest.raises(ValueError, match=rf"normalised ranks in \(0, 1\].*{found}.*Divide"):
        stats.robust_rank_aggregation(ranks)


@given(arrays(np.float64, (4, 3), elements=UNIT))
@settings(max_examples=30, deadline=None)
def test_geometric_mean_is_scipys_and_keeps_inside(values):
    weights = [1.0, 2.0, 0.5]
    found = stats.weighted_geometric_mean(values, weights)
    np.testing.assert_allclose(found, gmean(values, axis=1, weights=np.tile(weights, (4, 1))))
    assert (found <= values.max(axis=1) + 1e-12).all()
    assert (found >= values.min(axis=1) - 1e-12).all()


def test_weight_zero_leaves_a_column_out_even_where_it_is_unknown():
    found = stats.weighted_geometric_mean([[0.5, np.nan], [0.25, 0.0]], [1, 0])
    np.testing.assert_allclose(found, [0.5, 0.25])
    assert np.isnan(stats.weighted_geometric_mean([[0.5, np.nan]], [1, 1])).all()


def test_geometric_mean_refuses_zero_and_bad_weights():
    with pytest.raises(ValueError, match=r"values above 0; found 0\."):
        stats.weighted_geometric_mean([[0.0, 1.0]], [1, 1])
    for weights in ([1], [0, 0], [1, -1]):
        with pytest.raises(ValueError, match=r"2 weights, none negative and one above 0"):
            stats.weighted_geometric_mean([[0.5, 1.0]], weights)


def test_quantiles_by_hand_with_ties_and_gaps():
    found = stats.within_list_quantiles([[1, 2, 2, np.nan], [np.nan, np.nan, np.nan, 5]])
    np.testing.assert_allclose(found[0], [0.5 / 3, 2 / 3, 2 / 3, np.nan])
    np.testing.assert_allclose(found[1], [np.nan, np.nan, np.nan, 0.5])


def test_associations_are_scipys_plain_and_resampled():
    rng = np.random.default_rng(2)
    values = rng.integers(0, 6, size=(25, 7)).astype(float)
    values[:, 3] = 1.0
    score = rng.integers(0, 9, size=25).astype(float)
    found = stats.GeneAssociations(values, score)
    drawn = np.stack(list(stats.cluster_bootstrap_weights(None, 5, seed=0, n_rows=25)))
    again = found.resampled(drawn)
    for gene in (0, 1, 2, 4, 5, 6):
        assert found.values()[gene] == pytest.approx(spearmanr(values[:, gene], score)[0])
        for k, weights in enumerate(drawn):
            rows = np.repeat(np.arange(25), weights.astype(int))
            expected = spearmanr(values[rows, gene], score[rows])[0]
            assert again[k, gene] == pytest.approx(expected)
    assert np.isnan(found.values()[3])
    assert np.isnan(again[:, 3]).all()


def test_shuffles_keep_genes_together_and_follow_the_seed():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(30, 3))
    values[:, 1] = values[:, 0]
    found = stats.GeneAssociations(values, rng.normal(size=30))
    one = found.shuffled(200, seed=1)
    np.testing.assert_allclose(one[:, 0], one[:, 1])
    np.testing.assert_array_equal(one, found.shuffled(200, seed=1))
    # A permuted rank correlation has mean 0 and variance 1 / (n - 1).
    assert abs(one[:, 2].mean()) < 4 * np.sqrt(1 / 29 / 200)
    assert one[:, 2].var() * 29 == pytest.approx(1, abs=0.4)


def test_a_constant_score_and_holes_are_refused():
    with pytest.raises(ValueError, match="a score that varies over samples; found one value"):
        stats.GeneAssociations(np.ones((3, 2)), [1, 1, 1])
    with pytest.raises(ValueError, match="finite values, samples x genes"):
        stats.GeneAssociations([[1.0, np.nan], [1.0, 2.0]], [1, 2])


def test_matched_sets_hold_as_many_of_each_bin():
    bins = np.array([0] * 10 + [1] * 20 + [2] * 3)
    members = [1, 12, 13, 30]
    sets = stats.matched_draws(members, bins, 4000, seed=0)
    assert (np.sort(bins[sets], axis=1) == np.sort(bins[members])).all()
    assert all(len(set(row)) == 4 for row in sets[:200].tolist())
    # Within a bin all items are equally likely.
    share = np.bincount(sets.ravel(), minlength=33) / 4000
    np.testing.assert_allclose(share[:10], 0.1, atol=0.025)
    np.testing.assert_allclose(share[10:30], 0.1, atol=0.025)
    np.testing.assert_allclose(share[30:], 1 / 3, atol=0.035)


def test_bins_hold_enough_items_and_gaps_stand_apart():
    rng = np.random.default_rng(0)
    one = stats.matching_bins([rng.normal(size=200)])
    assert np.bincount(one).tolist() == [20] * 10
    two = stats.matching_bins([rng.normal(size=200), rng.normal(size=200)])
    assert len(np.unique(two)) == 9
    gaps = stats.matching_bins([[1.0, 2.0, np.nan, np.nan]], per_bin=2)
    assert gaps[2] == gaps[3]
    assert len(set(gaps.tolist())) == 3
    tied = stats.matching_bins([[0, 0, 0, 1, 2, 3]], per_bin=2)
    assert tied.tolist() == [0, 0, 0, 1, 2, 2]
    grid = stats.matching_bins(
        [np.tile(np.arange(4), 4), np.repeat(np.arange(4), 4)], per_bin=1, most=2
    )
    assert np.bincount(grid).tolist() == [4] * 4
    with pytest.raises(ValueError, match="at least one column to match on"):
        stats.matching_bins([])


def test_repeated_members_are_refused():
    with pytest.raises(ValueError, match=r"different positions from 0 to 2; found \[1, 1\]"):
        stats.matched_draws([1, 1], [0, 0, 0], 5)
