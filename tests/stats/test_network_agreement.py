"""Similarities against a network: closed forms, calibrated p, intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from sklearn.metrics import roc_auc_score

from dtp_scvi.stats import network_agreement

FEW = {"n_permutations": 20, "n_boot": 5}


def draw(seed, n=30, density=0.2, round_to=6):
    """A random similarity and a random network."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 4)).round(round_to)
    alike = points @ points.T
    joined = np.triu(rng.random((n, n)) < density, 1)
    return alike, joined | joined.T


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(8, 25), st.sampled_from([0, 6]))
def test_auroc_is_that_of_all_pairs(seed, n, round_to):
    alike, joined = draw(seed, n, 0.4, round_to)
    upper = np.triu_indices(n, 1)
    if 0 < joined[upper].sum() < len(upper[0]):
        found = network_agreement(alike, joined, k=3, **FEW)
        assert found.auroc == pytest.approx(roc_auc_score(joined[upper], alike[upper]))


def test_enrichment_counts_edges_among_nearest_neighbours():
    alike, joined = draw(1)
    others = np.where(np.eye(30, dtype=bool), -np.inf, alike)
    nearest = np.argsort(-others, axis=1)[:, :4]
    share = np.mean([joined[i, nearest[i]].mean() for i in range(30)])
    density = joined.sum() / (30 * 29)
    found = network_agreement(alike, joined, k=4, **FEW)
    assert found.neighbour_enrichment == pytest.approx(share / density)


def test_order_of_nodes_and_ties_do_not_matter():
    alike, joined = draw(2, round_to=0)
    order = np.random.default_rng(0).permutation(30)
    grid = np.ix_(order, order)
    found = network_agreement(alike, joined, **FEW).values
    assert network_agreement(alike[grid], joined[grid], **FEW).values == pytest.approx(found)
    assert network_agreement(np.exp(alike), joined, **FEW).values == pytest.approx(found)
    flat = network_agreement(np.ones((30, 30)), joined, **FEW)
    assert flat.values == pytest.approx([0.5, 1.0])


def test_p_is_uniform_where_there_is_nothing():
    # Modules in both, that have nothing to do with each other: pairs are far from independent.
    p = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        group, other = rng.integers(0, 5, 40), rng.integers(0, 5, 40)
        points = rng.normal(size=(5, 4))[group] + 0.5 * rng.normal(size=(40, 4))
        joined = (other[:, None] == other) & ~np.eye(40, dtype=bool)
        found = network_agreement(
            points @ points.T, joined, n_permutations=79, n_boot=0, seed=seed
        )
        p.append((1 + (found.null >= found.values).sum(axis=0)) / 80)
    for column in np.transpose(p):
        assert kstest(column, "uniform").pvalue > 0.01
        assert np.mean(column < 0.05) < 0.1


def test_interval_covers_where_nothing_is_shared():
    inside = []
    for seed in range(60):
        alike, joined = draw(seed, 50)
        drawn = network_agreement(alike, joined, n_permutations=1, n_boot=80, seed=seed).resampled
        low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
        inside.append((low <= [0.5, 1.0]) & (high >= [0.5, 1.0]))
    assert (np.mean(inside, axis=0) > 0.85).all()


def test_two_calls_of_one_seed_permute_alike():
    alike, joined = draw(3)
    first, second = (network_agreement(alike, joined, **FEW, seed=5) for _ in range(2))
    assert np.array_equal(first.null, second.null)
    assert np.array_equal(first.resampled, second.resampled)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, j: (a[:5], j), "two square matrices of one size"),
        (lambda a, j: (np.triu(a), j), "symmetric matrices"),
        (lambda a, j: (np.where(a > 1, np.nan, a), j), "symmetric|finite"),
        (lambda a, j: (a * np.inf, j), "symmetric|finite similarities"),
        (lambda a, j: (a, j * 0), "with and without an edge; found 0 of 435"),
        (lambda a, j: (a, j * 0 + 1), "with and without an edge; found 435 of 435"),
    ],
)
def test_bad_matrices(change, message):
    with pytest.raises(ValueError, match=message):
        network_agreement(*change(*draw(4)))


def test_bad_k():
    with pytest.raises(ValueError, match="`k` below 29, one less than the nodes; found 29"):
        network_agreement(*draw(4), k=29)
