"""Recalibration against planted truths."""

from __future__ import annotations

import copy
import functools

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import dtp_scvi as dtp
from dtp_scvi.stats import Calibration, ScoreReference, sigmoid


def scored(n=3000, prevalence=0.3, moved=0.0, seed=0):
    """A scored object whose logits are right for a training prevalence of 0.3, by construction."""
    calibration, reference = _of_training()
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < prevalence
    logits = rng.normal(loc=np.where(truth, 1.0, -1.0)) * 2 + np.log(0.3 / 0.7) + moved
    obs = pd.DataFrame(
        {
            "truth": np.where(truth, "bad", "good"),
            "healthy": ~truth & (rng.random(n) < 0.5),
            "sample": np.where(np.arange(n) % 2, "s/1", "s2"),
            "dtp_logit": logits,
            "dtp_score": calibration.transform(logits),
        },
        index=[f"c{i}" for i in range(n)],
    )
    adata = ad.AnnData(np.ones((n, 1), np.float32), obs=obs)
    adata.obs["dtp_call"] = pd.Categorical(["bad"] * n)
    adata.uns["dtp"] = {
        "positive": "bad",
        "threshold": {"value": 0.3, "low": 0.28, "high": 0.33, "rule": "youden"},
        "calibration": calibration.to_dict(),
        "score_reference": reference.to_dict(),
    }
    return adata


@functools.cache
def _of_training():
    """Calibration and reference of the training rows; both are frozen, so all tests may share."""
    trained, truth = _training()
    donors = np.arange(4000) % 10
    return (
        Calibration.fit(trained, truth, groups=donors, n_boot=0),
        ScoreReference.from_scores(trained, truth, donors),
    )


def _training():
    rng = np.random.default_rng(99)
    truth = rng.random(4000) < 0.3
    return rng.normal(loc=np.where(truth, 1.0, -1.0)) * 2 + np.log(0.3 / 0.7), truth


def test_supervised_is_a_logistic_curve_of_the_labelled_rows():
    adata = scored(moved=1.5)
    logits = adata.obs["dtp_logit"].to_numpy()
    adata.obs["known"] = adata.obs["truth"].where(np.arange(adata.n_obs) < 800)
    before = adata.obs["dtp_logit"].copy()
    dtp.tl.recalibrate(adata, labels="known")
    truth = (adata.obs["truth"] == "bad").to_numpy()
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(logits[:800, None], truth[:800])
    expected = oracle.predict_proba(logits[:, None])[:, 1]
    np.testing.assert_allclose(adata.obs["dtp_score"], expected, atol=1e-5)
    pd.testing.assert_series_equal(adata.obs["dtp_logit"], before)
    assert adata.uns["dtp"]["probability_holds"]
    assert adata.uns["dtp"]["recalibration"]["groups"].loc["all", "n_labels"] == 800


@pytest.mark.parametrize("prevalence", [0.05, 0.2, 0.6])
def test_prevalence_is_estimated_under_label_shift(prevalence):
    adata = scored(6000, prevalence)
    dtp.tl.recalibrate(adata, prevalence="estimate")
    found = adata.uns["dtp"]["recalibration"]["groups"].loc["all", "prevalence"]
    assert found == pytest.approx((adata.obs["truth"] == "bad").mean(), abs=0.03)
    assert adata.obs["dtp_score"].mean() == pytest.approx(found, abs=0.01)


def test_known_prevalence_moves_the_odds():
    adata = scored(500)
    old = adata.obs["dtp_score"].to_numpy()
    source = adata.uns["dtp"]["calibration"]["prevalence"]
    dtp.tl.recalibrate(adata, prevalence=0.1)
    odds = old / (1 - old) * (0.1 / 0.9) / (source / (1 - source))
    np.testing.assert_allclose(adata.obs["dtp_score"], odds / (1 + odds), rtol=1e-9)
    # Calls are those of before: the threshold moves with the odds.
    calls = np.where(old < 0.28, "not bad", np.where(old < 0.33, "indeterminate", "bad"))
    assert adata.obs["dtp_call"].astype(str).tolist() == calls.tolist()


