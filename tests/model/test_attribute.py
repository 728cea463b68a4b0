"""Attributions against weights, captum itself, and the predictions that they divide."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from captum.attr import DeepLift, IntegratedGradients
from scipy.stats import spearmanr

from dtp_scvi.data import scale_kind
from dtp_scvi.model import DTPTransformer, ResponseModel, ResponseTransformer
from dtp_scvi.model._attribute_checks import completeness
from dtp_scvi.model._attribute_methods import METHODS, Attributor
from dtp_scvi.model._attribute_net import (
    DenseNet,
    Outcome,
    ProgramNet,
    classifier_net,
    linear_response_net,
)
from dtp_scvi.model._attribute_rows import classifier_rows, response_rows
from dtp_scvi.train import gene_attributions, read_rows

EVERY = np.arange(40)


def dense(model, adata, **kwargs):
    """A classifier's dense function and its inputs."""
    query = model.prepare(adata, **kwargs)
    rows = classifier_rows(query, EVERY, None, None)
    seen = None if rows.observed.all() else torch.from_numpy(rows.observed.astype(float))
    outcome = Outcome.of_class(model.classes_.index(model.positive_), len(model.classes_))
    return classifier_net(model.module, outcome, seen), rows


def logits(model, adata, **kwargs):
    return model.predict_logits(adata, **kwargs)[model.positive_].to_numpy()[EVERY]


def make_loud(module, size=0.3):
    """Give the residuals weight, whatever a short training has kept of them."""
    module.member_scale.fill_(1.0)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for member in module.members:
            weight = member.head.weight
            weight.copy_(size * torch.randn(weight.shape, generator=draw))


@pytest.fixture(scope="module")
def loud(cells):
    """A teacher whose residual is a large part of its logit."""
    model = DTPTransformer(cells, n_programs=8, n_members=2, d_model=32)
    model.train(max_epochs=1, verbose=False)
    make_loud(model.module)
    return model


@pytest.fixture(scope="module")
def samples(cells):
    """Bulk-like samples with two responses."""
    adata = cells[:120].copy()
    values = np.log1p(adata.X.toarray())
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(values.shape[1], 2)) * (rng.random((values.shape[1], 1)) < 0.2)
    adata.obs["a"], adata.obs["b"] = (values @ weights).T
    return adata


@pytest.fixture(scope="module")
def response(samples):
    model = ResponseTransformer(n_programs=4, n_members=2, d_model=16)
    model.fit(samples, ["a", "b"], layer="counts", max_epochs=3, verbose=False)
    make_loud(model._fit_of().module)
    return model


@pytest.mark.parametrize("kind", ["loud", "student"])
def test_dense_function_is_what_the_model_predicts(kind, request, query):
    model = request.getfixturevalue(kind)
    net, rows = dense(model, query)
    found = net(torch.from_numpy(rows.dense(EVERY)).double()).numpy()
    np.testing.assert_allclose(found, logits(model, query), atol=1e-5)


@pytest.mark.parametrize("kind", ["loud", "student"])
def test_dense_function_without_some_genes(kind, request, query):
    model = request.getfixturevalue(kind)
    less = query[:, ~query.var_names.isin(model.genes_[::4])].copy()
    net, rows = dense(model, less)
    assert not rows.observed[::4].any()
    values = torch.from_numpy(rows.dense(EVERY)).double()
    np.testing.assert_allclose(net(values).numpy(), logits(model, less), atol=1e-5)


def test_dense_function_of_three_classes_and_of_the_other_class(cells):
    three = cells.copy()
    three.obs["kind"] = np.array(["a", "b", "c"])[np.arange(three.n_obs) % 3]
    for labels_key, positive in (("kind", "b"), ("state", "drug_tolerant")):
        DTPTransformer.setup_anndata(three, labels_key, positive=positive, layer="counts")
        model = DTPTransformer(three, n_programs=4, d_model=16)
        model.train(max_epochs=1, verbose=False)
        make_loud(model.module)
        net, rows = dense(model, None)
        found = net(torch.from_numpy(rows.dense(EVERY)).double()).numpy()
        np.testing.assert_allclose(found, logits(model, None), atol=1e-5)
        record = model.attribute(max_cells=40).record
        assert record["completeness"]["max"] < 0.01
        assert record["shares"]["variance"]["residual"] != 0


