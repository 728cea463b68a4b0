from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, matthews_corrcoef, recall_score

from dtp_scvi import stats


@st.composite
def rows(draw):
    n = draw(st.integers(2, 25))
    labels = draw(
        st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda v: len(set(v)) == 2)
    )
    scores = draw(st.lists(st.integers(0, 10), min_size=n, max_size=n))
    return np.array(labels), np.array(scores) / 10


def candidates(p):
    """A threshold for every set of calls that some threshold can make."""
    levels = np.unique(p)
    return [levels[0], *((levels[1:] + levels[:-1]) / 2), 2.0]


CRITERIA = {
    "f1": lambda labels, called: f1_score(labels, called, zero_division=0),
    "youden": lambda labels, called: (
        recall_score(labels, called) + recall_score(~labels, ~called) - 1
    ),
    "mcc": matthews_corrcoef,
}


def by_hand(rule, labels, called):
    """The criterion from the four counts; scikit-learn would take most of the time here."""
    tp, fp = np.sum(labels & called), np.sum(~labels & called)
    fn, tn = np.sum(labels & ~called), np.sum(~labels & ~called)
    if rule == "f1":
        return 2 * tp / (2 * tp + fp + fn)
    if rule == "youden":
        return tp / (tp + fn) + tn / (tn + fp) - 1
    across = np.sqrt(float((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
    return (tp * tn - fp * fn) / across if across else 0.0


@pytest.mark.parametrize("rule", list(CRITERIA))
@given(data=rows())
def test_no_threshold_does_better(rule, data):
    labels, p = data
    chosen = stats.choose_threshold(labels, p, rule=rule, n_boot=0)
    best = max(by_hand(rule, labels, p >= t) for t in candidates(p))
    assert CRITERIA[rule](labels, p >= chosen.value) == pytest.approx(best, abs=1e-12)
    assert chosen.metrics[rule] == pytest.approx(best, abs=1e-12)


@given(data=rows(), target=st.integers(1, 10))
def test_recall_takes_the_largest_threshold_that_reaches_it(data, target):
    labels, p = data
    chosen = stats.choose_threshold(labels, p, rule="recall", target=target / 10, n_boot=0)
    reached = [t for t in candidates(p) if np.mean(p[labels] >= t) >= target / 10]
    assert np.array_equal(p >= chosen.value, p >= max(reached))


@given(data=rows(), target=st.integers(0, 10), some=st.booleans())
def test_fpr_takes_the_smallest_threshold_that_keeps_it(data, target, some):
    labels, p = data
    named = ~labels
    if some:  # every other negative, at least the first
        named = np.isin(np.arange(len(p)), np.flatnonzero(~labels)[::2])
    chosen = stats.choose_threshold(
        labels, p, rule="fpr", target=target / 10, negatives=named if some else None, n_boot=0
    )
    kept = [t for t in candidates(p) if np.mean(p[named] >= t) <= target / 10]
    assert np.array_equal(p >= chosen.value, p >= min(kept))
    assert ("false_positive_rate" in chosen.metrics) == some


@given(
    data=st.lists(st.floats(0, 1), min_size=2, max_size=20, unique=True),
    cut=st.integers(1, 19),
)
def test_value_lies_between_neighbours_and_separates_them(data, cut):
    p = np.sort(data)
    cut = min(cut, len(p) - 1)
    labels = np.arange(len(p)) >= cut
    value = stats.choose_threshold(labels, p, n_boot=0).value
    assert p[cut - 1] < value <= p[cut]
    assert value == pytest.approx((p[cut - 1] + p[cut]) / 2, rel=1e-12)


def test_ends_are_reached_without_clipping():
    labels, p = [0, 1], [1.0, 1.0]
    none = stats.choose_threshold(labels, p, rule="fpr", target=0.0, n_boot=0)
    assert 1 < none.value < 1 + 1e-9
    assert none.metrics["called_positive"] == 0
    assert "precision" not in none.metrics
    low = stats.choose_threshold([1, 0, 1], [0.02, 0.5, 0.9], rule="recall", target=1, n_boot=0)
    assert low.value == 0.01


@pytest.mark.parametrize("rule", ["f1", "youden", "mcc", "recall", "fpr"])
def test_interval_equals_choosing_again_in_each_resample(rule):
    rng = np.random.default_rng(5)
    groups = rng.integers(0, 6, 120)
    labels = rng.random(120) < 0.5
    p = np.round(stats.sigmoid(rng.normal(size=120) + labels), 2)
    target = {"recall": 0.8, "fpr": 0.2}.get(rule)
    chosen = stats.choose_threshold(
        labels, p, rule=rule, target=target, groups=groups, n_boot=25, seed=2
    )
    again = []
    for weights in stats.cluster_bootstrap_weights(groups, 25, seed=2):
        drawn = np.repeat(np.arange(120), weights.astype(int))
        one = stats.choose_threshold(labels[drawn], p[drawn], rule=rule, target=target, n_boot=0)
        again.append(one.value)
    assert (chosen.low, chosen.high) == pytest.approx(tuple(np.percentile(again, [2.5, 97.5])))
    assert chosen.n_boot == 25


def test_fixed_is_taken_as_it_is():
    chosen = stats.choose_threshold([0, 1, 1], [0.1, 0.2, 0.9], rule="fixed", fixed=0.5)
    assert (chosen.value, chosen.low, chosen.high) == (0.5, 0.5, 0.5)
    assert chosen.metrics["recall"] == 0.5


def test_survives_json():
    chosen = stats.choose_threshold([0, 1, 0, 1], [0.1, 0.4, 0.3, 0.9], rule="recall", target=0.9)
    text = json.dumps(chosen.to_dict(), allow_nan=False)
    assert stats.Threshold.from_dict(json.loads(text)) == chosen


def test_interval_is_left_out_where_every_resample_lacks_a_class():
    chosen = stats.choose_threshold([0, 1], [0.2, 0.8], groups=["a", "b"], n_boot=1, seed=0)
    assert (chosen.low, chosen.high, chosen.n_boot) == (None, None, 0)
    assert "low" not in chosen.to_dict()


def test_from_dict_says_what_is_missing():
    with pytest.raises(KeyError, match="a threshold with `rule`; found keys"):
        stats.Threshold.from_dict({"value": 0.5})


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"rule": "best"}, "`rule` to be one of 'f1'"),
        ({"rule": "recall"}, "`target` exactly with rule 'recall' or 'fpr'"),
        ({"rule": "f1", "target": 0.9}, "`target` exactly with rule"),
        ({"rule": "fixed"}, "`fixed` exactly with rule 'fixed'"),
        ({"rule": "f1", "fixed": 0.5}, "`fixed` exactly with rule 'fixed'"),
        ({"rule": "recall", "target": 1.2}, r"`target` in \[0, 1\]"),
        ({"rule": "recall", "target": 0}, "`target` above 0"),
        ({"rule": "f1", "negatives": [True, False]}, "`negatives` only with rule 'fpr'"),
        ({"rule": "fpr", "target": 0.1, "negatives": [False, True]}, "found 1 positive rows"),
        ({"rule": "fpr", "target": 0.1, "negatives": [False, False]}, "found 0 of 2 rows"),
        ({"rule": "fpr", "target": 0.1, "negatives": [True]}, "mask of 2 rows"),
        ({"groups": ["a", "a"]}, "at least 2 clusters"),
    ],
)
def test_bad_input_is_an_error(arguments, match):
    with pytest.raises(ValueError, match=match):
        stats.choose_threshold([0, 1], [0.2, 0.8], **arguments)
