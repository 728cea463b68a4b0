"""Survival statistics on plain arrays against other libraries, closed forms and loops."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from dtp_scvi import stats

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import lifelines
    from lifelines.utils import concordance_index, restricted_mean_survival_time
    from statsmodels.duration.survfunc import SurvfuncRight


def draw(seed: int, n: int = 80, *, ties: bool = False):
    """Exponential survival that goes with a score, some of it censored."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n)
    time = rng.exponential(np.exp(-0.7 * score))
    lost = rng.exponential(1.5, size=n)
    event = time <= lost
    time = np.minimum(time, lost)
    if ties:
        time, score = np.ceil(4 * time), np.round(score)
    return time, event, score


cohorts = st.builds(draw, st.integers(0, 10_000), st.integers(20, 60), ties=st.booleans())


@given(cohorts)
def test_concordance_is_that_of_lifelines_with_the_sign_turned(cohort):
    time, event, score = cohort
    found = stats.concordance(time, event, score)
    assert found == pytest.approx(concordance_index(time, -score, event))


def test_concordance_of_many_rows_is_the_same_in_blocks():
    time, event, score = draw(3, 1300)
    assert event.sum() > 512
    found = stats.concordance(time, event, score)
    assert found == pytest.approx(concordance_index(time, -score, event))


@given(cohorts, st.floats(0.1, 1000))
def test_unit_of_time_scale_of_score_and_order_of_rows_change_nothing(cohort, unit):
    time, event, score = cohort
    order = np.random.default_rng(0).permutation(len(time))
    first = stats.concordance(time, event, score)
    assert stats.concordance(time[order] * unit, event[order], np.exp(score[order])) == first
    horizon = float(np.quantile(time, 0.6))
    assume(((time <= horizon) & event).any() and (time > horizon).any())
    auc = stats.time_dependent_auc(time, event, score, horizon)
    # Doubling is exact in binary, so no time moves across the horizon.
    other = stats.time_dependent_auc(
        2 * time[order], event[order], np.exp(score[order]), 2 * horizon
    )
    assert other == pytest.approx(auc)


def test_concordance_interval_is_what_resampling_patients_gives():
    time, event, score = draw(1, 40)
    value, low, high = stats.concordance_interval(time, event, score, n_boot=200, seed=4)
    loop = []
    for weights in stats.cluster_bootstrap_weights(None, 200, seed=4, n_rows=40):
        rows = np.repeat(np.arange(40), weights.astype(int))
        loop.append(concordance_index(time[rows], -score[rows], event[rows]))
    assert value == pytest.approx(concordance_index(time, -score, event))
    assert (low, high) == pytest.approx(stats.interval(loop, n_clusters=40))


def test_rows_of_a_patient_are_drawn_together():
    time, event, score = draw(2, 60)
    alone = stats.concordance_interval(time, event, score, n_boot=300)
    # Each patient twice: the same pairs, so the same value and spread.
    twice = stats.concordance_interval(
        *(np.tile(part, 2) for part in (time, event, score)),
        groups=np.tile(np.arange(60), 2),
        n_boot=300,
    )
    assert twice == pytest.approx(alone)


def test_concordance_interval_covers_the_truth():
    # P(T1 < T2 | s1 > s2) for exponential survival: expectation over the score difference.
    rng = np.random.default_rng(0)
    gap = np.abs(rng.normal(size=200_000) - rng.normal(size=200_000))
    truth = float(np.mean(1 / (1 + np.exp(-0.7 * gap))))
    inside = 0
    for seed in range(60):
        score = np.random.default_rng(seed).normal(size=120)
        time = np.random.default_rng(seed + 1000).exponential(np.exp(-0.7 * score))
        _, low, high = stats.concordance_interval(time, np.ones(120), score, n_boot=200)
        inside += low <= truth <= high
    assert inside >= 52


