from __future__ import annotations

import math

import numpy as np
import pytest

from dtp_scvi import stats
from dtp_scvi.stats._norm_interval import norm_interval


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    donors = rng.integers(0, 12, 1500)
    p = stats.sigmoid(1.5 * rng.normal(size=1500))
    return rng.random(1500) < p, p, donors


def test_values_are_those_of_the_functions(cells):
    labels, p, donors = cells
    found = stats.calibration_metrics(labels, p, groups=donors, n_boot=20)
    assert tuple(found) == stats.CALIBRATION_METRICS
    assert found["ece"]["value"] == stats.ece(labels, p)
    assert found["ace"]["value"] == stats.ace(labels, p)
    assert found["mce"]["value"] == stats.mce(labels, p)
    assert found["smooth_ece"]["value"] == stats.smooth_ece(labels, p)
    assert found["log_loss"]["value"] == stats.log_loss(labels, p)
    line = stats.calibration_line(labels, p)
    assert found["slope"]["value"] == pytest.approx(line["slope"], abs=1e-9)
    part = stats.brier_decomposition(labels, p)
    for name in ("brier", "reliability", "resolution", "uncertainty"):
        assert found[name]["value"] == part[name]


def test_intervals_equal_a_plain_loop(cells):
    labels, p, donors = cells
    found = stats.calibration_metrics(labels, p, groups=donors, n_boot=40, level=0.5, seed=3)
    loop = {"brier": [], "log_loss": [], "intercept": [], "slope": []}
    for weights in stats.cluster_bootstrap_weights(donors, 40, seed=3):
        rows = np.repeat(np.arange(1500), weights.astype(int))
        loop["brier"].append(stats.brier_decomposition(labels[rows], p[rows])["brier"])
        loop["log_loss"].append(stats.log_loss(labels[rows], p[rows]))
        for name, value in stats.calibration_line(labels[rows], p[rows]).items():
            loop[name].append(value)
    for name, values in loop.items():
        low, high = stats.interval(values, 0.5, n_clusters=12)
        assert found[name]["low"] == pytest.approx(low, abs=1e-3 if name == "slope" else 1e-9)
        assert found[name]["high"] == pytest.approx(high, abs=1e-3 if name == "slope" else 1e-9)


def test_a_calibrated_model_is_not_accused(cells):
    labels, p, donors = cells
    found = stats.calibration_metrics(labels, p, groups=donors, n_boot=200)
    assert found["ece"]["value"] > 0
    for name in ("ece", "ace", "smooth_ece", "reliability"):
        assert found[name]["low"] == 0
    assert found["slope"]["low"] < 1 < found["slope"]["high"]
    assert found["intercept"]["low"] < 0 < found["intercept"]["high"]


def test_a_miscalibrated_model_is(cells):
    labels, p, donors = cells
    found = stats.calibration_metrics(labels, p**3, groups=donors, n_boot=200)
    for name in ("ece", "ace", "mce", "smooth_ece", "reliability", "intercept"):
        assert found[name]["low"] > 0, name


def test_row_order_does_not_matter(cells):
    labels, p, donors = cells
    order = np.random.default_rng(5).permutation(1500)
    p = np.round(p, 1)
    first = stats.calibration_metrics(labels, p, groups=donors, n_boot=10)
    second = stats.calibration_metrics(labels[order], p[order], groups=donors[order], n_boot=10)
    for name in stats.CALIBRATION_METRICS:
        assert first[name] == pytest.approx(second[name], abs=1e-7), name


def test_constant_and_parting_probabilities():
    labels, donors = np.arange(40) % 2, np.arange(40) // 4
    flat = stats.calibration_metrics(labels, np.full(40, 0.5), groups=donors, n_boot=10)
    assert math.isnan(flat["slope"]["value"])
    assert math.isnan(flat["slope"]["high"])
    assert flat["ece"]["value"] == 0
    parted = stats.calibration_metrics(labels, 0.1 + 0.8 * labels, groups=donors, n_boot=10)
    assert parted["slope"] == {"value": np.inf, "low": np.inf, "high": np.inf}
    assert parted["ece"]["value"] == pytest.approx(0.1)


def test_size_of_pure_noise_reaches_zero_and_of_plain_gaps_does_not():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(500, 10))
    assert norm_interval(noise[0], noise[0] + noise, 0.95)[0] == 0
    low, high = norm_interval(np.full(10, 0.05), 0.05 + 1e-3 * noise, 0.95)
    assert 0.49 < low < 0.5 < high < 0.51


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": [1, 1, 1]}, "both classes"),
        ({"probabilities": [0.1]}, "`probabilities` to hold 3 values"),
        ({"groups": ["a", "a", "a"]}, "at least 2 clusters to resample; found 1"),
        ({"level": 1.5}, r"`level` in \(0, 1\)"),
        ({"n_boot": 0}, "`n_boot` to be a whole number"),
    ],
)
def test_bad_input_is_an_error(change, match):
    good = {"labels": [0, 1, 1], "probabilities": [0.1, 0.2, 0.3], "n_boot": 5}
    with pytest.raises(ValueError, match=match):
        stats.calibration_metrics(**(good | change))
