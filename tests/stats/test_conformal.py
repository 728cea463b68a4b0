from __future__ import annotations

import json

import numpy as np
import pytest

from dtp_scvi import stats


def cohort(seed, donors=20, cells=60, sd=0.5):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(donors), cells)
    labels = rng.random(len(groups)) < 0.4
    logits = rng.normal(size=len(groups)) + 3 * labels - 1.5 + rng.normal(0, sd, donors)[groups]
    return stats.sigmoid(logits), labels, groups


def fit(p, labels, groups, **options):
    return stats.MondrianConformal.fit(p, labels, groups=groups, **options)


@pytest.mark.parametrize("method", ["one_per_donor", "pooled"])
def test_one_cell_per_donor_is_plain_split_conformal(method):
    rng = np.random.default_rng(0)
    p, labels = rng.random(60), np.arange(60) % 2
    found = fit(p, labels, np.arange(60), level=0.85, method=method)
    # Of 30 scores the 27th: ceil(31 * 0.85) = 27.
    for label, threshold in enumerate(found.thresholds):
        score = np.where(labels == 1, 1 - p, p)[labels == label]
        assert threshold == np.sort(score)[26]
    assert found.thresholds == fit(p, labels, None, level=0.85, method=method).thresholds


def test_equal_cells_of_a_donor_count_once():
    rng = np.random.default_rng(1)
    p, labels = rng.random(40), np.arange(40) % 2
    once = fit(p, labels, np.arange(40), level=0.8)
    repeats = rng.integers(1, 9, 40)
    rows = np.repeat(np.arange(40), repeats)
    assert fit(p[rows], labels[rows], rows, level=0.8).thresholds == once.thresholds


def test_equals_crepes_where_rows_are_exchangeable():
    crepes = pytest.importorskip("crepes")
    rng = np.random.default_rng(2)
    labels = np.arange(400) % 2
    p = stats.sigmoid(rng.normal(size=400) + 2 * labels - 1)
    table = np.column_stack([1 - p, p])
    new = rng.random(200)
    mine = fit(p, labels, None, level=0.9).predict(new)
    for label, score in enumerate((new, 1 - new)):
        theirs = crepes.ConformalClassifier()
        theirs.fit(1 - table[labels == label, label])
        values = theirs.predict_p(score[:, None], smoothing=False)[:, 0]
        assert np.array_equal(mine[:, label], values > 0.1)


def test_pooled_threshold_is_the_weighted_quantile():
    p, labels, groups = cohort(3)
    found = fit(p, labels, groups, level=0.8, method="pooled")
    score, donor = p[~labels], groups[~labels]
    weight = 1 / np.bincount(donor)[donor] / 21
    order = np.argsort(score)
    at = np.searchsorted(np.cumsum(weight[order]), 0.8 - 1e-12)
    assert found.thresholds[0] == pytest.approx(score[order][at], abs=1e-12)


def test_threshold_equals_the_average_over_drawn_cells():
    p, labels, groups = cohort(4, donors=12, cells=10)
    found = fit(p, labels, groups, level=0.8)
    score, donor = p[~labels], groups[~labels]
    rng = np.random.default_rng(0)
    own = [score[donor == index] for index in range(12)]

    def covered(threshold):
        return np.mean([np.mean(part <= threshold) for part in own])

    # 13 * 0.8 = 10.4: between 10th and 11th smallest of one cell from each of the 12 donors.
    drawn = [np.sort([rng.choice(part) for part in own]) for _ in range(4000)]
    wanted = np.mean([0.6 * covered(cells[9]) + 0.4 * covered(cells[10]) for cells in drawn])
    assert covered(found.thresholds[0]) == pytest.approx(wanted, abs=0.02)


def test_sets_grow_with_the_level_and_hold_the_class_in_new_donors():
    p, labels, groups = cohort(5, donors=60)
    new, truth, donors = cohort(6, donors=60)
    sizes = []
    for level in (0.8, 0.9, 0.95):
        sets = fit(p, labels, groups, level=level).predict(new)
        table = stats.coverage_table(truth, sets, donors)
        assert table["coverage"].to_numpy() == pytest.approx(level, abs=0.05)
        assert table["n_groups"].tolist() == [60, 60]
        sizes.append(table["set_size"].mean())
    assert sizes == sorted(sizes)


