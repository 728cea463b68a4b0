"""Spread over the members and conformal sets, as tl.score writes them."""

from __future__ import annotations

import numpy as np
import pytest

import dtp_scvi as dtp
from dtp_scvi.datasets import simulate_cells
from dtp_scvi.model import DTPTransformer, load_model
from dtp_scvi.stats import MondrianConformal, fewest_donors, sigmoid
from dtp_scvi.tl._calls import as_sets

SETUP = {"positive": "drug_tolerant", "layer": "counts", "donor_key": "donor"}


@pytest.fixture(scope="module")
def cells():
    adata = simulate_cells(900, 300, n_donors=12, seed=0)
    DTPTransformer.setup_anndata(adata, "state", **SETUP)
    return adata


@pytest.fixture(scope="module")
def ensemble(cells):
    model = DTPTransformer(cells, n_programs=8, d_model=16, n_members=3)
    model.train(max_epochs=4, verbose=False)
    return model


@pytest.fixture
def query():
    return simulate_cells(200, 300, n_donors=4, seed=3)


def by_hand(model, adata):
    """Probabilities of each member, from the weights and log-normalised counts."""
    counts = adata.layers["counts"].toarray().astype(np.float64)
    log = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    module, out = model.module, []
    order, mean = module.order.numpy(), module.mean.double().numpy()
    centred = log[:, order] - mean
    batch = next(iter(model.prepare(adata, layer="counts").blocks()))
    from dtp_scvi.module import sparse_batch

    tensors = sparse_batch(batch.matrix, batch.total, "linear")
    for m in range(3):
        linear = centred @ module.fold_weight[:, m].double().numpy() + float(module.fold_bias[m])
        net = module.members[m]
        residual = net.from_coordinates(module.coordinates(tensors, m)).detach().numpy()[:, 0]
        # The raw output is about the second class; the positive one is the first here.
        out.append(-linear - float(module.member_scale[m]) * residual)
    return model.calibrated(np.stack(out).ravel()).reshape(3, -1)


def test_spread_is_that_of_the_members(ensemble, query):
    ensemble.module.member_scale.fill_(1.0)
    dtp.tl.score(query, ensemble, layer="counts", transfer="skip")
    p = by_hand(ensemble, query)
    np.testing.assert_allclose(query.obs["dtp_std"], p.std(axis=0, ddof=1), atol=2e-5)
    assert query.obs["dtp_std"].dtype == np.float64
    assert query.obs["dtp_std"].median() > 1e-4


def test_members_are_the_fits_that_training_held_out(cells, ensemble):
    """The linear part of a member gives the out-of-fold logits that the residual was put upon."""
    from dtp_scvi.data import get_matrix
    from dtp_scvi.model._training_data import read_training_data

    given = read_training_data(ensemble, None, 0)
    assert get_matrix(cells, "counts").shape[0] == len(given.codes)
    weight = ensemble.module.fold_weight
    # Three fits on other donors: alike, never the same.
    pairs = np.corrcoef(weight.numpy().T)[np.triu_indices(3, 1)]
    assert (pairs > 0.5).all()
    assert (pairs < 0.9999).all()


def test_spread_ignores_batches_storage_and_order(ensemble, query):
    dtp.tl.score(query, ensemble, layer="counts", transfer="skip")
    expected = query.obs["dtp_std"]
    turned = query[::-1].copy()
    turned.layers["counts"] = turned.layers["counts"].toarray()
    dtp.tl.score(turned, ensemble, layer="counts", transfer="skip", batch_size=7)
    np.testing.assert_allclose(turned.obs["dtp_std"].iloc[::-1], expected, atol=1e-6)


def test_one_member_claims_no_spread(cells, query):
    model = DTPTransformer(cells, n_programs=8, d_model=16)
    model.train(max_epochs=1, verbose=False)
    query.obs["dtp_std"], query.obs["dtp_set"] = 0.5, "drug_tolerant"
    dtp.tl.score(query, model, layer="counts", transfer="skip")
    # What an earlier model wrote is gone, not left beside the new score.
    assert "dtp_std" not in query.obs
    assert "dtp_set" not in query.obs


def test_a_saved_ensemble_spreads_alike(ensemble, query, tmp_path):
    dtp.tl.score(query, ensemble, layer="counts", transfer="skip")
    expected = query.obs["dtp_std"].copy()
    ensemble.save(tmp_path / "m")
    dtp.tl.score(query, load_model(tmp_path / "m"), layer="counts", transfer="skip")
    np.testing.assert_array_equal(query.obs["dtp_std"], expected)


