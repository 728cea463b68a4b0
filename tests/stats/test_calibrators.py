from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import calibration
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from dtp_scvi import stats

KINDS = tuple(stats.CALIBRATORS)


class Given(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose decision is its only column."""

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.array([False, True])
        return self

    def decision_function(self, X):
        return X[:, 0]

    def predict(self, X):
        return X[:, 0] > 0


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    logits = 1.5 * rng.normal(size=2400)
    labels = rng.random(2400) < stats.sigmoid(0.6 * logits + 0.1 * logits**2 - 0.8)
    return logits, labels, np.arange(2400) % 8


def fit(kind, cells, **options):
    logits, labels, donors = cells
    options = {"source": "out_of_fold", "groups": donors} | options
    return stats.fit_calibrator(kind, logits, labels, **options)


def sklearns(method, cells, weights=None):
    logits, labels, _ = cells
    # Without ensemble, one calibrator is fitted on the held-out decisions of all rows.
    model = calibration.CalibratedClassifierCV(Given(), method=method, cv=2, ensemble=False)
    model.fit(logits[:, None], labels, sample_weight=weights)
    return model.predict_proba(logits[:, None])[:, 1]


@pytest.mark.parametrize("method", ["isotonic", "temperature"])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_scikit_learn(cells, method, weighted):
    weights = 1.0 + np.arange(2400) % 3 if weighted else None
    found = fit(method, cells, weights=weights).transform(cells[0])
    assert found == pytest.approx(sklearns(method, cells, weights), abs=1e-6)


def test_smoothed_platt_equals_scikit_learn(cells):
    logits, labels, _ = cells
    found = stats.PlattCalibrator(smoothing=True).fit(logits, labels)
    assert found.parameters["smoothed"] == 1
    assert found.transform(logits) == pytest.approx(sklearns("sigmoid", cells), abs=1e-6)


def test_platt_is_unpenalised_logistic_regression(cells):
    logits, labels, _ = cells
    found = fit("platt", cells).parameters
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logits[:, None], labels)
    assert found["slope"] == pytest.approx(model.coef_[0, 0], abs=1e-6)
    assert found["intercept"] == pytest.approx(model.intercept_[0], abs=1e-6)
    assert found["smoothed"] == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_beta_is_logistic_regression_on_two_logs(cells, weighted):
    logits, labels, _ = cells
    weights = 1.0 + np.arange(2400) % 3 if weighted else None
    p = stats.sigmoid(logits)
    columns = np.column_stack([np.log(p), -np.log(1 - p)])
    model = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cholesky")
    model.fit(columns, labels, sample_weight=weights)
    found = fit("beta", cells, weights=weights)
    expected = [*model.coef_[0], model.intercept_[0]]
    assert list(found.parameters.values())[:3] == pytest.approx(expected, abs=1e-6)
    assert min(expected[:2]) > 0


def test_beta_stays_in_its_quadrant():
    """Where the free optimum has b < 0, the constrained one is found by a slow search."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(2)
    logits = 3 * rng.normal(size=1500)
    labels = rng.random(1500) < 0.6 * stats.sigmoid(3 + 2 * np.minimum(logits, 0))
    found = stats.BetaCalibrator().fit(logits, labels).parameters
    columns = np.column_stack([-np.logaddexp(0, -logits), np.logaddexp(0, logits)])

    def loss(x):
        eta = columns @ x[:2] + x[2]
        return np.mean(np.logaddexp(0, eta) - labels * eta)

    bounds = [(0, None), (0, None), (None, None)]
    slow = minimize(loss, [1, 1, 0], bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-10})
    assert found["b"] == 0
    assert loss([found["a"], found["b"], found["c"]]) == pytest.approx(slow.fun, abs=1e-9)
    free = minimize(loss, [1, 1, 0])
    assert free.x[1] < 0


