from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import cohen_kappa_score

from dtp_scvi import stats


@pytest.fixture
def logits():
    rng = np.random.default_rng(0)
    teacher = np.round(rng.normal(size=300), 1)  # ties
    return teacher, teacher + rng.normal(scale=0.5, size=300)


def test_equals_scipy_and_scikit_learn(logits):
    teacher, student = logits
    found = stats.fidelity(teacher, student, teacher_threshold=0.2, student_threshold=-0.1)
    calls = teacher >= 0.2, student >= -0.1
    assert found == pytest.approx(
        {
            "spearman": spearmanr(teacher, student).statistic,
            "pearson": pearsonr(teacher, student).statistic,
            "agreement": np.mean(calls[0] == calls[1]),
            "kappa": cohen_kappa_score(*calls),
            "n": 300,
        }
    )


def test_undefined_numbers_are_nan():
    found = stats.fidelity([1, 2, 3], [5, 5, 5], teacher_threshold=0, student_threshold=0)
    assert math.isnan(found["spearman"])
    assert math.isnan(found["pearson"])
    assert math.isnan(found["kappa"])
    assert found["agreement"] == 1


def test_interval_equals_a_plain_loop(logits):
    teacher, student = logits
    groups = np.arange(300) % 5
    cuts = {"teacher_threshold": 0.2, "student_threshold": -0.1}
    table = stats.fidelity_interval(teacher, student, **cuts, groups=groups, n_boot=20, seed=1)
    loop = []
    for weights in stats.cluster_bootstrap_weights(groups, 20, seed=1):
        rows = np.repeat(np.arange(300), weights.astype(int))
        found = stats.fidelity(teacher[rows], student[rows], **cuts)
        loop.append([found[name] for name in stats.FIDELITY])
    np.testing.assert_allclose(table["low"], np.percentile(loop, 2.5, axis=0))
    np.testing.assert_allclose(table["high"], np.percentile(loop, 97.5, axis=0))
    assert table["metric"].tolist() == list(stats.FIDELITY)
    assert (table["n_boot"] == 20).all()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([1, 2], [1]), "`student_logit` to hold 2 values"),
        (([1, np.nan], [1, 2]), "`teacher_logit` to be finite"),
        (([1], [1]), "at least 2 rows to compare; found 1"),
    ],
)
def test_bad_logits_are_an_error(arguments, match):
    with pytest.raises(ValueError, match=match):
        stats.fidelity(*arguments, teacher_threshold=0, student_threshold=0)


def test_nan_threshold_is_an_error():
    with pytest.raises(ValueError, match="`student_threshold` to be a number; found NaN"):
        stats.fidelity([1, 2], [1, 2], teacher_threshold=0, student_threshold=np.nan)


def test_link_functions_are_inverse_and_stay_finite():
    p = np.array([0.0, 1e-5, 0.3, 1.0])
    assert np.isfinite(stats.logit(p)).all()
    np.testing.assert_allclose(stats.sigmoid(stats.logit(p)), p, atol=1e-7)
    assert stats.logit([0.0, 1.0], eps=0).tolist() == [-np.inf, np.inf]
    np.testing.assert_allclose(stats.logit(0.3), np.log(0.3 / 0.7))


def test_link_refuses_an_eps_that_swallows_the_range():
    with pytest.raises(ValueError, match=r"`eps` in \[0, 0.5\]"):
        stats.logit(0.3, eps=0.7)
