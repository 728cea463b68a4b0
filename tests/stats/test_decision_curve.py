from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtp_scvi import stats


def by_hand(labels, p, threshold):
    called = p >= threshold
    tp, fp = np.sum(called & labels), np.sum(called & ~labels)
    return tp / len(p) - fp / len(p) * threshold / (1 - threshold)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 10)), min_size=2, max_size=30).filter(
        lambda rows: len({label for label, _ in rows}) == 2
    ),
    st.lists(st.integers(1, 9), min_size=1, max_size=5, unique=True),
)
def test_equals_the_formula_with_ties_on_the_threshold(rows, grid):
    labels, p = (np.array(column) for column in zip(*rows, strict=True))
    p, grid = p / 10, np.array(grid) / 10
    table = stats.decision_curve(labels, p, grid)
    for strategy, called in (("model", p), ("all", np.ones(len(p)))):
        mine = table[table["strategy"] == strategy]
        assert mine["threshold"].tolist() == grid.tolist()
        expected = [by_hand(labels, called, threshold) for threshold in grid]
        assert mine["net_benefit"].to_numpy() == pytest.approx(expected, abs=1e-12)
    assert (table.loc[table["strategy"] == "none", "net_benefit"] == 0).all()


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    p = rng.random(400)
    return rng.random(400) < p, p, np.arange(400) % 10


def test_treating_all_breaks_even_at_the_prevalence(cells):
    labels, p, _ = cells
    table = stats.decision_curve(labels, p, [labels.mean()]).set_index("strategy")
    assert table.loc["all", "net_benefit"] == pytest.approx(0, abs=1e-12)
    assert table.loc["model", "net_benefit"] > 0


def test_intervals_come_from_donors(cells):
    labels, p, donors = cells
    assert stats.decision_curve(labels, p)["low"].isna().all()
    table = stats.decision_curve(labels, p, [0.3, 0.6], groups=donors, n_boot=50, level=0.5)
    loop = []
    for weights in stats.cluster_bootstrap_weights(donors, 50):
        rows = np.repeat(np.arange(400), weights.astype(int))
        loop.append([by_hand(labels[rows], p[rows], t) for t in (0.3, 0.6)])
    low, high = stats.interval(loop, 0.5, n_clusters=10)
    model = table[table["strategy"] == "model"]
    assert model["low"].to_numpy() == pytest.approx(low, abs=1e-12)
    assert model["high"].to_numpy() == pytest.approx(high, abs=1e-12)


def test_one_column_per_model_on_the_same_resamples(cells):
    labels, p, donors = cells
    settings = {"thresholds": [0.3, 0.6], "groups": donors, "n_boot": 20}
    both = stats.decision_curve(labels, {"a": p, "b": p**2}, **settings)
    assert both["strategy"].unique().tolist() == ["a", "b", "all", "none"]
    numbers = ["net_benefit", "low", "high"]
    for name, score in (("a", p), ("b", p**2)):
        alone = stats.decision_curve(labels, score, **settings)
        for mine, theirs in ((name, "model"), ("all", "all"), ("none", "none")):
            expected = alone.loc[alone["strategy"] == theirs, numbers].to_numpy()
            found = both.loc[both["strategy"] == mine, numbers].to_numpy()
            assert found == pytest.approx(expected, abs=1e-12)


def test_row_order_does_not_matter(cells):
    labels, p, _ = cells
    first, second = (
        stats.decision_curve(labels[o], p[o]) for o in (slice(None), slice(None, None, -1))
    )
    assert first["net_benefit"].to_numpy() == pytest.approx(second["net_benefit"], abs=1e-12)
    assert len(first) == 3 * 99


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": [1, 1]}, "both classes"),
        ({"probabilities": [0.1]}, "`probabilities` to hold 2 values"),
        ({"probabilities": {"all": [0.2, 0.8]}}, "models not called all or none; found all"),
        ({"thresholds": [0.0]}, r"`thresholds` in \(0, 1\); found \[0.0\]"),
        ({"thresholds": [0.5, np.nan]}, r"`thresholds` in \(0, 1\)"),
        ({"thresholds": []}, r"`thresholds` in \(0, 1\)"),
        ({"groups": ["a", "a"], "n_boot": 3}, "at least 2 clusters"),
    ],
)
def test_bad_input_is_an_error(change, match):
    good = {"labels": [0, 1], "probabilities": [0.2, 0.8]}
    with pytest.raises(ValueError, match=match):
        stats.decision_curve(**(good | change))
