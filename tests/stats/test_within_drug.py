"""Correlation over many drugs: against each drug's own, and under clustering."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, spearmanr, t

from dtp_scvi import stats


def cohort(
    seed: int = 0, n: int = 60, n_drugs: int = 5, effect: float = 0.4, missing: float = 0.4
):
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n).round(1)
    values = effect * score[:, None] + rng.normal(size=(n, 1)) + rng.normal(size=(n, n_drugs))
    values[rng.random(values.shape) < missing] = np.nan
    return score, values


def each(score, values):
    return np.array([spearmanr(score, column, nan_policy="omit").statistic for column in values.T])


def test_within_each_drug_it_is_spearmans():
    score, values = cohort()
    assert stats.DrugRanks(values.round(1)).rho(score) == pytest.approx(
        each(score, values.round(1)), abs=1e-12
    )
    found = stats.pooled_rank_correlation(score, values, n_boot=5, n_permutations=5)
    assert found.drug_rho == pytest.approx(each(score, values), abs=1e-12)
    n = np.isfinite(values).sum(axis=0)
    assert found.rho == pytest.approx(np.average(each(score, values), weights=n))
    assert (found.n_pairs, found.n_drugs) == (n.sum(), 5)
    assert found.n_patients == np.isfinite(values).any(axis=1).sum()


def test_one_drug_is_the_plain_correlation():
    score, values = cohort(n_drugs=1, missing=0.0)
    pooled = stats.pooled_rank_correlation(score, values, n_boot=200, n_permutations=400, seed=3)
    plain = stats.rank_correlation(score, values[:, 0], n_boot=200, seed=3)
    assert pooled.rho == pytest.approx(plain.rho)
    assert pooled.draws.shape == (200, 1)
    assert (pooled.low, pooled.high) == pytest.approx((plain.low, plain.high), abs=0.06)
    reach = t.ppf(0.975, 59) * np.arctanh(pooled.draws[:, 0]).std(ddof=0) * np.sqrt(60 / 59)
    ends = np.tanh(np.arctanh(pooled.rho) + np.array([-reach, reach]))
    assert (pooled.low, pooled.high) == pytest.approx(tuple(ends))


def test_p_is_uniform_without_an_effect_though_drugs_share_patients():
    p = []
    for seed in range(150):
        score, values = cohort(seed, n=30, effect=0.0)
        p.append(
            stats.pooled_rank_correlation(score, values, n_boot=1, n_permutations=99, seed=seed).p
        )
    assert min(p) >= 0.01
    assert kstest(p, "uniform").pvalue > 0.01


def test_a_copied_drug_adds_nothing_to_what_is_known():
    score, values = cohort(n_drugs=1, missing=0.0)
    options = {"n_boot": 300, "n_permutations": 300}
    one = stats.pooled_rank_correlation(score, values, **options)
    many = stats.pooled_rank_correlation(score, np.repeat(values, 6, axis=1), **options)
    assert (many.rho, many.low, many.high, many.p) == pytest.approx(
        (one.rho, one.low, one.high, one.p)
    )


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_invariances(seed):
    score, values = cohort(seed, n=25, n_drugs=3, missing=0.2)
    options = {"n_boot": 30, "n_permutations": 20}
    before = stats.pooled_rank_correlation(score, values, **options)
    stretched = np.exp(values) * [1, 10, 100] + [0, -3, 50]
    after = stats.pooled_rank_correlation(score**3, stretched, **options)
    ends = (before.rho, before.low, before.high, before.p)
    assert (after.rho, after.low, after.high, after.p) == pytest.approx(ends)
    turned = stats.pooled_rank_correlation(score, -values, **options)
    assert turned.rho == pytest.approx(-before.rho)
    order = np.random.default_rng(seed).permutation(25)
    shuffled = stats.pooled_rank_correlation(score[order], values[order], **options)
    assert shuffled.rho == pytest.approx(before.rho)


def test_other_drugs_leave_their_own_out():
    _, values = cohort(n=20)
    shares = np.full(values.shape, np.nan)
    for drug, column in enumerate(values.T):
        kept = np.isfinite(column)
        shares[kept, drug] = (column[kept].argsort().argsort() + 0.5) / kept.sum()
    found, whole = stats.other_drugs_rank(values), stats.within_drug_rank(values)
    for i, j in np.ndindex(values.shape):
        rest = np.delete(shares[i], j)
        rest = rest[np.isfinite(rest)]
        assert found[i, j] == pytest.approx(rest.mean() if len(rest) else np.nan, nan_ok=True)
    for i, row in enumerate(shares):
        kept = row[np.isfinite(row)]
        assert whole[i] == pytest.approx(kept.mean() if len(kept) else np.nan, nan_ok=True)


@pytest.mark.parametrize(
    ("score", "values", "match"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], r"`values` of shape \(patients, drugs\)"),
        ([1, 2, 3, 4], [[1], [2], [3], [np.nan]], "at least 4 patients for each drug; found 3"),
        ([1, 2, 3], [[1], [2], [3], [4]], "`score` to hold 4 values"),
        ([1, 2, 3, np.nan], [[1], [2], [3], [4]], "`score` to be finite"),
    ],
)
def test_bad_input_is_named(score, values, match):
    with pytest.raises(ValueError, match=match):
        stats.pooled_rank_correlation(score, values)
