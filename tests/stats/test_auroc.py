from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dtp_scvi.stats import auroc, auroc_interval, standardised_difference

cases = st.lists(
    st.tuples(st.booleans(), st.integers(-3, 3), st.integers(0, 2), st.integers(1, 4)),
    min_size=2,
    max_size=40,
).filter(lambda rows: len({r[0] for r in rows}) == 2)


@given(cases)
def test_agrees_with_sklearn_ties_and_weights_included(rows):
    y, x, _, w = (np.array(column) for column in zip(*rows, strict=True))
    assert auroc(y, x) == pytest.approx(roc_auc_score(y, x), abs=1e-12)
    expected = roc_auc_score(y, x, sample_weight=w)
    assert auroc(y, x, sample_weight=w) == pytest.approx(expected, abs=1e-12)


@given(cases)
def test_strata_pool_the_pairs_of_each_stratum(rows):
    y, x, s, w = (np.array(column) for column in zip(*rows, strict=True))
    won = pairs = 0.0
    for stratum in np.unique(s):
        here = s == stratum
        n = w[here & y].sum() * w[here & ~y].sum()
        if n:
            won += n * roc_auc_score(y[here], x[here], sample_weight=w[here])
            pairs += n
    found = auroc(y, x, strata=s, sample_weight=w)
    assert found == pytest.approx(won / pairs if pairs else np.nan, abs=1e-12, nan_ok=True)


def test_what_differs_between_strata_does_not_count():
    rng = np.random.default_rng(0)
    batch = rng.integers(0, 2, 2000)
    y = rng.random(2000) < np.where(batch, 0.9, 0.1)
    x = batch + 0.1 * rng.normal(size=2000)
    assert auroc(y, x) > 0.85
    assert auroc(y, x, strata=batch) == pytest.approx(0.5, abs=0.05)


def test_interval_is_that_of_whole_donors():
    rng = np.random.default_rng(1)
    donor = np.repeat(np.arange(12), 100)
    x = rng.normal(size=12)[donor] + 0.2 * rng.normal(size=1200)
    y = rng.random(1200) < 0.5
    value, low, high = auroc_interval(y, x, donor)
    _, near, far = auroc_interval(y, x)
    assert value == auroc(y, x)
    assert low <= value <= high
    drawn = []
    draw = np.random.default_rng(7)
    for _ in range(400):
        rows = np.concatenate([np.flatnonzero(donor == d) for d in draw.integers(0, 12, 12)])
        drawn.append(roc_auc_score(y[rows], x[rows]))
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.015)
    assert (near, far) != (low, high)


def test_standardised_difference():
    rng = np.random.default_rng(2)
    y, x = np.arange(4000) % 2 == 1, rng.normal(size=4000)
    assert standardised_difference(y, x + 0.8 * y) == pytest.approx(0.8, abs=0.1)
    assert standardised_difference(y, 3 * x - 2.4 * y + 9) == pytest.approx(-0.8, abs=0.1)
    assert standardised_difference(y, np.ones(4000)) == 0.0
    assert standardised_difference(y, 1.0 * y) == np.inf


def test_bad_input():
    with pytest.raises(ValueError, match="both classes"):
        auroc([1, 1], [0, 1])
    with pytest.raises(ValueError, match="`scores` to be finite"):
        auroc([0, 1], [0, np.nan])
    with pytest.raises(ValueError, match="at least 2 clusters"):
        auroc_interval([0, 1], [0, 1], ["a", "a"])
