from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t
from sklearn.metrics import roc_auc_score

from dtp_scvi import stats


def test_clusters_are_drawn_whole_and_as_often_as_there_are_clusters():
    groups = np.array(["b", "a", "c", "a", "b", "b"])
    for weights in stats.cluster_bootstrap_weights(groups, 50, seed=1):
        per_cluster = {name: set(weights[groups == name]) for name in "abc"}
        assert all(len(values) == 1 for values in per_cluster.values())
        assert sum(next(iter(values)) for values in per_cluster.values()) == 3


def test_rows_are_drawn_where_no_groups_are_given():
    draws = list(stats.cluster_bootstrap_weights(None, 20, seed=1, n_rows=30))
    assert all(weights.sum() == 30 for weights in draws)
    assert not np.array_equal(draws[0], draws[1])


def test_seed_fixes_the_draws():
    def draw(seed):
        return np.array(list(stats.cluster_bootstrap_weights(None, 3, seed=seed, n_rows=9)))

    assert np.array_equal(draw(4), draw(4))
    assert not np.array_equal(draw(4), draw(5))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((["a", "a"], 5), "at least 2 clusters to resample; found 1"),
        ((["a", None, "b"], 5), "without missing values; found 1 missing"),
        ((["a", "b"], 0), "`n_boot` to be a whole number >= 1"),
        ((None, 5), "`groups` or `n_rows`; found neither"),
    ],
)
def test_weights_refuse_bad_input(arguments, match):
    with pytest.raises(ValueError, match=match):
        stats.cluster_bootstrap_weights(*arguments)


def test_interval_is_the_percentile_of_what_is_there():
    values = np.array([[0.0, np.nan], [1, np.nan], [2, np.nan], [np.nan, np.nan], [3, np.nan]])
    low, high = stats.interval(values, 0.5)
    assert (low[0], high[0]) == (0.75, 2.25)
    assert np.isnan(low[1])
    assert np.isnan(high[1])


def test_interval_of_few_clusters_is_as_much_wider_as_that_of_t():
    draws = norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    low, high = stats.interval(draws, 0.9, n_clusters=8)
    assert high == pytest.approx(np.sqrt(8 / 7) * t.ppf(0.95, 7), abs=1e-3)
    assert low == pytest.approx(-high, abs=1e-9)
    assert stats.interval(draws, 0.9, n_clusters=10**6) == pytest.approx(
        stats.interval(draws, 0.9), abs=1e-3
    )


def test_interval_of_ece_is_the_one_of_the_calibration_metrics(cells):
    labels, p, groups = cells
    table, _ = stats.bootstrap_metrics(labels, p, p, 0.5, groups, n_boot=40)
    row = table.set_index(["model", "metric"]).loc[("good", "ece")]
    found = stats.calibration_metrics(labels, p["good"], groups=groups, n_boot=40)["ece"]
    assert [row["value"], row["low"], row["high"]] == pytest.approx(list(found.values()), abs=1e-9)


def test_interval_refuses_a_level_outside_0_and_1():
    with pytest.raises(ValueError, match=r"`level` in \(0, 1\)"):
        stats.interval([1, 2], 1.0)


@pytest.fixture
def cells():
    rng = np.random.default_rng(3)
    labels = rng.random(400) < 0.4
    groups = rng.integers(0, 10, 400)
    p = {
        name: 1 / (1 + np.exp(-(effect * labels + rng.normal(size=400) - effect / 2)))
        for name, effect in {"good": 2.0, "poor": 0.3}.items()
    }
    return labels, p, groups


def _squares(values):
    return np.sum((values - np.mean(values)) ** 2)


def test_value_and_interval_equal_a_plain_loop(cells):
    labels, p, groups = cells
    table, _ = stats.bootstrap_metrics(labels, p, p, {"good": 0.4, "poor": 0.5}, groups, n_boot=30)
    donors, rng = np.unique(groups), np.random.default_rng(0)
    loop = []
    for _ in range(30):
        drawn = donors[rng.integers(len(donors), size=len(donors))]
        rows = np.concatenate([np.flatnonzero(groups == donor) for donor in drawn])
        q = p["good"][rows]
        found = stats.classification_metrics(labels[rows], q, probabilities=q, threshold=0.4)
        loop.append([found[name] for name in stats.METRICS])
    mine = table[table["model"] == "good"].set_index("metric").loc[list(stats.METRICS)]
    low, high = stats.interval(loop, n_clusters=10)
    # Those two have intervals of their own.
    kept = ~np.isin(stats.METRICS, ["auroc", "ece"])
    np.testing.assert_allclose(mine["low"][kept], low[kept], atol=1e-12)
    np.testing.assert_allclose(mine["high"][kept], high[kept], atol=1e-12)
    assert (mine["n_boot"] == 30).all()
    rises = stats.logit(np.array(loop)[:, 0])
    # Donors of unequal size count for fewer, here by the class that is spread less evenly.
    sizes = [np.bincount(groups[side]) for side in (labels, ~labels)]
    n = min(size.sum() ** 2 / (size**2).sum() for size in sizes)
    q = p["good"]
    without = [roc_auc_score(labels[groups != d], q[groups != d]) for d in donors]
    jackknife = np.sqrt(9 / 10 * _squares(stats.logit(without)))
    error = max(np.sqrt(n / (n - 1)) * rises.std(), jackknife)
    reach = t.ppf(0.975, n - 1) * error
    middle = stats.logit(mine.loc["auroc", "value"])
    ends = stats.sigmoid([middle - reach, middle + reach])
    assert mine.loc["auroc", ["low", "high"]].tolist() == pytest.approx(ends.tolist(), abs=1e-9)


