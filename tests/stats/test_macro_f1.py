"""Macro-F1 against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from dtp_scvi import stats


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), min_size=2))
@settings(max_examples=100, deadline=None)
def test_is_that_of_scikit_learn(rows):
    truth, calls, weight = map(np.array, zip(*rows, strict=True))
    if truth.all() or not truth.any():
        return
    wanted = f1_score(truth, calls, average="macro", labels=[0, 1], zero_division=0)
    assert stats.macro_f1(truth, calls) == pytest.approx(wanted)
    if weight.any():
        wanted = f1_score(
            truth, calls, average="macro", labels=[0, 1], sample_weight=weight, zero_division=0
        )
        assert stats.macro_f1(truth, calls, sample_weight=weight) == pytest.approx(wanted)


def test_a_constant_call_gets_half_of_one_class():
    truth = np.arange(10) < 3
    assert stats.macro_f1(truth, np.zeros(10, bool)) == pytest.approx(7 / 17)
    assert stats.macro_f1(truth, ~truth) == 0.0


def test_interval_covers_and_draws_groups():
    rng = np.random.default_rng(0)
    truth = rng.random(200) < 0.5
    calls = np.where(rng.random(200) < 0.8, truth, ~truth)
    value, low, high = stats.macro_f1_interval(truth, calls, n_boot=100)
    assert low < value < high
    # All rows of a group agree: fewer units, a wider interval.
    groups = np.repeat(np.arange(10), 20)
    by_group = np.repeat(rng.random(10) < 0.8, 20)
    wide = stats.macro_f1_interval(truth, truth == by_group, groups, n_boot=100)
    plain = stats.macro_f1_interval(truth, truth == by_group, n_boot=100)
    assert wide[2] - wide[1] > 1.5 * (plain[2] - plain[1])


def test_refuses_what_does_not_match():
    with pytest.raises(ValueError, match="`calls` to hold 3 values"):
        stats.macro_f1([0, 1, 1], [0, 1])
    with pytest.raises(ValueError, match="`labels` to hold both classes"):
        stats.macro_f1([1, 1], [0, 1])
    with pytest.raises(ValueError, match="boolean or 0/1"):
        stats.macro_f1([0, 1], [0.2, 0.7])