def test_the_estimate_is_refused_where_the_classes_score_otherwise():
    adata = scored(moved=3.0)
    before = adata.obs.copy()
    with pytest.raises(ValueError, match="do not score as in training"):
        dtp.tl.recalibrate(adata, prevalence="estimate")
    pd.testing.assert_frame_equal(adata.obs, before)
    assert "recalibration" not in adata.uns["dtp"]


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_negatives_set_the_false_positive_rate_of_new_negatives(rate):
    adata = scored(12_000)
    dtp.tl.recalibrate(adata, negatives="healthy", target_fpr=rate)
    new = (adata.obs["truth"] == "good") & ~adata.obs["healthy"]
    found = (adata.obs.loc[new, "dtp_call"] == "bad").mean()
    assert found == pytest.approx(rate, abs=0.015)
    assert not adata.uns["dtp"]["probability_holds"]


def test_each_group_on_its_own(tmp_path):
    adata = scored(4000)
    dtp.tl.recalibrate(adata, negatives="healthy", target_fpr=0.1, groupby="sample")
    table = adata.uns["dtp"]["recalibration"]["groups"]
    assert table.index.tolist() == ["s/1", "s2"]
    for name, row in table.iterrows():
        here = adata.obs["sample"] == name
        called = adata.obs["dtp_call"] == "bad"
        np.testing.assert_array_equal(
            called[here], adata.obs.loc[here, "dtp_score"] >= row["threshold"]
        )
    adata.write_h5ad(tmp_path / "r.h5ad")
    again = ad.read_h5ad(tmp_path / "r.h5ad").uns["dtp"]["recalibration"]["groups"]
    assert again["threshold"].tolist() == table["threshold"].tolist()


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({}, "one of `labels`, `prevalence`, `negatives`; found none"),
        ({"labels": "truth", "prevalence": 0.3}, "found labels, prevalence"),
        ({"prevalence": 0.0}, "prevalence"),
        ({"prevalence": 1.2}, "prevalence"),
        ({"prevalence": np.float32(1.2)}, "prevalence"),
        ({"prevalence": True}, "prevalence"),
        ({"negatives": "healthy", "target_fpr": 0.0}, "target_fpr"),
        ({"negatives": "truth"}, "a boolean for each"),
        ({"negatives": np.zeros(500, bool)}, "at least 20 negatives"),
        ({"labels": "sample"}, "rows labelled 'bad'"),
    ],
)
def test_bad_arguments_write_nothing(kwargs, match):
    adata = scored(500)
    before = adata.obs.copy()
    with pytest.raises(ValueError, match=match):
        dtp.tl.recalibrate(adata, **kwargs)
    pd.testing.assert_frame_equal(adata.obs, before)
    assert "recalibration" not in adata.uns["dtp"]


def test_few_or_inverse_labels():
    adata = scored(500)
    adata.obs["few"] = adata.obs["truth"].where(np.arange(500) < 10)
    with pytest.raises(ValueError, match="at least 20 labelled rows; found 10"):
        dtp.tl.recalibrate(adata, labels="few")
    adata.obs["turned"] = np.where(adata.obs["truth"] == "bad", "good", "bad")
    with pytest.raises(ValueError, match="no higher in the positive class"):
        dtp.tl.recalibrate(adata, labels="turned")


def coded(adata):
    """Turn the classes into 0 and 1, with gaps: what AnnData stores is 0.0, 1.0 and NaN."""
    truth = (adata.obs["truth"] == "bad").to_numpy()
    adata.obs["known"] = np.where(np.arange(adata.n_obs) % 3 == 0, np.nan, truth)
    adata.uns["dtp"]["positive"] = "1"
    adata.obs["dtp_call"] = pd.Categorical(["1"] * adata.n_obs)
    return adata


