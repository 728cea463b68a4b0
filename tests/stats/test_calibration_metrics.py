from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from dtp_scvi import stats

SIMPLE = {
    "log_loss": stats.log_loss,
    "ece": stats.ece,
    "ace": stats.ace,
    "mce": stats.mce,
    "smooth_ece": stats.smooth_ece,
}


def numbers(labels, p, weights=None):
    """Every metric of these rows by name."""
    found = {name: f(labels, p, sample_weight=weights) for name, f in SIMPLE.items()}
    return found | stats.brier_decomposition(labels, p, sample_weight=weights)


@st.composite
def rows(draw):
    """Labels, probabilities with many ties, whole weights of which one is not 0."""
    n = draw(st.integers(2, 40))
    labels = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    p = draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))
    weights = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n).filter(any))
    return np.array(labels), np.array(p) / 12, np.array(weights, dtype=float)


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    p = stats.sigmoid(1.5 * rng.normal(size=3000))
    return rng.random(3000) < p**1.4, p, rng.integers(0, 9, 3000)


@given(rows())
def test_brier_and_log_loss_equal_scikit_learn(data):
    labels, p, weights = data
    found = numbers(labels, p, weights)
    assert found["brier"] == pytest.approx(
        sk.brier_score_loss(labels, p, sample_weight=weights, pos_label=True), abs=1e-12
    )
    expected = sk.log_loss(labels, p, sample_weight=weights, labels=[False, True])
    assert found["log_loss"] == pytest.approx(expected, abs=1e-10)


@given(rows(), st.integers(1, 20))
def test_parts_add_up_to_the_brier_score(data, n_bins):
    labels, p, weights = data
    part = stats.brier_decomposition(labels, p, n_bins, sample_weight=weights)
    total = part["reliability"] - part["resolution"] + part["uncertainty"]
    total += part["within_bin_variance"] - part["within_bin_covariance"]
    assert total == pytest.approx(part["brier"], abs=1e-12)
    assert 0 <= part["resolution"] <= part["uncertainty"] + 1e-12


def test_without_spread_in_bins_there_are_three_parts():
    labels, p = np.array([0, 1, 1, 0, 1, 0]), np.array([0.2, 0.2, 0.2, 0.8, 0.8, 0.8])
    part = stats.brier_decomposition(labels, p, 2)
    assert part["within_bin_variance"] == pytest.approx(0, abs=1e-15)
    assert part["within_bin_covariance"] == pytest.approx(0, abs=1e-15)
    # By hand: 2/3 and 1/3 observed where 0.2 and 0.8 were promised, 1/2 on the whole.
    assert part["reliability"] == pytest.approx(((2 / 3 - 0.2) ** 2 + (0.8 - 1 / 3) ** 2) / 2)
    assert part["resolution"] == pytest.approx((1 / 6) ** 2)


@given(rows(), st.randoms(use_true_random=False), st.floats(0.01, 100))
def test_row_order_and_scale_of_weights_do_not_matter(data, random, factor):
    labels, p, weights = data
    order = list(range(len(labels)))
    random.shuffle(order)
    first = numbers(labels, p, weights)
    assert first == pytest.approx(numbers(labels[order], p[order], weights[order]), abs=1e-9)
    assert first == pytest.approx(numbers(labels, p, factor * weights), abs=1e-9)


@given(rows())
def test_weights_equal_repeated_rows(data):
    labels, p, weights = data
    repeated = np.repeat(np.arange(len(labels)), weights.astype(int))
    again = numbers(labels[repeated], p[repeated])
    assert numbers(labels, p, weights) == pytest.approx(again, abs=1e-9)


def test_ece_is_the_one_of_the_other_metrics(cells):
    labels, p, _ = cells
    weights = np.arange(3000) % 4
    other = stats.classification_metrics(
        labels, p, probabilities=p, threshold=0.5, sample_weight=weights
    )
    assert stats.ece(labels, p, sample_weight=weights) == other["ece"]


def test_ece_and_mce_equal_netcal(cells):
    netcal = pytest.importorskip("netcal.metrics")
    labels, p, _ = cells
    assert stats.ece(labels, p) == pytest.approx(netcal.ECE(15).measure(p, labels), abs=1e-9)
    assert stats.mce(labels, p) == pytest.approx(netcal.MCE(15).measure(p, labels), abs=1e-9)


def test_ace_equals_slices_of_sorted_rows(cells):
    labels, p, _ = cells
    order = np.argsort(p)
    slices = np.array_split(order, 15)
    expected = sum(abs((p[rows] - labels[rows]).sum()) for rows in slices) / len(p)
    assert stats.ace(labels, p) == pytest.approx(expected, abs=1e-12)


