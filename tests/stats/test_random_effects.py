"""Meta-analysis over drugs: closed forms, and what shared patients do to its error."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import t

from dtp_scvi import stats

RHO = np.array([0.1, 0.5, 0.3, 0.6, -0.05])
N = np.array([60, 120, 80, 90, 200])


def parts():
    return np.arctanh(RHO), (1 + RHO**2 / 2) / (N - 3)


def q_at(tau2):
    z, variance = parts()
    w = 1 / (variance + tau2)
    return float(w @ (z - w @ z / w.sum()) ** 2)


def test_der_simonian_laird_by_its_formula():
    z, variance = parts()
    w = 1 / variance
    q = float(w @ (z - w @ z / w.sum()) ** 2)
    tau2 = (q - 4) / (w.sum() - (w**2).sum() / w.sum())
    found = stats.random_effects(RHO, N, method="dl")
    assert found.tau2 == pytest.approx(tau2)
    assert (found.q, found.i2) == pytest.approx((q, 1 - 4 / q))
    w = 1 / (variance + tau2)
    assert np.arctanh(found.rho) == pytest.approx(w @ z / w.sum())
    assert found.se == found.se_independent == pytest.approx(w.sum() ** -0.5)


def test_paule_mandel_solves_its_equation():
    found = stats.random_effects(RHO, N)
    assert found.tau2 == pytest.approx(brentq(lambda tau2: q_at(tau2) - 4, 0, 5), abs=1e-6)
    assert q_at(found.tau2) == pytest.approx(4, abs=1e-3)


def test_prediction_interval_by_its_formula():
    found = stats.random_effects(RHO, N, level=0.9)
    _, variance = parts()
    w = 1 / (variance + found.tau2)
    w /= w.sum()
    far = t.ppf(0.95, 3) * np.sqrt(found.tau2 * (1 + w @ w) + found.se**2)
    middle = np.arctanh(found.rho)
    ends = np.arctanh([found.prediction_low, found.prediction_high])
    assert ends == pytest.approx([middle - far, middle + far])
    two = stats.random_effects(RHO[:2], N[:2])
    assert np.isnan([two.prediction_low, two.prediction_high]).all()


@pytest.mark.parametrize("method", ["pm", "dl"])
def test_less_variance_than_chance_is_none(method):
    found = stats.random_effects([0.3, 0.3, 0.3], [50, 60, 70], method=method)
    assert (found.tau2, found.i2) == (0.0, 0.0)
    assert found.rho == pytest.approx(0.3)


def test_error_comes_from_resampling_the_patients_that_drugs_share():
    rng = np.random.default_rng(0)
    score = rng.normal(size=100)
    # Six drugs that are one drug: all that is known is known from a single drug.
    values = np.repeat(0.4 * score[:, None] + rng.normal(size=(100, 1)), 6, axis=1)
    pooled = stats.pooled_rank_correlation(score, values, n_boot=400, n_permutations=1)
    shared = stats.random_effects(pooled.drug_rho, [100] * 6, pooled.draws)
    assert (shared.se_from, shared.n_drugs) == ("patients", 6)
    assert shared.se == pytest.approx(shared.se_independent * np.sqrt(6), rel=0.15)
    assert shared.se == pytest.approx(np.arctanh(pooled.draws[:, 0]).std(ddof=1))
    middle = np.arctanh([shared.low, shared.rho, shared.high])
    assert np.diff(middle) == pytest.approx([1.959964 * shared.se] * 2)


def test_a_resample_without_a_drug_counts_the_others():
    draws = np.random.default_rng(0).normal(0.3, 0.05, (50, 5))
    draws[:10, 0] = np.nan
    assert np.isfinite(stats.random_effects(RHO, N, draws).se)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([0.1], [50]), "at least 2 drugs"),
        (([0.1, 0.2], [50, 3]), "at least 4 patients per drug; found 3"),
        (([0.1, 1.2], [50, 50]), r"correlations in \[-1, 1\]; found 1.2"),
        (([0.1, 0.2], [50, 50], np.zeros((5, 3))), r"`draws` of shape \(resamples, 2\)"),
        (([0.1, 0.2], [50]), "`n` to hold 2 values"),
    ],
)
def test_bad_input_is_named(arguments, match):
    with pytest.raises(ValueError, match=match):
        stats.random_effects(*arguments)


def test_unknown_method_is_named():
    with pytest.raises(ValueError, match="`method` to be one of 'pm', 'dl'"):
        stats.random_effects(RHO, N, method="reml")
