"""Welch's test over lineages against scipy; coverage; matched random sets against closed forms."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy import stats as sp

from dtp_scvi import stats


@pytest.fixture
def lines():
    rng = np.random.default_rng(1)
    inside = rng.normal(-0.5, 0.3, (12, 6))
    lineages = np.repeat(list("abcde"), [30, 3, 5, 4, 2])
    others = rng.normal(0, 0.3, (len(lineages), 6))
    return inside, others, lineages


def test_difference_and_p_are_welchs_over_lineage_means(lines):
    inside, others, lineages = lines
    table = stats.selective_effect(inside, others, lineages, min_lines=3, n_boot=0)
    means = np.array([others[lineages == name].mean(axis=0) for name in "abcd"])
    oracle = sp.ttest_ind(inside, means, equal_var=False)
    np.testing.assert_allclose(table["p"], oracle.pvalue, rtol=1e-10)
    np.testing.assert_allclose(table["difference"], inside.mean(axis=0) - means.mean(axis=0))
    np.testing.assert_allclose(table["others_sd"], means.std(axis=0, ddof=1))
    assert set(table["n_lineages"]) == {4}
    assert set(table["n_others"]) == {42}
    assert table[["low", "high"]].isna().all(axis=None)


def test_a_lineage_counts_once_however_many_lines_it_has(lines):
    inside, others, lineages = lines
    one = stats.selective_effect(inside, others, lineages, n_boot=50)
    twice = lineages == "a"
    more = stats.selective_effect(
        inside, np.vstack([others, others[twice]]), np.append(lineages, lineages[twice]), n_boot=50
    )
    np.testing.assert_allclose(one["difference"], more["difference"])
    np.testing.assert_allclose(one["p"], more["p"])


def test_order_of_lines_and_genes_does_not_matter(lines):
    inside, others, lineages = lines
    order = np.random.default_rng(0).permutation(len(lineages))
    a = stats.selective_effect(inside, others, lineages, n_boot=0)
    b = stats.selective_effect(
        inside[::-1, ::-1], others[order][:, ::-1], lineages[order], n_boot=0
    )
    np.testing.assert_allclose(a, b.iloc[::-1])


def test_missing_values_are_left_out_by_gene(lines):
    inside, others, lineages = lines
    inside[:10, 0] = np.nan
    others[lineages != "a", 1] = np.nan
    inside[0, 2] = np.nan
    table = stats.selective_effect(inside, others, lineages, n_boot=100)
    assert table["p"].isna().tolist() == [True, True, False, False, False, False]
    assert table["low"].isna().tolist() == [True, True, False, False, False, False]
    assert table["mean"][2] == pytest.approx(inside[1:, 2].mean())


def test_interval_covers_the_planted_difference():
    rng = np.random.default_rng(0)
    n_genes, lineages = 400, np.repeat(np.arange(12), rng.integers(3, 9, 12))
    shift = rng.normal(0, 0.1, (12, n_genes))
    others = shift[lineages] + rng.normal(0, 0.2, (len(lineages), n_genes))
    inside = -0.4 + rng.normal(0, 0.2, (20, n_genes))
    table = stats.selective_effect(inside, others, lineages, n_boot=400)
    covered = ((table["low"] <= -0.4) & (table["high"] >= -0.4)).mean()
    assert 0.92 < covered < 0.99


def test_p_is_uniform_without_a_difference():
    rng = np.random.default_rng(0)
    lineages = np.repeat(np.arange(10), 5)
    others = rng.normal(0, 0.1, (10, 800))[lineages] + rng.normal(0, 0.2, (50, 800))
    table = stats.selective_effect(rng.normal(0, 0.2, (15, 800)), others, lineages, n_boot=0)
    assert sp.kstest(table["p"], "uniform").pvalue > 0.01


def test_bad_tables(lines):
    inside, others, lineages = lines
    with pytest.raises(ValueError, match="two tables of lines x the same genes"):
        stats.selective_effect(inside[:, :3], others, lineages)
    with pytest.raises(ValueError, match=r"2 lineages of 3 lines.*found 12 lines and 1 lineages"):
        stats.selective_effect(inside, others, np.repeat("a", len(others)))


def test_set_test_has_the_exact_p():
    values = np.arange(8.0)
    found = stats.matched_set_test(values, values < 3, n_permutations=20000)
    assert found.p == pytest.approx(1 / comb(8, 3), abs=0.004)
    assert found.expected == pytest.approx(values.mean(), abs=0.02)
    upper = stats.matched_set_test(values, values < 3, alternative="greater", n_permutations=500)
    assert upper.p == 1.0


def test_set_test_draws_as_many_from_each_bin():
    rng = np.random.default_rng(0)
    bins = np.repeat([0, 1], 500)
    values = np.where(bins == 0, -5.0, 0.0) + rng.normal(size=1000)
    members = np.zeros(1000, bool)
    members[rng.choice(500, 30, replace=False)] = True
    matched = stats.matched_set_test(values, members, bins, n_permutations=400)
    plain = stats.matched_set_test(values, members, n_permutations=400)
    assert matched.expected == pytest.approx(-5, abs=0.1)
    assert matched.p > 0.01
    assert plain.p < 0.01


def test_set_test_is_null_for_random_sets():
    rng = np.random.default_rng(0)
    values, bins = rng.normal(size=300), rng.integers(0, 5, 300)
    ps = []
    for seed in range(200):
        members = np.isin(np.arange(300), rng.choice(300, 15, replace=False))
        ps.append(stats.matched_set_test(values, members, bins, n_permutations=200, seed=seed).p)
    assert sp.kstest(ps, "uniform").pvalue > 0.01


def test_set_that_fills_its_bin_is_compared_to_itself():
    found = stats.matched_set_test([1.0, 2.0, 3.0], [1, 1, 0], [0, 0, 1], n_permutations=50)
    assert (found.fewest_per_member, found.p) == (1.0, 1.0)
    assert np.isnan(found.z)


def test_set_test_errors():
    with pytest.raises(ValueError, match="one true"):
        stats.matched_set_test([1.0, 2.0], [False, False])
    with pytest.raises(ValueError, match="to be finite"):
        stats.matched_set_test([1.0, np.nan], [True, False])
    with pytest.raises(ValueError, match="`alternative`"):
        stats.matched_set_test([1.0, 2.0], [True, False], alternative="two-sided")
