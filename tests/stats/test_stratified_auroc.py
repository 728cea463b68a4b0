from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dtp_scvi import stats


def enumerated(labels, scores, strata, weights=None):
    """Every pair of a positive and a negative row of one stratum, one by one."""
    weights = np.ones(len(labels)) if weights is None else weights
    right = total = 0.0
    for i in np.flatnonzero(labels):
        for j in np.flatnonzero(~labels):
            if strata[i] == strata[j]:
                pair = weights[i] * weights[j]
                total += pair
                right += pair * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
    return right / total if total else np.nan


@given(st.integers(0, 10_000), st.integers(1, 4), st.booleans())
def test_it_is_the_share_of_pairs_of_one_stratum(seed, n_strata, weighted):
    rng = np.random.default_rng(seed)
    labels = np.r_[True, False, rng.random(28) < 0.4]
    # Few values, so that there are ties.
    scores = rng.integers(0, 6, 30)
    strata = rng.integers(0, n_strata, 30).astype(str)
    weights = rng.integers(0, 4, 30).astype(float) if weighted else None
    found = stats.stratified_auroc(labels, scores, strata, weights=weights)
    expected = enumerated(labels, scores, strata, weights)
    assert found == pytest.approx(expected, nan_ok=True)
    if n_strata == 1 and not weighted:
        assert found == pytest.approx(roc_auc_score(labels, scores))


def study_effect(n=300, seed=0):
    rng = np.random.default_rng(seed)
    study = rng.choice(["a", "b", "c"], n)
    share = np.select([study == "a", study == "b"], [0.6, 0.4], 0.15)
    return rng.random(n) < share, study, share, rng


def test_a_score_that_knows_the_study_alone_knows_nothing_within_it():
    labels, study, share, rng = study_effect()
    noisy = share + rng.normal(0, 0.05, len(share))
    assert stats.auroc(labels, share) > 0.62
    assert stats.stratified_auroc(labels, share, study) == 0.5
    table = stats.stratified_auroc_table(labels, {"noisy": noisy}, study)
    whole = table.set_index("stratum").loc["(all)"]
    assert stats.auroc(labels, noisy) > 0.62
    assert whole["low"] < 0.5 < whole["high"]
    assert whole["value"] == pytest.approx(enumerated(labels, noisy, study))


def test_the_table_has_each_stratum_and_the_resamples_of_the_other_metrics():
    labels, study, _, rng = study_effect(120)
    labels[study == "c"] = False
    donors = rng.integers(0, 20, 120)
    score = rng.normal(size=120) + labels
    table = stats.stratified_auroc_table(
        labels, {"m": score, "n": -score}, study, donors, n_boot=50, seed=3
    ).set_index(["model", "stratum"])
    one = table.loc["m", "a"]
    here = study == "a"
    assert one["value"] == pytest.approx(roc_auc_score(labels[here], score[here]))
    assert table.loc[("n", "a"), "value"] == pytest.approx(1 - one["value"])
    assert table.loc[("m", "c"), ["value", "low"]].isna().all()
    assert table.loc[("m", "c"), "n_pairs"] == 0
    parts = table.loc["m"].loc[["a", "b", "c"]]
    assert table.loc[("m", "(all)"), "n_pairs"] == parts["n_pairs"].sum()
    assert table.loc[("m", "(all)"), "n_positive"] == labels.sum()
    draws = [
        stats.stratified_auroc(labels, score, study, weights=weight)
        for weight in stats.cluster_bootstrap_weights(donors, 50, seed=3)
    ]
    low, high = stats.interval(draws, n_clusters=20)
    assert table.loc[("m", "(all)"), ["low", "high"]].tolist() == pytest.approx([low, high])


def test_without_a_pair_there_is_no_number():
    assert np.isnan(stats.stratified_auroc([0, 1], [1.0, 2.0], ["a", "b"]))


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"strata": ["a", "a"]}, "`groups` to hold 4 values"),
        ({"strata": ["a", None, "a", "a"]}, "without missing values"),
        ({"labels": [1, 1, 1, 1]}, "both classes"),
    ],
)
def test_bad_input_is_an_error(kwargs, words):
    given = {"labels": [0, 1, 0, 1], "scores": [1, 2, 3, 4], "strata": list("aabb"), **kwargs}
    with pytest.raises(ValueError, match=words):
        stats.stratified_auroc(**given)


def test_a_table_of_no_score_is_an_error():
    with pytest.raises(ValueError, match="at least one model"):
        stats.stratified_auroc_table([0, 1], {}, ["a", "a"])