def brute_force_auc(time, event, score, horizon):
    """Uno's estimator by loops, censoring by lifelines with events moved just before losses."""
    shifted = np.where(event, time - 1e-9, time)
    censoring = lifelines.KaplanMeierFitter().fit(shifted, ~event)
    top = bottom = 0.0
    for i in range(len(time)):
        if not (event[i] and time[i] <= horizon):
            continue
        weight = 1 / float(censoring.predict(time[i] - 1e-6))
        for j in range(len(time)):
            if time[j] > horizon:
                bottom += weight
                top += weight * ((score[i] > score[j]) + 0.5 * (score[i] == score[j]))
    return top / bottom


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_time_dependent_auc_is_the_double_loop(seed, ties):
    time, event, score = draw(seed, 60, ties=ties)
    horizon = float(np.quantile(time, 0.5))
    found = stats.time_dependent_auc(time, event, score, horizon)
    assert found == pytest.approx(brute_force_auc(time, event, score, horizon))


def test_without_censoring_it_is_the_auroc():
    time, _, score = draw(5)
    event = np.ones(len(time), dtype=bool)
    expected = stats.auroc(time <= 0.5, score)
    assert stats.time_dependent_auc(time, event, score, 0.5) == pytest.approx(expected)


def test_weights_undo_censoring_on_average():
    rng = np.random.default_rng(0)
    score = rng.normal(size=20_000)
    time = rng.exponential(np.exp(-0.7 * score))
    lost = rng.exponential(1.0, size=20_000)
    seen = stats.time_dependent_auc(np.minimum(time, lost), time <= lost, score, 1.0)
    assert seen == pytest.approx(stats.auroc(time <= 1.0, score), abs=0.015)


def test_auc_interval_is_what_resampling_patients_gives():
    time, event, score = draw(1, 40)
    horizon = float(np.median(time))
    found = stats.time_dependent_auc_interval(time, event, score, horizon, n_boot=60, seed=4)
    loop = []
    for weights in stats.cluster_bootstrap_weights(None, 60, seed=4, n_rows=40):
        rows = np.repeat(np.arange(40), weights.astype(int))
        loop.append(stats.time_dependent_auc(time[rows], event[rows], score[rows], horizon))
    assert found[0] == pytest.approx(stats.time_dependent_auc(time, event, score, horizon))
    assert found[1:] == pytest.approx(stats.interval(loop, n_clusters=40))


@given(cohorts, st.floats(0.1, 1.0))
def test_restricted_mean_is_that_of_lifelines(cohort, share):
    time, event, _ = cohort
    horizon = share * time.max()
    fitted = lifelines.KaplanMeierFitter().fit(time, event)
    area, _ = stats.rmst(time, event, horizon)
    assert area == pytest.approx(restricted_mean_survival_time(fitted, t=horizon))


def test_standard_error_of_the_restricted_mean_without_censoring():
    # The restricted mean is then the mean of min(time, horizon), a closed form.
    time = np.random.default_rng(0).exponential(size=50)
    area, error = stats.rmst(time, np.ones(50), 1.0)
    capped = np.minimum(time, 1.0)
    assert area == pytest.approx(capped.mean())
    assert error == pytest.approx(capped.std(ddof=0) / np.sqrt(50))


def test_standard_error_of_the_restricted_mean_with_censoring():
    time, event, _ = draw(7, 300)
    _, error = stats.rmst(time, event, 1.0)
    rng, draws = np.random.default_rng(0), []
    for _ in range(400):
        rows = rng.integers(0, 300, 300)
        draws.append(stats.rmst(time[rows], event[rows], 1.0)[0])
    assert error == pytest.approx(np.std(draws), rel=0.1)


