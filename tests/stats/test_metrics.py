from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from dtp_scvi import stats


@st.composite
def rows(draw):
    """Labels of both classes, scores with many ties, whole weights that keep both classes."""
    n = draw(st.integers(2, 40))
    labels = draw(
        st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda v: len(set(v)) == 2)
    )
    scores = draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))
    weights = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    labels, weights = np.array(labels), np.array(weights, dtype=float)
    for side in (labels, ~labels):
        if not weights[side].any():
            weights[np.flatnonzero(side)[0]] = 1
    return labels, np.array(scores) / 12, weights


def oracle(labels, scores, probabilities, threshold, weights):
    called = probabilities >= threshold
    w = {"sample_weight": weights}
    return {
        "auroc": sk.roc_auc_score(labels, scores, **w),
        "auprc": sk.average_precision_score(labels, scores, **w),
        "mcc": sk.matthews_corrcoef(labels, called, **w),
        "f1": sk.f1_score(labels, called, zero_division=0, **w),
        "balanced_accuracy": sk.recall_score(labels, called, **w) / 2
        + sk.recall_score(~labels, ~called, **w) / 2,
        "brier": sk.brier_score_loss(labels, probabilities, **w),
        "ece": slow_ece(labels, probabilities, weights),
    }


def slow_ece(labels, probabilities, weights, n_bins=15):
    total = 0.0
    for index in range(n_bins):
        inside = np.floor(probabilities * n_bins) == index
        if index == n_bins - 1:
            inside |= probabilities == 1
        if weights[inside].sum() > 0:
            observed = np.average(labels[inside], weights=weights[inside])
            predicted = np.average(probabilities[inside], weights=weights[inside])
            total += weights[inside].sum() / weights.sum() * abs(observed - predicted)
    return total


@given(rows(), st.integers(0, 13))
def test_equals_scikit_learn_under_weights_and_ties(data, cut):
    labels, p, weights = data
    # Ranking on a score of another scale than the probabilities, in the opposite direction.
    scores, threshold = 5 - 7 * p, cut / 12
    evaluate = stats.WeightedMetrics(labels, scores, probabilities=p, threshold=threshold)
    expected = oracle(labels, scores, p, threshold, weights)
    found = evaluate.metrics(weights)
    assert list(found) == list(stats.METRICS)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-10), name


@given(rows())
def test_weights_equal_repeated_rows(data):
    labels, p, weights = data
    repeated = np.repeat(np.arange(len(labels)), weights.astype(int))
    arguments = {"probabilities": p, "threshold": 0.5}
    weighted = stats.classification_metrics(labels, p, **arguments, sample_weight=weights)
    again = stats.classification_metrics(
        labels[repeated], p[repeated], probabilities=p[repeated], threshold=0.5
    )
    assert weighted == pytest.approx(again, abs=1e-12)


@given(rows(), st.randoms(use_true_random=False))
def test_row_order_does_not_matter(data, random):
    labels, p, _ = data
    order = list(range(len(labels)))
    random.shuffle(order)
    first = stats.classification_metrics(labels, p, probabilities=p, threshold=0.5)
    second = stats.classification_metrics(
        labels[order], p[order], probabilities=p[order], threshold=0.5
    )
    assert first == pytest.approx(second, abs=1e-12)


def test_threshold_may_differ_by_row():
    labels, p = np.array([0, 1, 0, 1]), np.array([0.3, 0.4, 0.6, 0.7])
    by_row = np.array([0.35, 0.35, 0.65, 0.65])
    assert stats.classification_metrics(labels, p, probabilities=p, threshold=by_row)["mcc"] == 1
    assert stats.classification_metrics(labels, p, probabilities=p, threshold=0.35)["mcc"] < 1


def test_equal_to_the_threshold_is_positive():
    found = stats.classification_metrics(
        [0, 1], [0.2, 0.5], probabilities=[0.2, 0.5], threshold=0.5
    )
    assert found["f1"] == 1


def test_constant_score_is_chance():
    labels, p = np.array([1, 0, 0, 0]), np.full(4, 0.25)
    found = stats.classification_metrics(labels, p, probabilities=p, threshold=0.5)
    assert found["auroc"] == 0.5
    assert found["auprc"] == 0.25
    assert found["mcc"] == 0
    assert found["ece"] == 0


def test_direction_of_every_metric_is_stated():
    assert set(stats.HIGHER_IS_BETTER) == set(stats.METRICS)
    labels, good, bad = np.array([0, 0, 1, 1]), np.array([0.0, 0, 1, 1]), np.array([1.0, 0, 0, 1])
    best = stats.classification_metrics(labels, good, probabilities=good, threshold=0.5)
    worse = stats.classification_metrics(labels, bad, probabilities=bad, threshold=0.5)
    for name, higher in stats.HIGHER_IS_BETTER.items():
        assert (best[name] > worse[name]) == higher or name == "ece"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": [1, 1, 1]}, "both classes; found only True in 3 rows"),
        ({"labels": []}, "found none in 0 rows"),
        ({"labels": ["a", "b", "a"]}, "boolean or 0/1; found values a, b"),
        ({"labels": [0, 1, np.nan]}, "boolean or 0/1"),
        ({"labels": [[0, 1, 1]]}, "one-dimensional; found shape"),
        ({"scores": [0.1, 0.2]}, "`scores` to hold 3 values"),
        ({"scores": [0.1, np.nan, np.inf]}, "`scores` to be finite; found 2 NaN"),
        ({"probabilities": [0.1, 0.2, 1.5]}, r"in \[0, 1\]; found values from 0.1 to 1.5"),
        ({"threshold": np.nan}, "`threshold` to be finite"),
        ({"threshold": [0.1, 0.2]}, "`threshold` to hold 3 values"),
        ({"sample_weight": [1, -1, 1]}, "`sample_weight` >= 0"),
        ({"sample_weight": [1, 0, 0]}, "a class of weight 0"),
    ],
)
def test_bad_input_is_an_error(change, match):
    good = {
        "labels": [0, 1, 1],
        "scores": [0.1, 0.2, 0.3],
        "probabilities": [0.1, 0.2, 0.3],
        "threshold": 0.5,
    }
    with pytest.raises(ValueError, match=match):
        stats.classification_metrics(**(good | change))
