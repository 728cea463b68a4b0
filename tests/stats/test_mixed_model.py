"""Mixed model: against statsmodels, which inverts matrices that this one never builds."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

from dtp_scvi import stats
from dtp_scvi.stats import _mixed_model as own


def pairs(
    seed: int = 0, n: int = 50, n_drugs: int = 6, slope_sd: float = 0.4, missing: float = 0.3
):
    rng = np.random.default_rng(seed)
    score, patient, age = rng.normal(size=(3, n))
    slopes, levels = 0.4 + slope_sd * rng.normal(size=n_drugs), 2 * rng.normal(size=n_drugs)
    values = np.outer(score, slopes) + levels + 0.7 * patient[:, None] + 0.3 * age[:, None]
    values += rng.normal(size=values.shape)
    who, what = np.nonzero(rng.random(values.shape) > missing)
    return values[who, what], score[who], who, what, age[who]


def reference(y, score, who, what, age, *, slope):
    """The same model by statsmodels: one group, dummies as variance components."""
    scaled = y / np.array([y[what == w].std(ddof=1) for w in what])

    def standard(column):
        _, first = np.unique(who, return_index=True)
        return (column - column[first].mean()) / column[first].std(ddof=1)

    x = np.column_stack([np.ones(len(y)), standard(score), standard(age)])
    dummies = [(codes[:, None] == np.unique(codes)).astype(float) for codes in (who, what)]
    if slope:
        dummies.append(dummies[1] * x[:, [1]])
    names = ["patient", "drug", "slope"][: len(dummies)]
    columns = [[[str(i) for i in range(part.shape[1])]] for part in dummies]
    components = VCSpec(names, columns, [[part] for part in dummies])
    model = MixedLM(scaled - scaled.mean(), x, np.ones(len(y)), exog_vc=components)
    return model.fit(reml=True)


@pytest.mark.parametrize("slope", [True, False])
def test_it_is_the_model_of_statsmodels(slope):
    data = pairs()
    found = stats.mixed_model(*data, random_slope=slope)
    expected = reference(*data, slope=slope)
    assert found.converged
    assert found.random_slope is slope
    assert found.effect == pytest.approx(expected.fe_params[1], abs=2e-4)
    assert found.se == pytest.approx(expected.bse_fe[1], rel=5e-3)
    assert found.deviance == pytest.approx(-2 * expected.llf, abs=1e-3)
    spread = [found.sd_patient, found.sd_drug, *([found.sd_slope] if slope else [])]
    assert spread == pytest.approx(np.sqrt(expected.vcomp), rel=5e-3)
    assert found.sd_residual == pytest.approx(np.sqrt(expected.scale), rel=1e-3)


def test_restricted_likelihood_by_its_definition():
    y, score, who, what, _ = pairs(n=15, n_drugs=3)
    x = np.column_stack([np.ones(len(y)), score])
    z = [(codes[:, None] == np.unique(codes)).astype(float) for codes in (who, what)]
    deviance = own.RestrictedDeviance(y, x, [own.sparse.csr_array(part) for part in z])
    value, fixed, covariance, variance = deviance.fit(np.array([0.8, 1.7]))
    v = variance * (np.eye(len(y)) + 0.8**2 * z[0] @ z[0].T + 1.7**2 * z[1] @ z[1].T)
    inverse = np.linalg.inv(v)
    expected = np.linalg.solve(x.T @ inverse @ x, x.T @ inverse @ y)
    rest = y - x @ expected
    logs = np.linalg.slogdet(v)[1] + np.linalg.slogdet(x.T @ inverse @ x)[1]
    # At this theta the residual variance is the one with the least deviance.
    by_definition = logs + rest @ inverse @ rest + (len(y) - 2) * np.log(2 * np.pi)
    assert fixed == pytest.approx(expected)
    assert covariance == pytest.approx(np.linalg.inv(x.T @ inverse @ x))
    assert value == pytest.approx(by_definition)


def test_patients_that_share_nothing_have_no_variance():
    rng = np.random.default_rng(1)
    who, what = (part.ravel() for part in np.indices((80, 4)))
    y = rng.normal(size=320)
    y -= np.bincount(who, y)[who] / 4
    found = stats.mixed_model(y, rng.normal(size=80)[who], who, what)
    assert found.sd_patient == 0.0
    assert found.converged


def test_units_do_not_matter_and_direction_turns_the_sign():
    y, score, who, what, age = pairs()
    before = stats.mixed_model(y, score, who, what, age, random_slope=False)
    units = np.array([1, 10, 100, 5, 0.1, 3])[what]
    after = stats.mixed_model(100 - y * units, 7 * score + 2, who, what, age, random_slope=False)
    # Levels of drugs change with their units, and only the random intercepts of drugs see that.
    assert after.effect == pytest.approx(-before.effect, rel=0.02)
    assert (after.low, after.high) == pytest.approx((-before.high, -before.low), rel=0.05)


def test_a_repeated_covariate_changes_nothing():
    y, score, who, what, age = pairs()
    once = stats.mixed_model(y, score, who, what, age)
    columns = np.column_stack([age, 3 * age, np.ones(len(y))])
    assert stats.mixed_model(y, score, who, what, columns).effect == pytest.approx(once.effect)


def test_few_drugs_have_no_slope_of_their_own_and_it_says_so():
    found = stats.mixed_model(*pairs(n_drugs=3))
    assert not found.random_slope
    assert found.message == "no slope per drug: 3 drugs, fewer than 4"
    assert found.sd_slope == 0.0


def test_what_does_not_converge_is_said(monkeypatch):
    real = own._minimum

    def stuck(deviance, n_blocks):
        theta, message = real(deviance, n_blocks)
        return theta, message if n_blocks == 2 else "not converged: stuck"

    monkeypatch.setattr(own, "_minimum", stuck)
    found = stats.mixed_model(*pairs())
    assert not found.random_slope
    assert found.converged
    assert found.message == "no slope per drug: not converged: stuck"
    monkeypatch.setattr(own, "_minimum", lambda d, n: (np.full(n, 0.5), "not converged: stuck"))
    assert not stats.mixed_model(*pairs()).converged


def test_a_search_that_is_cut_short_has_not_converged(monkeypatch):
    real = own.minimize

    def short(*arguments, options, **others):
        return real(*arguments, options={**options, "maxiter": 1}, **others)

    monkeypatch.setattr(own, "minimize", short)
    found = stats.mixed_model(*pairs(), random_slope=False)
    assert not found.converged
    assert "not converged" in found.message


def bad(**changes):
    y, score, who, what, age = pairs()
    given = {"response": y, "score": score, "patients": who, "drugs": what, "covariates": age}
    return given | {name: change(given) for name, change in changes.items()}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"drugs": lambda g: np.zeros(len(g["drugs"]))}, "at least 2 drugs and 10 patients"),
        ({"patients": lambda g: np.arange(len(g["drugs"]))}, "patients with several drugs"),
        ({"score": lambda g: np.ones(len(g["score"]))}, "a score that varies; found one value"),
        ({"covariates": lambda g: g["score"]}, "a score that covariates do not determine"),
        ({"response": lambda g: g["response"][1:]}, "`score` to hold"),
        ({"response": lambda g: np.where(g["drugs"] == 1, 3.0, g["response"])}, "response varies"),
        ({"covariates": lambda g: g["score"] * np.nan}, "`covariates` to be finite"),
    ],
)
def test_bad_input_is_named(changes, match):
    with pytest.raises(ValueError, match=match):
        stats.mixed_model(**bad(**changes))
