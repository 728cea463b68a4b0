from __future__ import annotations

import json

import numpy as np
import pytest

from dtp_scvi import stats


def cohort(seed, *, donors=10, prevalence=0.3, sd=0.3, shift=0.0, stretch=1.0):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(donors), 150)
    labels = rng.random(len(groups)) < prevalence
    score = rng.normal(size=len(groups)) + 3 * labels - 1.5 + rng.normal(0, sd, donors)[groups]
    return stretch * score + shift, labels, groups


@pytest.fixture(scope="module")
def reference():
    return stats.ScoreReference.from_scores(*cohort(0, donors=20))


def test_reference_holds_quantiles_and_no_extreme(reference):
    score, labels, _ = cohort(0, donors=20)
    levels = (np.arange(100) + 0.5) / 100
    assert reference.positive == pytest.approx(np.quantile(score[labels], levels))
    assert reference.negative == pytest.approx(np.quantile(score[~labels], levels))
    assert max(reference.positive) < score[labels].max()
    assert (reference.n_positive, reference.n_negative) == (labels.sum(), (~labels).sum())
    assert reference.prevalence == labels.mean()
    assert reference.n_groups == 20
    assert len(json.dumps(reference.to_dict())) < 20_000


def test_reference_survives_json(reference):
    again = stats.ScoreReference.from_dict(json.loads(json.dumps(reference.to_dict())))
    assert again == reference


def test_cdf_and_sample_follow_the_scores(reference):
    score, labels, _ = cohort(0, donors=20)
    at = np.linspace(-4, 4, 30)
    for mine, side in zip(reference.cdf(at), (score[~labels], score[labels]), strict=True):
        expected = np.searchsorted(np.sort(side), at, side="right") / len(side)
        assert mine == pytest.approx(expected, abs=0.011)
    drawn, truth = reference.sample(20_000, 0.25, seed=1)
    assert truth.mean() == pytest.approx(0.25, abs=0.01)
    assert drawn[truth].mean() == pytest.approx(score[labels].mean(), abs=0.05)
    assert drawn.max() <= max(reference.positive)


def test_modes_carry_the_variance_between_donors():
    score, labels, groups = cohort(3, donors=200, sd=0.5)
    reference = stats.ScoreReference.from_scores(score, labels, groups)
    modes = np.array(reference.modes)
    knots = reference.knots()
    variance = (modes**2).sum(axis=0)[: len(knots)]
    # The variance over donors of a normal distribution function whose mean moves by 0.5.
    effect = np.random.default_rng(0).normal(0, 0.5, 20_000)
    from scipy.stats import norm

    for index in (5, 12, 20):
        expected = norm.cdf(knots[index] + 1.5 - effect).var()
        assert variance[index] == pytest.approx(expected, rel=0.3, abs=1e-4)


def test_no_modes_without_groups_or_without_donor_effect():
    score, labels, groups = cohort(4, donors=30, sd=0.0)
    assert stats.ScoreReference.from_scores(score, labels).modes == ()
    modes = np.array(stats.ScoreReference.from_scores(score, labels, groups).modes)
    assert len(modes) == 0 or (modes**2).sum(axis=0).max() < 3e-3


def test_donors_of_one_class_are_taken():
    score, labels, groups = cohort(5)
    mixed = np.where(labels, groups, groups + 10)
    reference = stats.ScoreReference.from_scores(score, labels, mixed)
    assert reference.n_groups == 20
    assert len(reference.modes) > 0


def test_label_shift_is_accepted_and_other_shift_refused(reference):
    for seed, prevalence in enumerate((0.05, 0.3, 0.6)):
        score, labels, groups = cohort(10 + seed, prevalence=prevalence)
        found = stats.label_shift_test(reference, score, target_groups=groups)
        assert found.accepted, found
        assert found.p_value > 0.05
        assert found.prevalence == pytest.approx(labels.mean(), abs=0.1)
        assert "fit a mixture" in found.reason
        moved = stats.label_shift_test(reference, 0.4 * score + 1, target_groups=groups)
        assert not moved.accepted
        assert moved.p_value <= 0.05
        assert "moved" in moved.reason


def test_one_donor_is_judged_by_how_much_donors_vary(reference):
    score, _, groups = cohort(20, donors=1)
    alone = stats.label_shift_test(reference, score + 0.4, target_groups=groups)
    independent = stats.label_shift_test(reference, score + 0.4)
    assert alone.n_groups == 1
    assert alone.p_value > independent.p_value


def test_logits_with_labels_equal_the_summary(reference):
    score, labels, groups = cohort(0, donors=20)
    target, _, donors = cohort(11)
    first = stats.label_shift_test(
        score, target, source_labels=labels, source_groups=groups, target_groups=donors
    )
    assert first == stats.label_shift_test(reference, target, target_groups=donors)


def test_row_order_does_not_matter_and_the_seed_decides(reference):
    target, _, donors = cohort(12)
    target = np.round(target, 1)
    first = stats.label_shift_test(reference, target, target_groups=donors, seed=1)
    second = stats.label_shift_test(reference, target[::-1], target_groups=donors[::-1], seed=1)
    assert first.statistic == second.statistic
    assert first.p_value == second.p_value


def test_a_score_that_says_nothing_is_refused():
    rng = np.random.default_rng(0)
    score, labels = rng.normal(size=4000), rng.random(4000) < 0.5
    found = stats.label_shift_test(score, rng.normal(size=500), source_labels=labels)
    assert not found.accepted
    assert "hardly tells the classes apart" in found.reason


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda r: stats.label_shift_test([0.1], [0.1] * 30), ValueError, "logits without labels"),
        (
            lambda r: stats.label_shift_test(r, [0.1] * 30, source_labels=[0, 1]),
            ValueError,
            "a summary with labels or groups",
        ),
        (lambda r: stats.label_shift_test(r, [0.1] * 5), ValueError, "at least 20 target rows"),
        (lambda r: stats.label_shift_test(r, [np.nan] * 30), ValueError, "to be finite"),
        (lambda r: stats.label_shift_test(r, [1.0] * 30, level=0), ValueError, "`level` in"),
        (lambda r: stats.label_shift_test(r, [1.0] * 30, n_boot=0), ValueError, "`n_boot`"),
        (
            lambda r: stats.label_shift_test(r, [1.0] * 30, target_groups=["a"]),
            ValueError,
            "`groups` to hold 30",
        ),
        (
            lambda r: stats.ScoreReference.from_scores(np.arange(30.0), np.arange(30) < 5),
            ValueError,
            "at least 20 rows in each class; found 5",
        ),
        (
            lambda r: stats.ScoreReference.from_scores(np.ones(60), np.arange(60) < 30),
            ValueError,
            "`logits` to differ between rows",
        ),
        (
            lambda r: stats.ScoreReference.from_scores(np.arange(60.0), np.ones(60)),
            ValueError,
            "both classes",
        ),
        (lambda r: stats.ScoreReference.from_dict({}), KeyError, "no negative, positive"),
        (
            lambda r: stats.ScoreReference.from_dict(r.to_dict() | {"positive": [2.0, 1.0]}),
            ValueError,
            "100 rising quantiles",
        ),
        (
            lambda r: stats.ScoreReference.from_dict(r.to_dict() | {"modes": [[1.0]]}),
            ValueError,
            "100 rising quantiles",
        ),
    ],
)
def test_bad_input_is_an_error(reference, call, error, match):
    with pytest.raises(error, match=match):
        call(reference)