def test_dense_function_of_response_models(response, samples):
    for model, which in ((response, 1), (fit_linear(samples, "blend"), 0)):
        query = model.prepare(samples, layer="counts")
        rows = response_rows(model._check_fitted(), query, "none", EVERY, None, None)
        fit = model._fit_of()
        net = (
            ProgramNet(fit.module, Outcome(which, fit.sd[which], fit.mean[which]), None)
            if model is response
            else linear_response_net(fit)
        )
        found = net(torch.from_numpy(rows.dense(EVERY))).numpy()
        expected = np.asarray(model.predict(samples, layer="counts")).reshape(len(samples), -1)
        np.testing.assert_allclose(found, expected[EVERY, which], rtol=1e-5, atol=1e-5)


def fit_linear(samples, inputs="closed"):
    return ResponseModel(inputs=inputs).fit(samples, "a", layer="counts")


def test_integrated_gradients_are_captums(loud, query):
    """Here the linear part is taken in closed form; captum is given the whole function."""
    net, rows = dense(loud, query)
    values = rows.dense(EVERY[:6])
    parts = Attributor(net, net.mean.numpy()[None], METHODS[0], 16, 0)(values)
    whole = IntegratedGradients(net).attribute(
        torch.from_numpy(values).double(), net.mean[None], n_steps=16, method="gausslegendre"
    )
    np.testing.assert_allclose(parts.total, whole.numpy(), atol=1e-12)
    assert np.abs(parts.residual).max() > 1e-4