def test_ace_keeps_ties_together():
    # Split by row order, the tie of four could show anything from 0 to 0.5.
    labels, p = np.array([0, 0, 1, 1]), np.full(4, 0.5)
    assert stats.ace(labels, p, 2) == stats.ace(labels[::-1], p, 2) == 0


def slow_smooth_ece(labels, p, sigma):
    """The definition by direct summation: reflected Gaussian kernel on a fine mesh."""
    t = (np.arange(4000) + 0.5) / 4000
    residual = np.zeros_like(t)
    images = [sign * p + 2 * k for k in range(-6, 7) for sign in (1, -1)]
    for image in images:
        kernel = np.exp(-(((t[:, None] - image) / sigma) ** 2) / 2) / sigma / np.sqrt(2 * np.pi)
        residual += kernel @ (p - labels)
    return np.abs(residual).mean() / len(p)


@pytest.mark.parametrize("bend", [0.5, 1.0, 2.5])
def test_smooth_ece_is_the_fixed_point_of_its_definition(bend):
    rng = np.random.default_rng(1)
    p = rng.random(200)
    labels = rng.random(200) < p**bend
    found = stats.smooth_ece(labels, p)
    assert slow_smooth_ece(labels, p, found) == pytest.approx(found, abs=1e-4)


@pytest.mark.parametrize("bend", [0.5, 1.0, 2.5])
def test_smooth_ece_equals_relplot(bend):
    relplot = pytest.importorskip("relplot")
    rng = np.random.default_rng(2)
    p = stats.sigmoid(2 * rng.normal(size=2000))
    labels = rng.random(2000) < p**bend
    assert stats.smooth_ece(labels, p) == pytest.approx(
        relplot.smECE(p, labels.astype(float)), abs=1e-3
    )


def test_calibration_line_equals_statsmodels(cells):
    sm = pytest.importorskip("statsmodels.api")
    labels, p, _ = cells
    weights = 1.0 + np.arange(3000) % 3
    line = stats.calibration_line(labels, p, sample_weight=weights)
    logit, family = stats.logit(p), sm.families.Binomial()
    fit = {"family": family, "freq_weights": weights}
    level = sm.GLM(labels, np.ones_like(p), offset=logit, **fit).fit(tol=1e-12).params[0]
    slope = sm.GLM(labels, sm.add_constant(logit), **fit).fit(tol=1e-12).params[1]
    assert line["intercept"] == pytest.approx(level, abs=1e-6)
    assert line["slope"] == pytest.approx(slope, abs=1e-6)


def test_slope_equals_scikit_learn(cells):
    labels, p, _ = cells
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    slope = model.fit(stats.logit(p)[:, None], labels).coef_[0, 0]
    assert stats.calibration_line(labels, p)["slope"] == pytest.approx(slope, abs=1e-6)


def test_slope_of_parted_classes_is_infinite():
    line = stats.calibration_line([0, 0, 1, 1], [0.2, 0.4, 0.6, 0.8])
    assert line["slope"] == np.inf
    assert stats.calibration_line([1, 1, 0, 0], [0.2, 0.4, 0.6, 0.8])["slope"] == -np.inf


def test_extreme_probabilities_still_give_a_line():
    rng = np.random.default_rng(3)
    labels = rng.random(500) < 0.5
    wrong = rng.random(500) < 0.1
    line = stats.calibration_line(labels, (labels ^ wrong).astype(float))
    # 90 % right where certainty was promised: log-odds 2.2 for a logit of 16.
    assert 0.1 < line["slope"] < 0.18


@pytest.mark.parametrize("name", SIMPLE)
@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"probabilities": [0.1, 0.2]}, "`probabilities` to hold 3 values"),
        ({"probabilities": [0.1, 0.2, 1.5]}, r"`probabilities` in \[0, 1\]"),
        ({"sample_weight": [0, 0, 0]}, "rows that carry weight; found none"),
        ({"labels": []}, "`probabilities` to hold 0 values"),
    ],
)
def test_bad_input_is_an_error(name, change, match):
    good = {"labels": [0, 1, 1], "probabilities": [0.1, 0.2, 0.3]}
    with pytest.raises(ValueError, match=match):
        SIMPLE[name](**(good | change))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([0, 0], [0.1, 0.2]), "both classes; found only False"),
        (([0, 1], [0.3, 0.3]), "`probabilities` to differ between rows; found 0.3 in all 2"),
    ],
)
def test_line_refuses_what_has_none(arguments, match):
    with pytest.raises(ValueError, match=match):
        stats.calibration_line(*arguments)


def test_line_needs_weight_in_both_classes():
    with pytest.raises(ValueError, match="a class of weight 0"):
        stats.calibration_line([0, 1], [0.3, 0.4], sample_weight=[1, 0])
