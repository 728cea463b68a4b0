from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from dtp_scvi.stats import Calibration, sigmoid


def data(n=1200, seed=0, slope=0.5, shift=-1.0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=n)
    return logits, rng.random(n) < sigmoid(slope * logits + shift), np.arange(n) % 8


LOGITS, LABELS, DONORS = data()


def test_platt_is_unpenalised_logistic_regression():
    found = Calibration.fit(LOGITS, LABELS, groups=DONORS, n_boot=0)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(LOGITS[:, None], LABELS)
    expected = oracle.predict_proba(LOGITS[:, None])[:, 1]
    np.testing.assert_allclose(found.transform(LOGITS), expected, atol=1e-6)


def test_an_overconfident_score_is_mended_on_donors_that_the_curve_has_not_seen():
    found = Calibration.fit(LOGITS, LABELS, groups=DONORS, n_boot=100)
    assert found.calibrated["ece"]["value"] < 0.5 * found.raw["ece"]["value"]
    assert found.calibrated["brier"]["value"] < found.raw["brier"]["value"]
    assert (found.n_labels, found.n_groups, found.unit) == (1200, 8, "donor")
    assert found.prevalence == LABELS.mean()


def test_rows_are_left_out_where_no_donor_is_named():
    assert Calibration.fit(LOGITS, LABELS, n_boot=0).unit == "cell"
    assert Calibration.fit(LOGITS, LABELS, groups=np.zeros(1200), n_boot=0).unit == "cell"


def test_row_order_changes_no_number():
    order = np.random.default_rng(1).permutation(len(LOGITS))
    first = Calibration.fit(LOGITS, LABELS, n_boot=50)
    second = Calibration.fit(LOGITS[order], LABELS[order], n_boot=50)
    for name in ("ece", "brier"):
        expected = pytest.approx(first.calibrated[name]["value"], abs=1e-9)
        assert second.calibrated[name]["value"] == expected


@pytest.mark.parametrize(
    ("logits", "reason"),
    [(np.zeros(1200), "all equal"), (-LOGITS, "no higher in the positive class")],
)
def test_no_signal_gives_no_curve_and_says_why(logits, reason):
    found = Calibration.fit(logits, LABELS, groups=DONORS)
    assert found.calibrator is None
    assert reason in found.reason
    np.testing.assert_array_equal(found.transform([0.0, 2.0]), sigmoid([0.0, 2.0]))
    again = Calibration.from_dict(json.loads(json.dumps(found.to_dict())))
    assert (again.calibrator, again.reason) == (None, found.reason)


def test_json_round_trip():
    found = Calibration.fit(LOGITS, LABELS, groups=DONORS, n_boot=20)
    again = Calibration.from_dict(json.loads(json.dumps(found.to_dict())))
    np.testing.assert_array_equal(again.transform(LOGITS), found.transform(LOGITS))
    assert again.to_dict() == found.to_dict()


def test_training_scores_are_refused():
    with pytest.raises(ValueError, match="a model is too sure of rows it was trained on"):
        Calibration.fit(LOGITS, LABELS, source="training")


def test_bad_input():
    with pytest.raises(ValueError, match="class"):
        Calibration.fit(LOGITS, np.ones(1200, bool))
    with pytest.raises(ValueError, match=r"1,?199"):
        Calibration.fit(LOGITS[:-1], LABELS)
    with pytest.raises(ValueError, match="1,000 labels of 5 donors"):
        Calibration.fit(LOGITS[:300], LABELS[:300], kind="isotonic", groups=DONORS[:300])
    with pytest.raises(ValueError, match="no source"):
        Calibration.from_dict({"unit": "donor", "n_labels": 3, "prevalence": 0.5})