def test_a_perfect_ranking_has_an_interval_up_to_1():
    labels = np.arange(20) >= 10
    p = {"m": np.linspace(0, 1, 20)}
    table, _ = stats.bootstrap_metrics(labels, p, p, 0.5, np.arange(20) % 5, n_boot=20)
    low, high = table.set_index("metric").loc["auroc", ["low", "high"]]
    assert 0.98 < low < high == 1


def test_differences_are_paired(cells):
    labels, p, groups = cells
    twins = {"a": p["good"], "b": p["poor"], "copy": p["good"]}
    table, paired = stats.bootstrap_metrics(labels, twins, twins, 0.5, groups, reference="a")
    assert list(paired["baseline"].unique()) == ["b", "copy"]
    copies = paired[paired["baseline"] == "copy"]
    # The same model on the same resamples differs by nothing; unpaired it would.
    assert (copies[["value", "low", "high"]] == 0).all(axis=None)
    gap = paired.set_index(["baseline", "metric"]).loc[("b", "auroc")]
    value = table.set_index(["model", "metric"])["value"]
    assert gap["value"] == pytest.approx(value["a", "auroc"] - value["b", "auroc"])
    assert gap["low"] > 0


def test_without_reference_no_differences(cells):
    labels, p, _ = cells
    _, differences = stats.bootstrap_metrics(labels, p, p, 0.5, n_boot=2)
    assert len(differences) == 0
    assert list(differences) == ["model", "baseline", "metric", "value", "low", "high"]


def test_resamples_of_one_class_are_left_out_and_counted():
    # Three donors, one of them holds all positives: it is missing from (2/3)^3 of the resamples,
    # and alone in (1/3)^3.
    labels = np.array([1, 1, 0, 0, 0, 0])
    p = {"m": np.array([0.9, 0.8, 0.1, 0.2, 0.3, 0.1])}
    table, _ = stats.bootstrap_metrics(labels, p, p, 0.5, list("aabbcc"), n_boot=2000)
    expected = 1 - (2 / 3) ** 3 - (1 / 3) ** 3
    assert table["n_boot"].nunique() == 1
    assert table["n_boot"][0] / 2000 == pytest.approx(expected, abs=0.04)


def test_no_usable_resample_gives_nan_and_says_so():
    labels, p = np.array([True, False]), {"m": np.array([0.9, 0.1])}
    table, _ = stats.bootstrap_metrics(labels, p, p, 0.5, ["a", "b"], n_boot=1, seed=0)
    assert (table["n_boot"] == 0).all()
    assert table[["low", "high"]].isna().all(axis=None)
    assert table["value"].notna().all()


def test_interval_of_auroc_covers_the_binormal_truth():
    truth = norm.cdf(1 / np.sqrt(2))
    rng, hits = np.random.default_rng(0), 0
    for repeat in range(60):
        labels = np.arange(300) < 120
        scores = rng.normal(size=300) + labels
        p = {"m": stats.sigmoid(scores)}
        table, _ = stats.bootstrap_metrics(labels, p, p, 0.5, n_boot=100, seed=repeat)
        low, high = table.set_index("metric").loc["auroc", ["low", "high"]]
        hits += low <= truth <= high
    assert 51 <= hits < 60  # 95 % of 60 is 57


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"reference": "nobody"}, ValueError, "`reference` to be one of 'good', 'poor'"),
        ({"thresholds": {"good": 0.5}}, KeyError, "`thresholds` to hold every model.*poor"),
        ({"probabilities": {"good": [0.1] * 400}}, KeyError, "`probabilities` to hold every"),
        ({"groups": ["a"] * 400}, ValueError, "at least 2 clusters"),
        ({"groups": ["a", "b"]}, ValueError, "`groups` to hold 400 values"),
    ],
)
def test_bad_input_is_an_error(cells, change, error, match):
    labels, p, groups = cells
    good = {"scores": p, "probabilities": p, "thresholds": 0.5, "groups": groups}
    with pytest.raises(error, match=match):
        stats.bootstrap_metrics(labels, **(good | change), n_boot=2)
