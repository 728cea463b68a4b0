"""Over-representation against scipy and Fisher's exact test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from dtp_scvi import stats


@st.composite
def counts(draw):
    total = draw(st.integers(2, 200))
    in_set, listed = draw(st.integers(1, total)), draw(st.integers(1, total))
    hits = draw(st.integers(max(0, in_set + listed - total), min(in_set, listed)))
    return hits, in_set, listed, total


@given(counts())
def test_p_is_that_of_fishers_exact_test(numbers):
    hits, in_set, listed, total = numbers
    cells = [[hits, in_set - hits], [listed - hits, total - in_set - listed + hits]]
    log_odds, p = stats.over_representation(*numbers)
    assert float(p) == pytest.approx(fisher_exact(cells, "greater").pvalue, rel=1e-7, abs=1e-300)
    a, b, c, d = np.array(cells).ravel() + 0.5
    assert float(log_odds) == pytest.approx(np.log(a * d / (b * c)))


def test_arrays_broadcast():
    log_odds, p = stats.over_representation([3, 0], [5, 5], 10, 100)
    assert log_odds.shape == p.shape == (2,)
    assert p[0] < 0.05 < p[1]


@pytest.mark.parametrize("numbers", [(6, 5, 10, 100), (1, 5, 10, 12), (-1, 5, 10, 100)])
def test_numbers_that_contradict_each_other(numbers):
    with pytest.raises(ValueError, match="hits within set and list"):
        stats.over_representation(*numbers)