@pytest.mark.parametrize("stored", ["float", "category", "Int64", "file"])
def test_zeros_and_ones_with_gaps_are_classes_of_the_model(stored, tmp_path):
    expected = scored(900)
    expected.obs["known"] = expected.obs["truth"].where(np.arange(900) % 3 != 0)
    dtp.tl.recalibrate(expected, labels="known")
    adata = coded(scored(900))
    assert adata.obs["known"].dtype == float
    if stored == "file":
        adata.write_h5ad(tmp_path / "x.h5ad")
        adata = ad.read_h5ad(tmp_path / "x.h5ad")
    elif stored != "float":
        adata.obs["known"] = adata.obs["known"].astype(stored)
    dtp.tl.recalibrate(adata, labels="known")
    assert adata.uns["dtp"]["recalibration"]["groups"].loc["all", "n_labels"] == 600
    np.testing.assert_array_equal(adata.obs["dtp_score"], expected.obs["dtp_score"])
    # The same calls under the names of this model's classes.
    names = {"bad": "1", "not bad": "not 1", "indeterminate": "indeterminate"}
    assert adata.obs["dtp_call"].tolist() == expected.obs["dtp_call"].map(names).tolist()


def test_gaps_alone_are_no_labels():
    adata = coded(scored(200))
    adata.obs["known"] = np.nan
    with pytest.raises(ValueError, match="rows labelled '1'; found none"):
        dtp.tl.recalibrate(adata, labels="known")
    adata.obs["known"] = np.where(np.arange(200) % 2, 0.0, np.nan)
    with pytest.raises(ValueError, match="rows labelled '1'; found 0"):
        dtp.tl.recalibrate(adata, labels="known")


def test_a_fixed_threshold_is_one_on_the_probability():
    cut = {"value": 0.3, "low": 0.28, "high": 0.33}
    fixed, youden = scored(500), scored(500)
    fixed.uns["dtp"]["threshold"] = {**cut, "rule": "fixed"}
    youden.uns["dtp"]["threshold"] = {**cut, "rule": "youden"}
    for adata in (fixed, youden):
        dtp.tl.recalibrate(adata, prevalence=0.05)
    assert fixed.uns["dtp"]["recalibration"]["threshold"] == {**cut, "rule": "fixed"}
    moved = youden.uns["dtp"]["recalibration"]["threshold"]
    assert all(moved[name] < cut[name] for name in cut)
    np.testing.assert_array_equal(fixed.obs["dtp_score"], youden.obs["dtp_score"])
    score = fixed.obs["dtp_score"].to_numpy()
    calls = np.where(score < 0.28, "not bad", np.where(score < 0.33, "indeterminate", "bad"))
    assert fixed.obs["dtp_call"].tolist() == calls.tolist()
    assert (fixed.obs["dtp_call"] == "bad").sum() < (youden.obs["dtp_call"] == "bad").sum()


def refused(adata, match, **kwargs):
    """Check that recalibration fails as said and leaves the object as it was."""
    obs, uns = adata.obs.copy(), copy.deepcopy(dict(adata.uns["dtp"]))
    with pytest.raises(ValueError, match=match):
        dtp.tl.recalibrate(adata, **kwargs)
    pd.testing.assert_frame_equal(adata.obs, obs)
    assert list(adata.uns["dtp"]) == list(uns)
    for name, value in uns.items():
        np.testing.assert_equal(adata.uns["dtp"][name], value)


@pytest.mark.parametrize("verdict", ["rank_only", "calls"])
@pytest.mark.parametrize("stored", [False, True])
def test_the_estimate_is_refused_where_another_kind_of_sample_was_found(verdict, stored, tmp_path):
    adata = scored(3000)
    # An override changes the verdict; what was found stays.
    adata.uns["dtp"]["transfer"] = {
        "verdict": verdict,
        "found": "rank_only",
        "reasons": np.array(["The rows are bulk samples.", "Few genes."], dtype=object),
        "evidence": {"spread": 0.01},
    }
    if stored:
        adata.write_h5ad(tmp_path / "x.h5ad")
        adata = ad.read_h5ad(tmp_path / "x.h5ad")
    match = r"found the verdict rank_only \(The rows are bulk samples.\).*pass `labels`"
    refused(adata, match, prevalence="estimate")
    # What the user knows is taken.
    dtp.tl.recalibrate(adata, prevalence=0.3)
    assert adata.uns["dtp"]["recalibration"]["method"] == "prevalence"
    assert adata.uns["dtp"]["transfer"]["found"] == "rank_only"