def test_row_order_and_ties_do_not_matter():
    p, labels, groups = cohort(7)
    p = np.round(p, 1)
    order = np.random.default_rng(0).permutation(len(p))
    assert fit(p, labels, groups) == fit(p[order], labels[order], groups[order])


def test_three_classes():
    rng = np.random.default_rng(8)
    labels, groups = rng.integers(0, 3, 900), np.arange(900) % 30
    p = np.exp(rng.normal(size=(900, 3)) + 2 * np.eye(3)[labels])
    p /= p.sum(axis=1, keepdims=True)
    found = fit(p, labels, groups, level=0.9)
    sets = found.predict(p)
    assert sets.shape == (900, 3)
    inside = stats.coverage_table(labels, sets, groups)
    assert inside["coverage"].to_numpy() == pytest.approx(0.91, abs=0.03)


def test_many_scores_are_thinned_upwards():
    p, labels, groups = cohort(9, donors=20, cells=1000)
    found = fit(p, labels, groups, level=0.8, method="pooled")
    score = p[~labels]
    exact = np.quantile(score, 0.84)  # 0.8 * 21 / 20, donors hold about equally many
    assert found.thresholds[0] == pytest.approx(exact, abs=0.01)


def test_dictionary_survives_json():
    found = fit(*cohort(10))
    again = stats.MondrianConformal.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found


def test_coverage_table_lets_donors_count_alike():
    sets = np.array([[True, False]] * 9 + [[False, False]])
    table = stats.coverage_table(np.zeros(10), sets, [0] * 9 + [1])
    assert table["coverage"].tolist() == [0.5]
    assert table["single"].tolist() == table["empty"].tolist() == [0.5]
    assert table["n"].tolist() == [10]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"level": 0.95}, "at least 19 donors in each class for level 0.95; found 10 in class 0"),
        ({"level": 1.0}, r"`level` in \(0, 1\)"),
        ({"method": "magic"}, "`method` to be one of"),
        ({"labels": np.zeros(40)}, "found 10 in class 0, 0 in class 1"),
        ({"labels": np.full(40, 2)}, "`labels` from 0 to 1"),
        ({"labels": [0, 1]}, "`labels` to hold 40 values"),
        ({"groups": ["a"]}, "`groups` to hold 40 values"),
        ({"probabilities": np.full(40, 2.0)}, r"`probabilities` in \[0, 1\]"),
    ],
)
def test_bad_input_is_an_error(change, match):
    good = {
        "probabilities": np.linspace(0, 1, 40),
        "labels": np.arange(40) // 10 % 2,
        "groups": np.arange(40) % 10,
    }
    with pytest.raises(ValueError, match=match):
        stats.MondrianConformal.fit(**(good | change))


def test_nine_donors_are_enough_for_nine_tenths():
    p, labels, groups = cohort(11, donors=9)
    assert fit(p, labels, groups, level=0.9).n_groups == (9, 9)
    with pytest.raises(ValueError, match="at least 9 donors"):
        fit(p, labels, groups // 2, level=0.9)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"thresholds": [2.0]}, ValueError, "`thresholds` in"),
        ({"method": "magic"}, ValueError, "`method` to be one of"),
        ({"level": 0.0}, ValueError, "`level` in"),
    ],
)
def test_damaged_dictionaries_are_refused(change, error, match):
    with pytest.raises(error, match=match):
        stats.MondrianConformal.from_dict(fit(*cohort(12)).to_dict() | change)


def test_missing_entries_and_other_classes():
    with pytest.raises(KeyError, match="no thresholds, level"):
        stats.MondrianConformal.from_dict({})
    with pytest.raises(ValueError, match="2 classes; found 3"):
        fit(*cohort(13)).predict([[0.2, 0.3, 0.5]])