@pytest.fixture
def with_sets(ensemble):
    sets = MondrianConformal(
        thresholds=(0.6, 0.7), level=0.9, method="pooled", n_groups=(12, 12), n_labels=(400, 500)
    )
    before, ensemble.conformal_ = ensemble.conformal_, sets
    yield ensemble
    ensemble.conformal_ = before


def test_sets_are_those_of_the_thresholds(with_sets, query, tmp_path):
    with_sets.save(tmp_path / "m")
    dtp.tl.score(query, load_model(tmp_path / "m"), layer="counts", transfer="calls")
    p = query.obs["dtp_score"]
    positive, negative = 1 - p <= 0.7, p <= 0.6
    names = np.select(
        [positive & negative, positive, negative],
        ["either", "drug_tolerant", "not drug_tolerant"],
        "neither",
    )
    assert query.obs["dtp_set"].astype(str).tolist() == names.tolist()
    assert query.uns["dtp"]["conformal"]["level"] == 0.9
    query.write_h5ad(tmp_path / "q.h5ad")


@pytest.mark.parametrize("verdict", ["recalibrate", "rank_only"])
def test_sets_are_withheld_unless_calls_hold(with_sets, query, verdict):
    dtp.tl.score(query, with_sets, layer="counts", transfer=verdict)
    assert query.obs["dtp_set"].isna().all()


@pytest.mark.parametrize(("given", "kept"), [({"prevalence": 0.2}, False), ({}, True)])
def test_recalibration_drops_what_belongs_to_the_old_probabilities(with_sets, query, given, kept):
    dtp.tl.score(query, with_sets, layer="counts", transfer="calls")
    given = given or {"negatives": (query.obs["state"] == "sensitive").to_numpy()}
    dtp.tl.recalibrate(query, **given)
    assert ("dtp_std" in query.obs) is kept
    assert ("dtp_set" in query.obs) is kept


def test_every_set_has_a_name():
    inside = np.array([[False, False], [True, False], [False, True], [True, True]])
    found = as_sets(inside, "bad", withheld=False)
    assert list(found) == ["neither", "not bad", "bad", "either"]


def test_adopted_sets_promise_what_enough_donors_allow(cells, ensemble):
    rng = np.random.default_rng(0)
    rows = np.arange(1200)
    labels, donors = rng.random(1200) < 0.5, rows % 12
    result = stored(labels, donors, 2 * labels - 1 + rng.normal(size=1200))
    ensemble.adopt(result)
    p = ensemble.calibrated(result["scores"]["teacher"].to_numpy())
    expected = MondrianConformal.fit(p, labels, groups=donors.astype(str), level=0.9)
    assert ensemble.conformal_ == expected
    few = donors % 8
    assert len(set(few)) < fewest_donors(0.9)
    ensemble.adopt(stored(labels, few, rng.normal(size=1200) + labels))
    assert ensemble.conformal_ is None


def stored(labels, donors, logits):
    import pandas as pd

    metrics = pd.DataFrame(
        {"model": ["teacher"], "metric": ["auroc"], "value": [0.8], "low": [0.7], "high": [0.9]}
    )
    return {
        "params": {
            "model": "teacher",
            "model_class": "DTPTransformer",
            "positive": "drug_tolerant",
            "seed": 0,
            "protocol": "donor-grouped 5-fold",
            "interval": "donors",
            "optimistic": False,
        },
        "threshold": {"value": 0.5, "rule": "youden"},
        "scores": pd.DataFrame({"teacher": logits}),
        "label": labels,
        "group": donors.astype(str),
        "metrics": metrics,
        "differences": metrics.iloc[:0],
    }


def test_fewest_donors():
    assert [fewest_donors(level) for level in (0.5, 0.8, 0.9, 0.95)] == [1, 4, 9, 19]
    with pytest.raises(ValueError, match="level"):
        fewest_donors(1.0)


def test_a_student_adopts_its_own_column(ensemble):
    import pandas as pd

    student = ensemble.distill(n_genes=80, max_epochs=1, mixtures=0, verbose=False)
    assert student.conformal_ is None
    rng = np.random.default_rng(1)
    labels, donors = rng.random(1200) < 0.5, np.arange(1200) % 12
    own = 3 * labels + rng.normal(size=1200) - 1.5
    result = stored(labels, donors, rng.normal(size=1200))
    result["scores"] = pd.DataFrame({"teacher": rng.normal(size=1200), "student": own})
    student.adopt(result)
    assert student.evaluation_["column"] == "student"
    assert student.calibration_.transform(np.array([3.0]))[0] > 0.9
    assert student.conformal_.n_groups == (12, 12)
    # The curve is the student's: the teacher's column holds no signal at all.
    assert abs(sigmoid(0.0) - 0.5) < 1e-12
