from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis
from sklearn.metrics import roc_auc_score

from dtp_scvi.stats import SpaceReference


def cloud(n, seed, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(5, 5))
    return scale * rng.normal(size=(n, 5)) @ mix + shift


ROWS = cloud(1500, 0)
CLASSES = ROWS[:, 0] + np.random.default_rng(1).normal(size=1500) > 0
DONORS = np.arange(1500) % 6
REFERENCE = SpaceReference.from_rows(ROWS, CLASSES, DONORS)


def test_moments_are_those_of_all_rows():
    np.testing.assert_allclose(REFERENCE.mean, ROWS.mean(axis=0), rtol=1e-10)
    pooled = np.cov(ROWS, rowvar=False, bias=True)
    ridge = 1e-3 * np.trace(pooled) / 5 * np.eye(5)
    np.testing.assert_allclose(REFERENCE.covariance, pooled + ridge, rtol=1e-9)


def test_distance_is_scipys():
    inverse = np.linalg.inv(REFERENCE.covariance)
    expected = [mahalanobis(row, REFERENCE.mean, inverse) for row in ROWS[:50]]
    np.testing.assert_allclose(REFERENCE.distance(ROWS[:50]), expected, rtol=1e-9)


def test_one_percent_of_the_training_rows_lie_beyond_the_limit():
    distance = REFERENCE.distance(ROWS)
    assert (distance > REFERENCE.farthest).mean() == pytest.approx(0.01, abs=0.001)


def test_rows_of_the_same_kind_are_not_told_apart():
    assert REFERENCE.domain_auroc(cloud(1000, 5)) == pytest.approx(0.5, abs=0.04)
    # A few rows neither.
    assert REFERENCE.domain_auroc(cloud(25, 6)) < 0.65


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_a_shift_is_told_as_well_as_the_best_line_tells_it(shift):
    query = cloud(2000, 7, shift=shift)
    axis = np.linalg.solve(np.cov(ROWS, rowvar=False), np.full(5, shift))
    labels = np.repeat([0, 1], [len(ROWS), len(query)])
    best = roc_auc_score(labels, np.concatenate([ROWS @ axis, query @ axis]))
    assert REFERENCE.domain_auroc(query) == pytest.approx(best, abs=0.02)


def test_each_donor_is_compared_with_the_others():
    assert REFERENCE.donor_auroc.shape == (6,)
    assert np.all(np.abs(REFERENCE.donor_auroc - 0.5) < 0.1)
    moved = ROWS + 4.0 * (DONORS == 2)[:, None]
    found = SpaceReference.from_rows(moved, CLASSES, DONORS).donor_auroc
    assert found.argmax() == 2
    assert found[2] > 0.9
    assert SpaceReference.from_rows(ROWS, CLASSES).donor_auroc.size == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_row_order_changes_no_number(seed):
    query = cloud(301, 8, shift=0.4)
    order = np.random.default_rng(seed).permutation(len(query))
    assert REFERENCE.domain_auroc(query[order]) == pytest.approx(
        REFERENCE.domain_auroc(query), abs=1e-12
    )


def test_json_round_trip():
    again = SpaceReference.from_dict(json.loads(json.dumps(REFERENCE.to_dict())))
    query = cloud(100, 3, shift=0.3)
    assert again.domain_auroc(query) == REFERENCE.domain_auroc(query)
    np.testing.assert_array_equal(again.distance(query), REFERENCE.distance(query))
    assert (again.n_rows, again.farthest) == (1500, REFERENCE.farthest)


def test_it_holds_no_row():
    size = sum(np.asarray(value).size for value in REFERENCE.to_dict().values())
    assert size < 2 * (1 + 5 + 25) + 20
    stored = np.concatenate([np.ravel(value) for value in REFERENCE.to_dict().values()])
    assert not np.isin(ROWS.ravel(), stored).any()


def test_bad_input():
    with pytest.raises(ValueError, match="at least 20 rows; found 5"):
        SpaceReference.from_rows(ROWS[:5], CLASSES[:5])
    bad = ROWS.copy()
    bad[3, 1] = np.nan
    with pytest.raises(ValueError, match="finite coordinates"):
        SpaceReference.from_rows(bad, CLASSES)
    entries = REFERENCE.to_dict()
    with pytest.raises(ValueError, match="no median"):
        SpaceReference.from_dict({k: v for k, v in entries.items() if k != "median"})
    with pytest.raises(ValueError, match="moments of one size"):
        SpaceReference.from_dict({**entries, "shares": [1.0]})


def test_spread_is_the_share_of_the_variance():
    assert REFERENCE.spread(ROWS) == pytest.approx(1.0, abs=0.02)
    # Averages of 20 rows vary a twentieth as much.
    averages = ROWS[:1500].reshape(75, 20, 5).mean(axis=1)
    assert REFERENCE.spread(averages) == pytest.approx(0.05, abs=0.015)
    assert REFERENCE.spread(ROWS * 2) == pytest.approx(4.0, abs=0.08)