def test_other_verdicts_leave_the_estimate_to_its_own_test():
    adata = scored(3000)
    adata.uns["dtp"]["transfer"] = {"verdict": "rank_only", "found": "recalibrate", "reasons": []}
    dtp.tl.recalibrate(adata, prevalence="estimate")
    assert adata.uns["dtp"]["recalibration"]["groups"].loc["all", "label_shift_p"] > 0.01


def test_a_prevalence_by_another_name():
    refused(scored(200), "`prevalence` to be one of 'estimate'; found 'guess'", prevalence="guess")


def test_it_is_never_silent():
    adata = scored(1000)
    with pytest.warns(UserWarning, match="Recalibrated by negatives") as found:
        dtp.tl.recalibrate(adata, negatives="healthy")
    value = adata.uns["dtp"]["recalibration"]["threshold"]["value"]
    said = f"Recalibrated by negatives (1,000 rows in 1 groups): threshold {value:.3f}."
    assert [str(warning.message) for warning in found] == [said]


@pytest.mark.parametrize(
    "kwargs", [{"labels": "truth"}, {"prevalence": 0.2}, {"negatives": "healthy"}]
)
def test_one_warning_for_all_groups(kwargs):
    adata = scored(1000)
    with pytest.warns(UserWarning, match="Recalibrated by") as found:
        dtp.tl.recalibrate(adata, **kwargs, groupby="sample")
    cuts = adata.uns["dtp"]["recalibration"]["groups"]["threshold"]
    said = f"Recalibrated by {next(iter(kwargs))} (1,000 rows in 2 groups): threshold "
    assert [str(warning.message) for warning in found] == [
        f"{said}{cuts.min():.3f} to {cuts.max():.3f}."
    ]


def test_a_group_that_fails_leaves_all_as_they_were():
    adata = scored(1000)
    adata.obs["healthy"] &= adata.obs["sample"] == "s2"
    refused(adata, "at least 20 negatives.*found 0", negatives="healthy", groupby="sample")


def test_not_scored():
    adata = ad.AnnData(np.ones((3, 2), np.float32))
    with pytest.raises(KeyError, match=r"Run dtp\.tl\.score first"):
        dtp.tl.recalibrate(adata, prevalence=0.2)


@pytest.mark.parametrize("left", ["the column", "the record"])
def test_half_of_a_score_is_said_to_be_half(left):
    adata = scored(100)
    if left == "the column":
        del adata.uns["dtp"]
        found = r"found only dtp_logit\. Run dtp\.tl\.score"
    else:
        del adata.obs["dtp_logit"]
        found = r"found only adata\.uns\['dtp'\]\. Run dtp\.tl\.score"
    with pytest.raises(KeyError, match=found):
        dtp.tl.recalibrate(adata, prevalence=0.2)


@pytest.mark.parametrize("name", ["planted", ""])
def test_the_score_of_a_response_model_has_nothing_to_recalibrate(name):
    rng = np.random.default_rng(0)
    genes = pd.DataFrame(index=[f"GENE{i}" for i in range(30)])
    obs = pd.DataFrame({"auc": rng.normal(size=40)}, index=[f"s{i}" for i in range(40)])
    adata = ad.AnnData(rng.poisson(20, (40, 30)).astype(np.float32), obs=obs, var=genes)
    dtp.tl.score(adata, dtp.model.ResponseModel(name).fit(adata, "auc"), transfer="skip")
    before = adata.obs.copy()
    message = (
        r"a classifier's score under 'dtp'.*found the score of the ResponseModel"
        f"{' planted' * bool(name)}, which predicts values and has neither. Score with a DTP"
    )
    with pytest.raises(ValueError, match=message):
        dtp.tl.recalibrate(adata, prevalence=0.2)
    pd.testing.assert_frame_equal(adata.obs, before)


def test_logits_are_what_the_construction_says():
    logits, truth = _training()
    assert sigmoid(logits).mean() == pytest.approx(truth.mean(), abs=0.05)
