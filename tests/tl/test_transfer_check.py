"""What a query's verdict rests on, and what a verdict does to the calls."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

import dtp_scvi as dtp
from dtp_scvi.data import draw_rows
from dtp_scvi.datasets import simulate_cells, simulate_cohort
from dtp_scvi.model import DTPTransformer, load_model
from dtp_scvi.tl._predict import predict
from dtp_scvi.tl._transfer_rules import LIMITS, VERDICTS, judge, measured

CLEAN = {
    "weighted_coverage": 1.0,
    "far_share": 0.02,
    "spread": 0.9,
    "domain_auroc": 0.6,
    "donor_auroc": 0.7,
    "share_high": 0.1,
    "share_low": 0.1,
    "training_high": 0.1,
    "training_low": 0.1,
    "shift": 0.05,
    "label_shift": True,
}


@pytest.fixture(scope="module")
def cells():
    adata = simulate_cells(1500, 800, n_donors=8, seed=0)
    DTPTransformer.setup_anndata(
        adata, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    return adata


@pytest.fixture(scope="module")
def teacher(cells):
    model = DTPTransformer(cells, n_programs=16, d_model=16)
    model.train(max_epochs=3, verbose=False)
    return model


@pytest.fixture(scope="module")
def student(teacher):
    return teacher.distill(n_genes=300, max_epochs=2, mixtures=1, verbose=False)


@pytest.fixture(params=["teacher", "student"])
def model(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def query():
    return simulate_cells(400, 800, n_donors=8, seed=5)


@pytest.fixture(scope="module")
def stranger():
    """Cells of another disease: other genes are high and vary together."""
    return simulate_cells(300, 800, n_donors=4, seed=5, biology_seed=77)


def check(adata, model, **kwargs):
    return dtp.tl.transfer_check(adata, model, layer="counts", **kwargs)


def test_nothing_speaks_against_the_training_rows(cells, model):
    found = check(cells, model)
    assert found["verdict"] == "calls"
    assert found["evidence"]["domain_auroc"] == pytest.approx(0.5, abs=0.06)
    assert found["evidence"]["far_share"] == pytest.approx(0.01, abs=0.02)


def test_another_biology_is_ranked_only(stranger, model):
    with pytest.warns(UserWarning, match=r"Transfer check: rank_only.*Calls are withheld"):
        found = check(stranger.copy(), model)
    assert found["verdict"] == "rank_only"
    assert found["evidence"]["far_share"] > 0.5
    assert found["evidence"]["domain_auroc"] > 0.95


def test_bulk_samples_get_no_calls(model):
    cohort = simulate_cohort(80, cells=simulate_cells(800, 800, n_donors=8, seed=1), seed=1)
    found = check(cohort, model)
    assert found["verdict"] == "rank_only"
    assert found["evidence"]["spread"] < 0.1


def test_missing_genes_lower_the_verdict(query, model):
    importance = model.importance_
    best = model.genes_[np.argsort(-importance)[: len(importance) // 3]]
    found = check(query[:, ~query.var_names.isin(best)].copy(), model)
    assert found["verdict"] == "rank_only"
    assert any("importance are missing" in reason for reason in found["reasons"])


def test_the_verdict_decides_on_calls(query, stranger, student):
    with pytest.warns(UserWarning, match="rank_only"):
        dtp.tl.score(stranger, student, layer="counts")
    assert stranger.obs["dtp_call"].isna().all()
    assert stranger.obs["dtp_score"].notna().all()
    assert not stranger.uns["dtp"]["probability_holds"]
    dtp.tl.score(query, student, layer="counts", transfer="skip")
    assert query.obs["dtp_call"].notna().all()
    assert "transfer" not in query.uns["dtp"]
    assert not query.uns["dtp"]["probability_holds"]


def test_an_override_is_obeyed_and_recorded(stranger, student):
    dtp.tl.score(stranger, student, layer="counts", transfer="calls")
    record = stranger.uns["dtp"]["transfer"]
    assert (record["verdict"], record["found"], record["override"]) == (
        "calls",
        "rank_only",
        "calls",
    )
    assert stranger.obs["dtp_call"].notna().all()


def test_unknown_names(query, student):
    with pytest.raises(ValueError, match="transfer"):
        dtp.tl.score(query, student, layer="counts", transfer="trust me")
    with pytest.raises(ValueError, match="override"):
        check(query, student, override="fine")
    with pytest.raises(KeyError, match="donor_key"):
        check(query, student, donor_key="patient")
    assert "dtp" not in query.uns
    assert not [name for name in query.obs if name.startswith("dtp")]


def test_score_and_check_agree(query, student):
    dtp.tl.score(query, student, layer="counts", donor_key="donor")
    scored = query.uns["dtp"]["transfer"]
    found = check(query, student, donor_key="donor")
    assert found["evidence"] == scored["evidence"]
    assert found["reasons"].tolist() == scored["reasons"].tolist()


def test_row_order_and_batch_size_change_no_number(query, model):
    expected = check(query, model)["evidence"]
    order = np.random.default_rng(0).permutation(query.n_obs)
    for found in (check(query[order].copy(), model), check(query, model, batch_size=37)):
        for name, value in found["evidence"].items():
            assert value == (
                pytest.approx(expected[name], abs=1e-5)
                if isinstance(value, float)
                else expected[name]
            )


def test_the_record_survives_a_file(stranger, student, tmp_path):
    dtp.tl.score(stranger, student, layer="counts", donor_key="donor")
    stranger.write_h5ad(tmp_path / "scored.h5ad")
    again = ad.read_h5ad(tmp_path / "scored.h5ad")
    kept = again.uns["dtp"]["transfer"]
    assert kept["verdict"] == "rank_only"
    assert {name: dict(item) for name, item in kept["measures"].items()} == stranger.uns["dtp"][
        "transfer"
    ]["measures"]
    first = str(kept["reasons"][0])
    title = dtp.pl.transfer(again).get_title("left").replace("\n", " ")
    assert title.startswith(f"Verdict: rank only {first}")
    assert dtp.pl.transfer(kept).get_title("left").replace("\n", " ").strip() in title
    assert again.obs["dtp_call"].isna().all()


def test_a_saved_model_judges_the_same(stranger, model, tmp_path):
    model.save(tmp_path / "model")
    first = check(stranger, model)["evidence"]
    second = check(stranger, load_model(tmp_path / "model"))["evidence"]
    assert first == second


def test_the_probability_is_the_calibrated_logit(query, model):
    logits = model.predict_logits(query, layer="counts")["drug_tolerant"].to_numpy()
    expected = model.calibration_.transform(logits)
    found = model.predict_proba(query, layer="counts")
    np.testing.assert_allclose(found["drug_tolerant"], expected, rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
    dtp.tl.score(query, model, layer="counts")
    np.testing.assert_allclose(query.obs["dtp_score"], expected, rtol=1e-9)


def test_rows_within_the_interval_of_the_threshold_are_indeterminate(query, model):
    dtp.tl.score(query, model, layer="counts", transfer="calls")
    cut, score = model.threshold_, query.obs["dtp_score"].to_numpy()
    between = (score >= cut["low"]) & (score < cut["high"])
    np.testing.assert_array_equal(query.obs["dtp_call"] == "indeterminate", between)
    sure = query.obs["dtp_call"][~between]
    np.testing.assert_array_equal(sure == "drug_tolerant", score[~between] >= cut["value"])


@pytest.fixture
def in_forms(query, tmp_path):
    """The same rows in each storage."""
    dense, sparse = query.copy(), query.copy()
    dense.layers["counts"] = query.layers["counts"].toarray()
    sparse.layers["counts"] = sp.csr_matrix(query.layers["counts"])
    query.write_h5ad(tmp_path / "query.h5ad")
    backed = ad.read_h5ad(tmp_path / "query.h5ad", backed="r")
    yield {"dense": dense, "csr": sparse, "backed": backed}
    backed.file.close()


def streamed(adata, model, **kwargs):
    query = model.prepare(adata, layer="counts")
    given = {"batch_size": None, "verbose": False, **kwargs}
    found = predict(model, query, adata.n_obs, **given)
    return found.logits, found.space


def test_coordinates_of_a_sample_are_kept_and_logits_of_all(in_forms, model):
    logits, everything = streamed(in_forms["csr"], model)
    assert everything.shape[0] == len(logits) == 400
    chosen = draw_rows(400, None, 60, np.random.default_rng(0))
    for name, adata in in_forms.items():
        for batch_size in (None, 37):
            found, space = streamed(adata, model, n_space=60, batch_size=batch_size)
            np.testing.assert_allclose(found, logits, rtol=1e-5, atol=1e-5, err_msg=name)
            assert space.shape == (60, everything.shape[1])
            np.testing.assert_allclose(
                space, everything[chosen], rtol=1e-4, atol=1e-4, err_msg=name
            )
    for n_space in (400, 401):
        np.testing.assert_array_equal(
            streamed(in_forms["csr"], model, n_space=n_space)[1], everything
        )


def test_the_same_rows_are_kept_whatever_the_storage(in_forms, model):
    expected = streamed(in_forms["csr"], model, n_space=60)
    for adata in in_forms.values():
        logits, space = streamed(adata, model, n_space=60)
        np.testing.assert_array_equal(logits, expected[0])
        np.testing.assert_array_equal(space, expected[1])


def test_a_sample_is_what_a_large_query_is_judged_by(query, model, monkeypatch):
    whole = check(query, model)["evidence"]
    monkeypatch.setattr(predict, "__kwdefaults__", {"n_space": 150})
    part = check(query, model)["evidence"]
    of_logits = ("shift", "share_high", "share_low", "entropy", "prevalence", "label_shift_p")
    for name in of_logits:
        assert part.get(name) == whole.get(name)
    for name in ("domain_auroc", "far_share", "spread"):
        assert part[name] != whole[name]
        assert part[name] == pytest.approx(whole[name], abs=0.1)


@pytest.mark.parametrize("transfer", ["skip", "check", "calls"])
def test_coordinates_are_kept_only_where_they_are_compared(query, model, monkeypatch, transfer):
    kept = []

    def spy(*args, **kwargs):
        found = predict(*args, **kwargs)
        kept.append(found.space.shape[0])
        return found

    monkeypatch.setattr("dtp_scvi.tl._score.predict", spy)
    monkeypatch.setattr("dtp_scvi.tl._score.MOST_ROWS", 150)
    dtp.tl.score(query, model, layer="counts", transfer=transfer)
    assert kept == [0 if transfer == "skip" else 150]
    assert np.isfinite(query.obs["dtp_logit"]).all()


@pytest.mark.parametrize(
    ("change", "verdict", "text"),
    [
        ({}, "calls", None),
        ({"weighted_coverage": 0.85}, "recalibrate", "15% of the importance"),
        ({"weighted_coverage": 0.6}, "rank_only", "40% of the importance"),
        ({"far_share": 0.3}, "recalibrate", "farther from the training rows"),
        ({"far_share": 0.7}, "rank_only", "70% of the rows lie farther"),
        ({"spread": 0.05}, "rank_only", "bulk samples"),
        ({"domain_auroc": 0.9, "donor_auroc": 0.7}, "recalibrate", "AUROC 0.90"),
        ({"domain_auroc": 0.95, "donor_auroc": None}, "rank_only", "AUROC 0.95"),
        ({"share_high": 0.95}, "rank_only", "95% of the probabilities are above 0.95"),
        ({"share_low": 0.65}, "recalibrate", "65% of the probabilities are below 0.05"),
        ({"shift": 0.4, "label_shift": False}, "recalibrate", "does not explain it"),
        ({"shift": 0.4}, "recalibrate", "would explain it"),
        ({"shift": None, "label_shift": None}, "calls", None),
    ],
)
def test_rules(change, verdict, text):
    found, reasons = judge(CLEAN | change)
    assert found == verdict
    judged = [item["verdict"] for item in measured(CLEAN | change).values()]
    assert max(judged, key=VERDICTS.index) == verdict
    assert (reasons == []) if text is None else (text in reasons[0])


def test_the_deciding_reason_comes_first():
    _, reasons = judge(CLEAN | {"weighted_coverage": 0.85, "share_high": 0.95})
    assert "above 0.95" in reasons[0]
    assert len(reasons) == 2


def test_measures_are_the_evidence_beside_its_limits():
    found = measured(CLEAN | {"weighted_coverage": 0.75, "spread": None})
    assert set(found) == {"missing", "far", "domain", "shift", "high", "low"}
    assert found["missing"] == {
        "value": 0.25,
        "usual": 0.0,
        "recalibrate_from": LIMITS.missing[0],
        "rank_only_from": LIMITS.missing[1],
        "verdict": "recalibrate",
    }
    assert (found["domain"]["value"], found["domain"]["usual"]) == (0.6, 0.7)
    assert found["domain"]["recalibrate_from"] == pytest.approx(0.7 + LIMITS.domain[0])
    assert found["high"]["rank_only_from"] == pytest.approx(0.1 + LIMITS.saturated[1])


def test_limits_rise():
    assert all(low < high for low, high in vars(LIMITS).values())
