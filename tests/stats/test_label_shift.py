from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from dtp_scvi import stats

shares = st.floats(0.02, 0.98)


@pytest.fixture(scope="module")
def shifted():
    """Labels and calibrated probabilities at prevalence 0.4; both again at 0.1."""
    rng = np.random.default_rng(0)
    found = []
    for share in (0.4, 0.1):
        labels = rng.random(6000) < share
        score = rng.normal(size=6000) + 2 * labels
        found += [labels, stats.sigmoid(2 * score - 2 + np.log(0.4 / 0.6))]
    return found


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), shares, shares)
def test_correction_is_bayes_rule_on_the_odds(p, source, target):
    p = np.clip(p, 1e-9, 1 - 1e-9)
    factor = target / (1 - target) / (source / (1 - source))
    odds = p / (1 - p) * factor
    found = stats.prior_correction(p, source, target)
    assert found == pytest.approx(odds / (1 + odds), abs=1e-9)
    table = stats.prior_correction(
        np.column_stack([1 - p, p]), [1 - source, source], [1 - target, target]
    )
    assert table[:, 1] == pytest.approx(found, abs=1e-12)


def test_correction_there_and_back_is_nothing():
    p = np.array([0.0, 0.2, 0.9, 1.0])
    again = stats.prior_correction(stats.prior_correction(p, 0.3, 0.6), 0.6, 0.3)
    assert again == pytest.approx(p, abs=1e-12)


def test_em_finds_the_maximum_of_the_likelihood(shifted):
    _, _, _, p = shifted
    found = stats.saerens_em(p, 0.4)

    def loss(w):
        return -np.mean(np.log(w / 0.4 * p + (1 - w) / 0.6 * (1 - p)))

    best = minimize_scalar(loss, bounds=(0, 1), options={"xatol": 1e-10})
    assert found.prevalence == pytest.approx(best.x, abs=1e-6)
    assert found.n_iter > 1
    assert found.probabilities == pytest.approx(stats.prior_correction(p, 0.4, best.x), abs=1e-6)


def test_em_and_bbse_recover_the_planted_prevalence(shifted):
    source, source_p, target, p = shifted
    assert stats.saerens_em(p, 0.4).prevalence == pytest.approx(target.mean(), abs=0.02)
    hard = stats.bbse(source, source_p > 0.5, p > 0.5)
    soft = stats.bbse(source, source_p, p)
    assert hard.prevalence == pytest.approx(target.mean(), abs=0.02)
    assert soft.prevalence == pytest.approx(target.mean(), abs=0.02)
    assert soft.condition < 5


def test_three_classes():
    rng = np.random.default_rng(1)
    means = 3 * np.eye(3)

    def cohort(share):
        labels = rng.choice(3, size=4000, p=share)
        like = np.exp(
            -((rng.normal(size=(4000, 1, 3)) + means[labels][:, None] - means) ** 2).sum(-1) / 2
        )
        p = like * [0.5, 0.3, 0.2]
        return labels, p / p.sum(axis=1, keepdims=True)

    source, source_p = cohort([0.5, 0.3, 0.2])
    target, p = cohort([0.1, 0.2, 0.7])
    expected = np.bincount(target) / 4000
    em = stats.saerens_em(p, [0.5, 0.3, 0.2])
    assert em.prevalence == pytest.approx(expected, abs=0.02)
    assert em.probabilities.shape == (4000, 3)
    assert stats.bbse(source, source_p, p).prevalence == pytest.approx(expected, abs=0.02)


def test_bbse_by_hand():
    # Called in 0.25 of the negative and 0.75 of the positive rows: 0.35 = 0.25 + 0.5 w.
    labels, called = np.repeat([0, 1], 4), [0, 0, 0, 1, 0, 1, 1, 1]
    target = np.arange(20) < 7
    assert stats.bbse(labels, called, target).prevalence == pytest.approx(0.2)


def test_a_little_outside_is_moved_to_the_edge():
    labels, called = np.repeat([0, 1], 4), [0, 0, 0, 1, 0, 1, 1, 1]
    assert stats.bbse(labels, called, np.arange(100) < 24).prevalence == 0
    with pytest.raises(RuntimeError, match=r"inside the simplex; found \[1.5, -0.5\]"):
        stats.bbse(labels, called, [0, 0, 0])


def test_row_order_does_not_matter(shifted):
    _, _, _, p = shifted
    p = np.round(p, 2)
    first, second = (stats.saerens_em(values, 0.4).prevalence for values in (p, p[::-1]))
    assert first == pytest.approx(second, abs=1e-9)


def test_em_that_leaves_the_simplex_or_does_not_converge():
    with pytest.raises(
        RuntimeError, match=r"inside the simplex; found .* in class 1.*no such class"
    ):
        stats.saerens_em(np.full(50, 0.01), 0.5)
    with pytest.raises(RuntimeError, match="in class 0"):
        stats.saerens_em(np.full(50, 0.99), 0.5)
    rng = np.random.default_rng(0)
    with pytest.raises(RuntimeError, match="EM to converge in 3 iterations; found a last step"):
        stats.saerens_em(rng.uniform(0.1, 0.7, 50), 0.5, max_iter=3)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, np.nan])
@pytest.mark.parametrize("side", ["source", "target"])
def test_prevalence_outside_0_and_1(share, side):
    both = {"source_prevalence": 0.5, "target_prevalence": 0.5} | {f"{side}_prevalence": share}
    with pytest.raises(ValueError, match=rf"`{side}_prevalence` in \(0, 1\); found"):
        stats.prior_correction([0.5], **both)
    with pytest.raises(ValueError, match=r"`source_prevalence` in \(0, 1\)"):
        stats.saerens_em([0.5], share)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: stats.prior_correction([1.2], 0.5, 0.5), ValueError, r"in \[0, 1\]"),
        (lambda: stats.prior_correction([[0.4, 0.4]], 0.5, 0.5), ValueError, "add up to 1"),
        (lambda: stats.prior_correction([[0.2, 0.3, 0.5]], 0.5, 0.5), ValueError, "each of 3"),
        (
            lambda: stats.prior_correction([[0.2, 0.3, 0.5]], [0.5, 0.3, 0.3], [0.2, 0.4, 0.4]),
            ValueError,
            "adding up to 1",
        ),
        (lambda: stats.saerens_em([], 0.5), ValueError, "rows of the target cohort; found none"),
        (lambda: stats.saerens_em([0.5], 0.5, max_iter=0), ValueError, "`max_iter`"),
        (lambda: stats.saerens_em([0.5], 0.5, tol=0), ValueError, "`tol` in"),
        (lambda: stats.bbse([0, 1], [0, 1, 1], [0]), ValueError, "`source_labels` to hold 3"),
        (lambda: stats.bbse([0, 0], [0, 1], [0]), ValueError, r"found \[2, 0\] rows of classes"),
        (lambda: stats.bbse([0, 2], [0, 1], [0]), ValueError, r"found \[1, 0\] rows of classes"),
        (lambda: stats.bbse([0, 1], [0, 1], []), ValueError, "rows of the target cohort"),
        (lambda: stats.bbse([0, 1], [0, 1], [[0.2, 0.3, 0.5]]), ValueError, "of 2 classes"),
        (lambda: stats.bbse([0, 1], [0.5, 0.52], [0]), RuntimeError, "condition <= 20; found"),
        (lambda: stats.bbse([0, 1], [0.5, 0.5], [0]), RuntimeError, "condition <= 20; found"),
    ],
)
def test_bad_input_is_an_error(call, error, match):
    with pytest.raises(error, match=match):
        call()
