from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, matthews_corrcoef, recall_score

from dtp_scvi import stats

NUMBERS = ["sensitivity", "specificity", "balanced_accuracy", "mcc"]


@pytest.fixture
def rows():
    """Three cohorts whose probabilities lie at different heights; the third one has one class."""
    rng = np.random.default_rng(0)
    cohorts = np.repeat(["b", "a", "c"], [60, 80, 30])
    labels = rng.random(170) < 0.4
    labels[cohorts == "c"] = False
    # Rounded, so that rows tie with one another and with thresholds.
    logit = 2 * labels + rng.normal(size=170) + 1.5 * (cohorts == "b")
    return labels, np.round(stats.sigmoid(logit), 2), cohorts


@pytest.mark.parametrize("rule", [("youden", None), ("mcc", None), ("f1", None), ("fpr", 0.1)])
def test_equals_scikit_learn_for_every_pair(rows, rule):
    labels, p, cohorts = rows
    table = stats.threshold_transfer(labels, p, cohorts, rule=rule[0], target=rule[1])
    assert len(table) == 9
    pairs = table.set_index(["chosen_on", "applied_to"])
    for first in "ab":
        own = cohorts == first
        cut = stats.choose_threshold(
            labels[own], p[own], rule=rule[0], target=rule[1], n_boot=0
        ).value
        for second in "ab":
            row, here = pairs.loc[(first, second)], cohorts == second
            called = p[here] >= cut
            assert row["threshold"] == cut
            assert row["n"] == here.sum()
            assert row[NUMBERS].tolist() == pytest.approx(
                [
                    recall_score(labels[here], called),
                    recall_score(~labels[here], ~called),
                    balanced_accuracy_score(labels[here], called),
                    matthews_corrcoef(labels[here], called),
                ],
                abs=1e-12,
            )


def test_a_cohort_of_one_class_is_listed(rows):
    labels, p, cohorts = rows
    pairs = stats.threshold_transfer(labels, p, cohorts).set_index(["chosen_on", "applied_to"])
    assert pairs.loc["c", ["threshold", *NUMBERS]].isna().all(axis=None)
    assert pairs.loc["c", "n"].tolist() == [80, 60, 30]
    row = pairs.loc[("a", "c")]
    assert row[["sensitivity", "balanced_accuracy", "mcc"]].isna().all()
    assert row["specificity"] == pytest.approx(np.mean(p[cohorts == "c"] < row["threshold"]))


def test_only_positives_leave_only_the_sensitivity():
    labels, p = [0, 1, 1, 1], [0.1, 0.9, 0.3, 0.8]
    pairs = stats.threshold_transfer(labels, p, [1, 1, 2, 2]).set_index(
        ["chosen_on", "applied_to"]
    )
    row = pairs.loc[(1, 2)]
    assert row["sensitivity"] == 0.5
    assert row[["specificity", "balanced_accuracy", "mcc"]].isna().all()


def test_a_shifted_cohort_needs_its_own_threshold():
    rng = np.random.default_rng(0)
    labels, shifted = rng.random(2000) < 0.5, np.arange(2000) % 2 == 0
    p = stats.sigmoid(6 * labels - 3 + rng.normal(size=2000) + 4 * shifted)
    table = stats.threshold_transfer(labels, p, shifted)
    own = table["chosen_on"] == table["applied_to"]
    assert table.loc[own, "balanced_accuracy"].min() > 0.98
    assert table.loc[~own, "balanced_accuracy"].max() < 0.85


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 5), st.sampled_from("abc")),
        min_size=4,
        max_size=30,
    ),
    st.integers(0, 1000),
)
def test_row_order_does_not_matter_and_rates_stay_in_range(rows, seed):
    # Cohort "a" has both classes and "b" exists, whatever is drawn.
    rows = [(False, 1, "a"), (True, 4, "a"), (False, 2, "b"), *rows]
    labels, p, cohorts = (np.array(column) for column in zip(*rows, strict=True))
    table = stats.threshold_transfer(labels, p / 5, cohorts)
    order = np.random.default_rng(seed).permutation(len(rows))
    again = stats.threshold_transfer(labels[order], p[order] / 5, cohorts[order])
    pd.testing.assert_frame_equal(table, again)
    rates = table[NUMBERS[:3]].to_numpy()
    assert np.all(np.isnan(rates) | ((rates >= 0) & (rates <= 1)))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": [1, 1, 1, 1]}, "both classes"),
        ({"probabilities": [0.1]}, "`probabilities` to hold 4 values"),
        ({"probabilities": [0.1, 2, 0.3, 0.4]}, r"`probabilities` in \[0, 1\]"),
        ({"cohorts": ["a", "b"]}, "`cohorts` to hold 4 values, one per label; found 2"),
        ({"cohorts": ["a", None, "b", "b"]}, "`cohorts` without missing values; found 1 missing"),
        ({"cohorts": ["a"] * 4}, "at least 2 cohorts in `cohorts`; found a"),
        ({"cohorts": ["a", "b", "a", "b"]}, "a cohort with both classes; found none of 2"),
        ({"rule": "fixed"}, "`rule` to be one of 'f1'"),
        ({"rule": "recall"}, "`target` exactly with rule 'recall' or 'fpr'"),
    ],
)
def test_bad_input_is_an_error(change, match):
    good = {
        "labels": [0, 1, 0, 1],
        "probabilities": [0.1, 0.9, 0.2, 0.7],
        "cohorts": ["a", "a", "b", "b"],
    }
    with pytest.raises(ValueError, match=match):
        stats.threshold_transfer(**(good | change))