def test_difference_of_restricted_means():
    time, event, score = draw(8, 200)
    found = stats.rmst_difference(time, event, score > 0, 0.8)
    (a, first), (b, second) = (
        stats.rmst(time[rows], event[rows], 0.8) for rows in (score > 0, score <= 0)
    )
    error = np.hypot(first, second)
    assert found.value == pytest.approx(a - b)
    assert (found.low, found.high) == pytest.approx(
        (a - b - 1.96 * error, a - b + 1.96 * error), abs=1e-4
    )
    assert found.high < 0
    assert found.p_value < 0.05
    swapped = stats.rmst_difference(time, event, score <= 0, 0.8)
    assert swapped.value == -found.value


def test_no_event_leaves_no_standard_error():
    found = stats.rmst_difference([3, 3, 3, 3], [0, 0, 0, 0], [1, 1, 0, 0], 2)
    assert found.value == 0
    assert np.isnan([found.low, found.high, found.p_value]).all()


def test_median_follow_up_is_the_kaplan_meier_of_losses():
    time, event, _ = draw(4, 101)
    other = SurvfuncRight(time, 1 - event.astype(int))
    assert stats.median_follow_up(time, event) == pytest.approx(other.quantile(0.5))
    assert stats.median_follow_up([1, 2, 3], [1, 1, 1]) == float("inf")


def test_spline_basis_spans_the_natural_cubic_splines():
    rng = np.random.default_rng(0)
    knots = np.array([-1.0, 0.0, 0.7, 2.0])
    natural = CubicSpline(knots, rng.normal(size=4), bc_type="natural")
    inside = np.linspace(-1, 2, 200)
    columns = np.column_stack([np.ones(200), inside, stats.spline_basis(inside, knots)])
    _, residual, rank, _ = np.linalg.lstsq(columns, natural(inside), rcond=None)
    assert rank == 4
    assert residual[0] < 1e-20
    # Straight beyond the outer knots: second differences vanish.
    for x in (np.arange(-5.0, -1.0), np.arange(2.0, 6.0)):
        assert np.abs(np.diff(stats.spline_basis(x, knots), n=2, axis=0)).max() < 1e-10


def test_knots_are_quantiles():
    values = np.random.default_rng(0).normal(size=500)
    expected = np.quantile(values, [0.05, 0.35, 0.65, 0.95])
    assert stats.spline_knots(values) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"distinct values; found 2 distinct among 4 quantiles"):
        stats.spline_knots([0] * 50 + [1] * 50)
    with pytest.raises(ValueError, match=r"`n_knots` to be one of 3, 4, 5; found 7"):
        stats.spline_knots(values, 7)
    with pytest.raises(ValueError, match=r"at least three rising knots"):
        stats.spline_basis(values, [0, 1, 1])


@pytest.mark.parametrize(
    ("time", "event", "match"),
    [
        ([-1, 2, 3], [1, 0, 1], r"`time` >= 0; found 1 negative \(smallest -1\)"),
        ([1, 2, np.nan], [1, 0, 1], r"`time` to be finite; found 1 NaN"),
        ([1, 2, 3], [1, 2, 1], r"`event` to be boolean or 0/1; found values 1, 2"),
        ([1, 2, 3], [1, 0], r"`event` to hold 3 values"),
    ],
)
def test_bad_follow_up_is_refused(time, event, match):
    with pytest.raises(ValueError, match=match):
        stats.concordance(time, event, [1, 2, 3])


def test_horizons_outside_the_follow_up_are_refused():
    time, event, score = draw(0, 30)
    with pytest.raises(ValueError, match=r"0 rows beyond it.*Choose a `horizon`"):
        stats.time_dependent_auc(time, event, score, 1e6)
    with pytest.raises(ValueError, match=r"found 0 events up to 1e-09"):
        stats.time_dependent_auc(time, event, score, 1e-9)
    with pytest.raises(ValueError, match=r"`horizon` up to the longest time"):
        stats.rmst(time, event, 1e6)
    with pytest.raises(ValueError, match=r"rows in both groups; found 30 of 30"):
        stats.rmst_difference(time, event, np.ones(30), 1.0)
