from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import auc, average_precision_score, confusion_matrix, roc_auc_score

from dtp_scvi import stats


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    labels = rng.random(3000) < 0.3
    return (
        labels,
        stats.sigmoid(rng.normal(size=3000) + 1.5 * labels - 1),
        rng.integers(0, 9, 3000),
    )


def test_roc_area_is_the_auroc_and_points_are_few(cells):
    labels, p, _ = cells
    table = stats.roc_table(labels, {"fine": p, "tied": np.round(p, 1)})
    for name, scores in (("fine", p), ("tied", np.round(p, 1))):
        curve = table[table["model"] == name]
        assert len(curve) <= 400
        assert curve[["fpr", "tpr"]].iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
        assert auc(curve["fpr"], curve["tpr"]) == pytest.approx(
            roc_auc_score(labels, scores), abs=2e-3
        )


def test_pr_steps_hold_the_average_precision(cells):
    labels, p, _ = cells
    for n, tolerance in ((150, 1e-12), (3000, 5e-3)):
        curve = stats.pr_table(labels[:n], {"m": p[:n]})
        assert len(curve) <= 400
        assert curve["recall"].is_monotonic_increasing
        assert curve["recall"].iloc[[0, -1]].tolist() == [0, 1]
        area = float(np.diff(curve["recall"]) @ curve["precision"].iloc[1:])
        assert area == pytest.approx(average_precision_score(labels[:n], p[:n]), abs=tolerance)


def test_tables_take_a_data_frame(cells):
    labels, p, _ = cells
    frame = pd.DataFrame({"a": p, "b": 1 - p})
    assert stats.roc_table(labels, frame)["model"].unique().tolist() == ["a", "b"]


def test_reliability_equals_scikit_learn(cells):
    labels, p, groups = cells
    table = stats.reliability_table(labels, p, groups, n_bins=7)
    observed, predicted = calibration_curve(labels, p, n_bins=7)
    np.testing.assert_allclose(table["observed"], observed)
    np.testing.assert_allclose(table["mean_predicted"], predicted)
    assert table["n"].sum() == len(labels)
    assert (table["low"] <= table["observed"]).all()
    assert (table["observed"] <= table["high"]).all()


def test_reliability_of_several_models_names_them(cells):
    labels, p, groups = cells
    table = stats.reliability_table(labels, {"a": p, "b": p}, groups)
    assert next(iter(table)) == "model"
    a, b = (table[table["model"] == name].drop(columns="model") for name in "ab")
    assert np.array_equal(a.to_numpy(), b.to_numpy())  # the same resamples


def test_reliability_band_is_open_where_one_donor_fills_a_bin():
    labels = np.array([0, 1, 0, 1, 1, 1])
    p = np.array([0.1, 0.1, 0.1, 0.9, 0.9, 0.9])
    table = stats.reliability_table(labels, p, list("aaabcb"), n_bins=2)
    assert table["low"].isna().tolist() == [True, False]


def test_reliability_counts_1_in_the_last_bin_and_drops_empty_ones():
    table = stats.reliability_table([0, 1, 1], [0.0, 1.0, 1.0], n_bins=4)
    assert table["bin_low"].tolist() == [0.0, 0.75]
    assert table["n"].tolist() == [1, 2]


def test_sweep_equals_the_confusion_matrix(cells):
    labels, p, _ = cells
    p = np.round(p, 2)
    table = stats.threshold_sweep(labels, p, n=21)
    for _, row in table.iloc[[0, 7, 14]].iterrows():
        tn, fp, fn, tp = confusion_matrix(labels, p >= row["threshold"]).ravel()
        assert row["recall"] == pytest.approx(tp / (tp + fn))
        assert row["specificity"] == pytest.approx(tn / (tn + fp))
        assert row["precision"] == pytest.approx(tp / (tp + fp))
        assert row["called_positive"] == pytest.approx((tp + fp) / len(labels))
        assert row["youden"] == pytest.approx(row["recall"] + row["specificity"] - 1)
        expected = stats.classification_metrics(
            labels, p, probabilities=p, threshold=row["threshold"]
        )
        assert row["f1"] == pytest.approx(expected["f1"])
        assert row["mcc"] == pytest.approx(expected["mcc"])


def test_sweep_has_no_precision_where_nothing_is_called():
    table = stats.threshold_sweep([0, 1], [0.2, 0.3], n=3)
    assert table["precision"].isna().tolist() == [False, True, True]
    assert table["f1"].tolist()[1:] == [0, 0]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: stats.roc_table([1, 1], {"m": [0.1, 0.2]}), "both classes"),
        (lambda: stats.pr_table([0, 1], {"m": [0.1]}), "`scores` to hold 2 values"),
        (lambda: stats.reliability_table([0, 1], [0.1, 1.2]), r"`probabilities` in \[0, 1\]"),
        (lambda: stats.reliability_table([0, 1], [0.1, 0.2], n_bins=0), "`n_bins`"),
        (lambda: stats.threshold_sweep([0, 1], [0.1, 0.2], n=0), "`n` to be a whole number"),
    ],
)
def test_bad_input_is_an_error(call, match):
    with pytest.raises(ValueError, match=match):
        call()
