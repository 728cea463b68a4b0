from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats.contingency import association
from sklearn.metrics import roc_auc_score

from dtp_scvi.stats import cramers_v, level_auroc, pure_share

tables = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=6).map(
    np.array
)


@given(tables)
def test_uncorrected_v_is_that_of_scipy(table):
    kept = table[table.sum(axis=1) > 0]
    if len(kept) < 2 or (kept.sum(axis=0) == 0).any():
        return
    expected = association(kept, method="cramer", correction=False)
    assert cramers_v(table, bias_correction=False) == pytest.approx(expected, abs=1e-9)


def test_corrected_v_is_the_published_example():
    # ClickHouse documents cramersV and cramersVBiasCorrected of these two columns.
    i, table = np.arange(150), np.zeros((10, 4))
    np.add.at(table, (i % 10, i % 4), 1)
    assert cramers_v(table, bias_correction=False) == pytest.approx(0.5798088336225178, abs=1e-12)
    assert cramers_v(table) == pytest.approx(0.5305112825189074, abs=1e-12)


def test_v_of_many_levels_is_corrected_for_chance():
    rng = np.random.default_rng(0)
    table = np.zeros((40, 2))
    np.add.at(table, (rng.integers(0, 40, 100), rng.integers(0, 2, 100)), 1)
    assert cramers_v(table, bias_correction=False) > 0.5
    assert cramers_v(table) < 0.35
    assert cramers_v(np.eye(6)[:, :2] + np.eye(6)[:, 2:4]) == 0.0  # a level for each of 4 rows


def by_pairs(levels, positive):
    """Leave-pair-out AUROC, pair by pair, from its definition."""
    scores = []
    for i, j in itertools.product(np.flatnonzero(positive), np.flatnonzero(~positive)):
        rest = np.ones(len(levels), bool)
        rest[[i, j]] = False
        overall = positive[rest].mean() if rest.any() else 0.0
        of = {}
        for row in (i, j):
            level = rest & (levels == levels[row])
            of[row] = positive[level].mean() if level.any() else overall
        gap = 0.0 if levels[i] == levels[j] else of[i] - of[j]
        scores.append(0.5 if abs(gap) < 1e-12 else float(gap > 0))
    return np.mean(scores)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=3, max_size=18))
def test_level_auroc_is_leave_pair_out(rows):
    levels, positive = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    if positive.all() or not positive.any():
        return
    counts = [np.bincount(levels[p], minlength=4) for p in (positive, ~positive)]
    assert level_auroc(*counts) == pytest.approx(by_pairs(levels, positive), abs=1e-12)


def test_large_levels_give_the_auroc_of_their_shares():
    k, m = np.array([900, 500, 100]), np.array([100, 500, 900])
    labels = np.repeat([1, 1, 1, 0, 0, 0], [*k, *m])
    scores = np.repeat([0.9, 0.5, 0.1] * 2, [*k, *m])
    assert level_auroc(k, m) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_a_column_without_information_is_at_one_half_on_average():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        levels, positive = rng.integers(0, 12, 60), rng.random(60) < 0.4
        found.append(
            level_auroc(*[np.bincount(levels[p], minlength=12) for p in (positive, ~positive)])
        )
    assert np.mean(found) == pytest.approx(0.5, abs=4 * np.std(found) / np.sqrt(300))


def test_a_level_for_every_row_says_nothing():
    ones, zeros = np.ones(10), np.zeros(10)
    assert level_auroc([*ones, *zeros], [*zeros, *ones]) == 0.5
    assert np.isnan(pure_share(np.eye(2)[[0, 1] * 10]))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([[30, 0], [0, 20]], 1.0),
        ([[30, 0], [10, 10]], 0.6),
        ([[30, 1], [10, 10]], 0.0),
        ([[30, 1], [1, 0], [10, 10]], 0.0),  # a level of one row is not counted
        ([[3, 0], [0, 1], [0, 1], [0, 1], [1, 0]], np.nan),
    ],
)
def test_pure_share(table, expected):
    assert pure_share(table) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("bad", [[1, 2], [[]], [[1, -1]], [[1, np.nan]], [[1, 0]]])
def test_no_table_of_counts(bad):
    with pytest.raises(ValueError, match=r"Expected (a table of|counts of at least)"):
        cramers_v(bad)


def test_one_class_has_no_auroc():
    with pytest.raises(ValueError, match="rows of both classes; found 5 and 0"):
        level_auroc([2, 3], [0, 0])