def test_they_are_those_that_chose_the_panel(loud, query):
    given, total = read_rows(query.layers["counts"], "counts", EVERY)
    other = gene_attributions(loud.module, given, total, scale_kind("counts"), 0)
    found = loud.attribute(query, layer="counts", indices=EVERY).table
    mine = found.loc[loud.genes_, "mean_abs"].to_numpy()
    np.testing.assert_allclose(mine, other, rtol=0.02, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_planted_linear_model(method, monkeypatch, query):
    """Of a linear prediction each gene has weight times deviation, and captum is not needed."""
    monkeypatch.setattr("dtp_scvi._optional.importlib.import_module", None)
    rng = np.random.default_rng(0)
    mean, weight = rng.random(30), rng.normal(size=30)
    net = DenseNet(
        torch.from_numpy(mean), torch.from_numpy(weight[:, None]), torch.ones(1), Outcome(0), None
    )
    values = rng.random((9, 30)) * 4
    parts = Attributor(net, mean[None], method, None, 0)(values)
    np.testing.assert_allclose(parts.total, weight * (values - mean), atol=1e-12)
    assert parts.error.max() < 1e-12


def test_planted_response_is_attributed_by_weight(samples):
    model = fit_linear(samples)
    found = model.attribute(samples, layer="counts")
    values = samples.layers["counts"].toarray().astype(float)
    log = np.log1p(1e4 * values / values.sum(axis=1, keepdims=True))
    fitted = model.fitted_
    contribution = (log - log.mean(axis=0)) * (
        fitted.weight[0] / np.where(fitted.reference.sd[0] > 1e-6, fitted.reference.sd[0], np.inf)
    )
    table = found.table.loc[model.genes_]
    np.testing.assert_allclose(table["mean_abs"], np.abs(contribution).mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(table["mean"], contribution.mean(axis=0), atol=1e-5)
    assert (table["residual_abs"] == 0).all()
    assert found.record["shares"]["variance"]["linear"] == pytest.approx(1)
    used = np.abs(fitted.weight[0]) > 1e-9
    assert (np.sign(fitted.weight[0][used]) == np.sign(table["direction"][used])).all()


def test_teacher_without_residual_is_weight_times_deviation(cells):
    model = DTPTransformer(cells, n_programs=8)
    model.train(max_epochs=1, verbose=False)
    model.module.member_scale.fill_(0.0)
    net, rows = dense(model, None)
    weight = model.module.projection([])[:, 0].double().numpy()
    found = model.attribute(indices=EVERY, max_cells=None)
    expected = np.abs(weight * (rows.dense(EVERY) - net.mean.numpy()))
    donors = cells.obs["donor"].astype(str).to_numpy()[EVERY]
    by_donor = pd.DataFrame(expected).groupby(donors).mean().mean()
    table = found.table.loc[model.genes_]
    np.testing.assert_allclose(table["mean_abs"], by_donor, atol=1e-5)


@pytest.mark.parametrize("kind", ["loud", "student"])
def test_contributions_sum_to_the_logit(kind, request, query):
    model = request.getfixturevalue(kind)
    net, rows = dense(model, query)
    parts = Attributor(net, net.mean.numpy()[None], METHODS[0], None, 0)(rows.dense(EVERY))
    start = float(net(net.mean[None]))
    np.testing.assert_allclose(parts.output, logits(model, query) - start, atol=1e-5)
    found = completeness(parts.error, parts.output)
    assert found["max"] < 0.01
    assert found["n_above"] == 0


def test_deep_lift_is_complete_for_a_student_and_refused_for_a_teacher(student, loud, query):
    found = student.attribute(query, method="deep_lift", layer="counts", max_cells=30)
    assert found.record["completeness"]["max"] < 1e-8
    integrated = student.attribute(query, layer="counts", max_cells=30)
    order = found.table.index
    rho = spearmanr(found.table["mean_abs"], integrated.table.loc[order, "mean_abs"]).statistic
    assert rho > 0.95
    with pytest.raises(ValueError, match=r"DeepLIFT's .* sum .* completeness error of .*%"):
        loud.attribute(query, method="deep_lift", layer="counts", max_cells=30)


def test_deep_lift_leaves_captums_rules_as_they_were(student, query):
    from captum.attr._core import deep_lift

    before = dict(deep_lift.SUPPORTED_NON_LINEAR)
    student.attribute(query, method="deep_lift", layer="counts", max_cells=5)
    assert before == deep_lift.SUPPORTED_NON_LINEAR
    assert torch.nn.GELU not in before
    assert DeepLift is deep_lift.DeepLift


@pytest.mark.filterwarnings("ignore:Completeness error:UserWarning")
def test_gradient_shap_goes_to_integrated_gradients(student, query):
    shap = student.attribute(
        query, method="gradient_shap", layer="counts", max_cells=20, n_steps=400
    )
    path = student.attribute(query, layer="counts", max_cells=20)
    both = shap.table.join(path.table, rsuffix="_path")
    np.testing.assert_allclose(both["mean_abs"], both["mean_abs_path"], atol=2e-3)
    assert shap.record["completeness"]["overall"] < 0.05


@pytest.mark.filterwarnings("ignore:Completeness error:UserWarning")
def test_gradient_shap_over_rows_keeps_the_random_state(student, query):
    before = torch.random.get_rng_state()  # numpy's is watched over every test
    options = {"method": "gradient_shap", "baseline": "query", "layer": "counts", "n_steps": 20}
    first = student.attribute(query, max_cells=20, **options)
    again = student.attribute(query, max_cells=20, **options)
    other = student.attribute(query, max_cells=20, seed=1, **options)
    assert (torch.random.get_rng_state() == before).all()
    pd.testing.assert_frame_equal(first.table, again.table)
    assert not first.table["mean"].equals(other.table["mean"])
    assert first.record["params"]["n_baselines"] == 20


def test_fixed_steps_that_are_too_few_are_warned_of(loud, query):
    with pytest.warns(UserWarning, match=r"Completeness error above 1% in .* Raise `n_steps`"):
        found = loud.attribute(query, layer="counts", max_cells=30, n_steps=1)
    assert found.record["completeness"]["max"] > 0.01
    assert found.record["params"]["n_steps"] == 1


def test_response_of_several_targets(response, samples):
    found = response.attribute(samples, target="b", layer="counts", max_cells=40)
    assert found.record["completeness"]["max"] < 0.01
    assert found.record["params"]["target"] == "b"
    assert found.table["residual_abs"].max() > 0
    with pytest.raises(ValueError, match="`target`, one of the model's responses"):
        response.attribute(samples, layer="counts")


def test_rows_in_any_order_and_as_a_mask(student, query):
    mask = np.zeros(query.n_obs, bool)
    mask[[3, 7, 90]] = True
    tables = [
        student.attribute(query, layer="counts", indices=rows).table
        for rows in (mask, np.array([90, 3, 7]))
    ]
    pd.testing.assert_frame_equal(*tables)


def test_baselines(student, query):
    mean = student.module.mean.double().numpy()
    same = student.attribute(query, layer="counts", max_cells=20, baseline=mean).table
    pd.testing.assert_frame_equal(
        same, student.attribute(query, layer="counts", max_cells=20).table
    )
    centred = student.attribute(query, layer="counts", baseline="query_mean", donor_key="donor")
    # Against the mean of the donors' means, linear contributions cancel.
    np.testing.assert_allclose(centred.table["linear"], 0, atol=1e-10)
    zero = student.attribute(query, layer="counts", max_cells=20, baseline="zero").table
    silent = query[:, student.genes_].layers["counts"].toarray()[:].sum(axis=0) == 0
    assert (zero.loc[student.genes_[silent], "mean_abs"] == 0).all()


def test_bad_input(student, cells, query, samples):
    with pytest.raises(RuntimeError, match="trained DTPTransformer"):
        DTPTransformer(cells).attribute()
    with pytest.raises(RuntimeError, match="fitted ResponseModel"):
        ResponseModel().attribute(query)
    with pytest.raises(ValueError, match=r"'deeplift'.*Did you mean deep_lift"):
        student.attribute(query, method="deeplift")
    with pytest.raises(ValueError, match=r"'train_men'.*Did you mean train_mean"):
        student.attribute(query, layer="counts", baseline="train_men")
    with pytest.raises(ValueError, match=r"baseline of 120 finite values.*shape \(7,\)"):
        student.attribute(query, layer="counts", baseline=np.zeros(7))
    with pytest.raises(ValueError, match="one baseline with method='integrated_gradients'"):
        student.attribute(query, layer="counts", baseline=np.zeros((2, 120)))
    with pytest.raises(ValueError, match='`baseline="query"`, a set of rows'):
        student.attribute(query, layer="counts", baseline="query")
    with pytest.raises(ValueError, match="at least one row to explain"):
        student.attribute(query, layer="counts", indices=np.array([], int))
    with pytest.raises(ValueError, match="`n_steps` to be a whole number"):
        student.attribute(query, n_steps=0)
    with pytest.raises(KeyError, match=r"`donor_key` .*Did you mean donor"):
        student.attribute(query, layer="counts", donor_key="doner")
    with pytest.raises(ValueError, match='"zero" with ranks'):
        fit_linear(samples, "rank").attribute(samples, layer="counts", baseline="zero")


def test_missing_genes_have_no_attribution(student, query):
    less = query[:, ~query.var_names.isin(student.genes_[:10])].copy()
    with pytest.warns(UserWarning, match="10 of 120 model genes are not in the rows"):
        found = student.attribute(less, layer="counts", donor_key="donor", max_cells=30)
    assert set(found.record["missing"]) == set(student.genes_[:10])
    assert found.table.loc[student.genes_[:10]].isna().all(axis=None)
    assert found.table.loc[student.genes_[10:]].notna().all(axis=None)
    assert found.record["completeness"]["max"] < 0.01
    whole = student.attribute(less, layer="counts", max_cells=30, missing="zero")
    assert whole.table.notna().all()["mean"]


def test_training_data_come_with_their_donors(loud):
    record = loud.attribute(max_cells=60).record
    assert record["params"]["n_donors"] == 6
    assert record["stability"]["donor_spearman"] > 0.5
