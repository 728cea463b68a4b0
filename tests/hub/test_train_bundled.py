"""The intervals that the training script prints, against scipy's bootstrap."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import bootstrap, rankdata


@pytest.fixture(scope="module")
def script():
    path = Path(__file__).resolve().parents[2] / "scripts" / "train_bundled.py"
    spec = importlib.util.spec_from_file_location("train_bundled", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(3)
    y = rng.exponential(size=30)
    return y, y + 0.3 * rng.normal(size=30), y + 1.5 * rng.normal(size=30)


def rho(a, b):
    return np.corrcoef(rankdata(a), rankdata(b))[0, 1]


def by_scipy(statistic, *data):
    found = bootstrap(
        data,
        statistic,
        paired=True,
        vectorized=False,
        n_resamples=2000,
        method="BCa",
        rng=np.random.default_rng(1),
    )
    return tuple(found.confidence_interval)


def test_the_interval_of_a_correlation_is_bca(script, predictions):
    y, good, _ = predictions
    found = script.spearman_with_interval(good, y)
    assert found["value"] == pytest.approx(rho(good, y))
    assert (found["low"], found["high"]) == pytest.approx(by_scipy(rho, good, y), abs=0.012)
    # The plain percentiles, which the interval was before, lie elsewhere.
    rows = np.random.default_rng(1).integers(30, size=(2000, 30))
    plain = np.quantile([rho(good[r], y[r]) for r in rows], 0.025)
    assert abs(found["low"] - plain) > 0.02


def test_the_interval_of_a_difference_is_bca_on_common_resamples(script, predictions):
    y, good, poor = predictions
    found = script.difference(good, poor, y)
    assert found["value"] == pytest.approx(rho(good, y) - rho(poor, y))
    expected = by_scipy(lambda a, b, c: rho(a, c) - rho(b, c), good, poor, y)
    assert (found["low"], found["high"]) == pytest.approx(expected, abs=0.02)
    same = script.difference(good, good, y)
    assert (same["value"], same["low"], same["high"]) == (0, 0, 0)
