from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from dtp_scvi.data import feasible_folds, group_folds, holdout_groups, leave_one_group_out


def cohort(n_donors=10, n_positive=4, cells=30, seed=0):
    """Donors of one class each, of unequal size."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(cells // 2, cells * 2, n_donors)
    groups = np.repeat([f"d{i}" for i in range(n_donors)], sizes)
    labels = np.repeat(["pos"] * n_positive + ["neg"] * (n_donors - n_positive), sizes)
    order = rng.permutation(labels.size)
    return labels[order], groups[order]


@settings(max_examples=30)
@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 99))
def test_folds_keep_donors_together_and_classes_everywhere(n_positive, n_negative, seed):
    labels, groups = cohort(n_positive + n_negative, n_positive, seed=seed)
    n_folds = feasible_folds(labels, groups)
    assert n_folds == min(n_positive, n_negative)
    folds = group_folds(labels, groups, n_folds, seed=seed)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(labels.size))
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
        assert set(labels[train]) == set(labels[test]) == {"pos", "neg"}
        assert train.size + test.size == labels.size


def test_donors_with_both_classes_count_for_both():
    groups = np.repeat(["a", "b", "c"], 4)
    labels = np.tile(["x", "x", "y", "y"], 3)
    assert feasible_folds(labels, groups) == 3
    assert len(group_folds(labels, groups, 3)) == 3


def test_same_seed_same_folds():
    # Donors of equal composition, whose places only the seed decides.
    labels, groups = np.tile(["a", "b"], 40), np.repeat(np.arange(8), 10)
    tests = [[t.tolist() for _, t in group_folds(labels, groups, 4, seed=s)] for s in (1, 1, 2)]
    assert tests[0] == tests[1]
    assert tests[0] != tests[2]


def test_classes_are_everywhere_where_the_greedy_split_leaves_one_out():
    sizes, positive = [7, 32, 5, 7], [5, 0, 2, 7]
    groups = np.repeat(np.arange(4), sizes)
    parts = [[1] * p + [0] * (n - p) for n, p in zip(sizes, positive, strict=True)]
    labels = np.concatenate(parts)
    greedy = StratifiedGroupKFold(3, shuffle=True, random_state=0).split(labels, labels, groups)
    assert any(np.unique(labels[test]).size < 2 for _, test in greedy)
    folds = group_folds(labels, groups, 3)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(labels.size))
    assert all(np.unique(labels[part]).size == 2 for fold in folds for part in fold)
    assert all(not set(groups[train]) & set(groups[test]) for train, test in folds)


def test_impossible_number_of_folds_names_the_feasible_one():
    labels, groups = cohort(n_donors=7, n_positive=5)
    with pytest.raises(
        ValueError,
        match=r"at least 5 groups of each class for 5 folds; found 2 groups with 'neg', "
        "5 groups with 'pos'. The feasible maximum is 2 folds",
    ):
        group_folds(labels, groups, 5)
    labels, groups = cohort(n_donors=4, n_positive=1)
    with pytest.raises(ValueError, match="Two folds need two groups of each class; groups=None"):
        group_folds(labels, groups, 2)


def test_bound_that_three_classes_do_not_reach():
    # Each class has two donors, but no two disjoint sets of donors hold all three.
    labels, groups = ["A", "B", "B", "C", "A", "C"], ["1", "1", "2", "2", "3", "3"]
    assert feasible_folds(labels, groups) == 2
    with pytest.raises(ValueError, match="found none in 100 deals of 3 groups"):
        group_folds(labels, groups, 2)


def test_without_groups_cells_are_stratified():
    labels = np.array(["a"] * 30 + ["b"] * 10)
    for _, test in group_folds(labels, None, 5):
        assert pd.Series(labels[test]).value_counts().to_dict() == {"a": 6, "b": 2}
    with pytest.raises(ValueError, match="11 folds; found 30 cells with 'a', 10 cells with 'b'"):
        group_folds(labels, None, 11)


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        (["a", None], [1, 2], "`labels` without missing values; found 1 of 2 missing"),
        (["a", "b"], [1, np.nan], "`groups` without missing values; found 1 of 2 missing"),
        (["a", "a"], [1, 2], "at least two classes; found a"),
        (["a", "b"], [1, 2, 3], "one group per label; found 3 and 2"),
    ],
)
def test_bad_labels_and_groups(labels, groups, message):
    with pytest.raises(ValueError, match=message):
        feasible_folds(labels, groups)


@pytest.mark.parametrize("n_folds", [0, 1, 2.5])
def test_bad_number_of_folds(n_folds):
    with pytest.raises(ValueError, match="`n_folds`"):
        group_folds(*cohort(), n_folds)


def test_each_group_is_left_out_once():
    labels, _ = cohort()
    batches = np.where(np.arange(labels.size) % 3 == 0, "x", "y")
    folds = leave_one_group_out(labels, batches)
    assert [name for name, _, _ in folds] == ["x", "y"]
    for name, train, test in folds:
        assert set(batches[test]) == {name}
        assert set(batches[train]) == {"x", "y"} - {name}
    with pytest.raises(ValueError, match="found b in group 'two' only"):
        leave_one_group_out(["a", "a", "b"], ["one", "three", "two"])


@settings(max_examples=20)
@given(st.integers(0, 99), st.sampled_from([0.1, 0.2, 0.4]))
def test_held_out_donors(seed, fraction):
    labels, groups = cohort(12, 5, seed=seed)
    train, test = holdout_groups(labels, groups, fraction, seed=seed)
    assert sorted(np.r_[train, test]) == list(range(labels.size))
    assert not set(groups[train]) & set(groups[test])
    assert set(labels[train]) == set(labels[test]) == {"pos", "neg"}
    assert np.all(np.diff(train) > 0)
    if fraction == 0.4:
        assert abs(test.size / labels.size - fraction) < 0.12


def test_held_out_cells_are_stratified():
    labels = np.array(["a"] * 30 + ["b"] * 10)
    _, test = holdout_groups(labels, None, 0.2)
    assert pd.Series(labels[test]).value_counts().to_dict() == {"a": 6, "b": 2}


def test_holding_out_needs_two_donors_a_class():
    with pytest.raises(ValueError, match="found 2 groups with 'neg', 1 groups with 'pos'"):
        holdout_groups(*cohort(3, 1), 0.2)
    with pytest.raises(ValueError, match=r"`fraction` in \(0, 1\)"):
        holdout_groups(*cohort(), 1.0)