def test_beta_equals_betacal(cells):
    betacal = pytest.importorskip("betacal")
    logits, labels, _ = cells
    p = stats.sigmoid(logits)
    # It stops scikit-learn's lbfgs at its default gradient of 1e-4.
    expected = betacal.BetaCalibration("abm").fit(p, labels).predict(p)
    assert fit("beta", cells).transform(logits) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_dictionary_survives_json(cells, kind):
    fitted = fit(kind, cells)
    entries = json.loads(json.dumps(fitted.to_dict()))
    again = stats.Calibrator.from_dict(entries)
    assert type(again) is stats.CALIBRATORS[kind]
    assert again.to_dict() == fitted.to_dict()
    assert (again.n_labels, again.n_groups) == (2400, 8)
    assert np.array_equal(again.transform(cells[0]), fitted.transform(cells[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_row_order_ties_and_scale_of_weights_do_not_matter(cells, kind):
    logits, labels, donors = np.round(cells[0], 1), cells[1], cells[2]
    weights = 1.0 + np.arange(2400) % 3
    order = np.random.default_rng(1).permutation(2400)
    grid = np.linspace(-5, 5, 50)
    first = fit(kind, (logits, labels, donors), weights=weights).transform(grid)
    shuffled = (logits[order], labels[order], donors[order])
    second = fit(kind, shuffled, weights=7.3 * weights[order]).transform(grid)
    assert first == pytest.approx(second, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_equal_repeated_rows(cells, kind):
    repeats = np.arange(2400) % 3
    rows = np.repeat(np.arange(2400), repeats)
    again = fit(kind, tuple(part[rows] for part in cells)).transform(cells[0])
    assert fit(kind, cells, weights=repeats).transform(cells[0]) == pytest.approx(again, abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["platt", "temperature", "beta"]))
def test_order_of_rows_is_kept_or_the_fit_refused(seed, kind):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=30) * rng.choice([0.1, 1, 8])
    labels = rng.random(30) < stats.sigmoid(logits * rng.normal())
    labels[:2] = [False, True]
    try:
        fitted = stats.fit_calibrator(kind, logits, labels, source="held_out")
    except ValueError as error:
        assert "inversely related" in str(error)  # noqa: PT017
    else:
        assert (np.diff(fitted.transform(np.sort(logits))) >= 0).all()


@pytest.mark.parametrize("kind", ["platt", "temperature", "beta"])
def test_parted_classes_get_a_finite_curve_that_says_so(kind):
    logits, labels = np.array([-3.0, -2, -1, 1, 2, 3]), np.array([0, 0, 0, 1, 1, 1])
    fitted = stats.fit_calibrator(kind, logits, labels, source="held_out")
    assert fitted.parameters["smoothed"] == 1
    p = fitted.transform(logits)
    assert 0.02 < p.min() < p.max() < 0.98


def test_temperature_may_be_finite_where_platt_would_not_be():
    # Parted at -1.5, which temperature can't move to.
    found = stats.TemperatureCalibrator().fit([-3.0, -2, -1, 1, 2], [0, 0, 1, 1, 1])
    assert found.parameters["temperature"] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_training_scores_are_refused(cells, kind):
    with pytest.raises(ValueError, match="'training': a model is too sure"):
        fit(kind, cells, source="training")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": np.ones(2400, dtype=bool)}, "both classes; found only True"),
        ({"labels": np.ones(7, dtype=bool) & (np.arange(7) > 2)}, "`logits` to hold 7 values"),
        ({"logits": np.full(2400, 2.0)}, "`logits` to differ between rows; found 2 in all 2,400"),
        ({"logits": np.full(2400, np.nan)}, "`logits` to be finite"),
        ({"weights": np.r_[-1.0, np.ones(2399)]}, "`sample_weight` >= 0"),
        ({"groups": ["a"]}, "`groups` to hold 2,400 values"),
        ({"source": "somewhere"}, "`source` to be one of"),
    ],
)
def test_bad_input_is_an_error(cells, kind, change, match):
    good = {"logits": cells[0], "labels": cells[1], "groups": cells[2], "source": "held_out"}
    with pytest.raises(ValueError, match=match):
        stats.fit_calibrator(kind, **(good | change))


@pytest.mark.parametrize("kind", KINDS)
def test_inverse_scores_are_refused(cells, kind):
    logits, _, donors = cells
    with pytest.raises(ValueError, match="inversely related to the labels"):
        fit(kind, (-np.abs(logits), stats.sigmoid(np.abs(logits)) > 0.6, donors))


@pytest.mark.parametrize(
    ("rows", "donors", "found"), [(999, 6, "999 labels of 6"), (1200, 4, "1,200 labels of 4")]
)
def test_isotonic_needs_many_labels_and_donors(cells, rows, donors, found):
    few = (cells[0][:rows], cells[1][:rows], np.arange(rows) % donors)
    with pytest.raises(ValueError, match=f"1,000 labels of 5 donors for isotonic; found {found}"):
        fit("isotonic", few)


def test_unknown_kind_and_unfitted_calibrator(cells):
    with pytest.raises(ValueError, match="`kind` to be one of 'platt'"):
        fit("magic", cells)
    with pytest.raises(RuntimeError, match="a fitted calibrator"):
        stats.PlattCalibrator().transform([1.0])
    with pytest.raises(RuntimeError, match="a fitted calibrator"):
        stats.PlattCalibrator().to_dict()


GOOD = {
    "kind": "platt",
    "parameters": {"slope": 1.0, "intercept": 0.0, "smoothed": 0.0},
    "n_labels": 9,
    "n_groups": 3,
}


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"kind": "os.system"}, ValueError, "`kind` to be one of"),
        ({"parameters": {"slope": 1.0}}, KeyError, "no intercept, smoothed"),
        ({"parameters": GOOD["parameters"] | {"slope": -1.0}}, ValueError, "a rising curve"),
        ({"parameters": GOOD["parameters"] | {"slope": "2"}}, ValueError, "finite number"),
        (
            {"parameters": GOOD["parameters"] | {"slope": float("nan")}},
            ValueError,
            "finite number",
        ),
        ({"kind": "isotonic", "parameters": {"x": [0, 1], "y": [1, 0]}}, ValueError, "rising"),
        ({"kind": "isotonic", "parameters": {"x": [0, 1], "y": [0]}}, ValueError, "rising"),
        (
            {"kind": "beta", "parameters": {"a": 0, "b": 0, "c": 0, "smoothed": 0}},
            ValueError,
            "ris",
        ),
        (
            {"kind": "temperature", "parameters": {"temperature": 0, "smoothed": 0}},
            ValueError,
            "r",
        ),
    ],
)
def test_damaged_dictionaries_are_refused(change, error, match):
    with pytest.raises(error, match=match):
        stats.Calibrator.from_dict(GOOD | change)


def test_missing_entries_are_named():
    with pytest.raises(KeyError, match="no n_labels, n_groups"):
        stats.Calibrator.from_dict({"kind": "platt", "parameters": {}})
