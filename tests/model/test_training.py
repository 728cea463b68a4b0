"""What training promises: seeds, nesting, held-out donors, and only the rows it was given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, softmax
from sklearn.metrics import log_loss, roc_auc_score

from dtp_scvi.datasets import simulate_cells
from dtp_scvi.model import DTPTransformer
from dtp_scvi.train import ResidualPlan

SMALL = {"n_programs": 5, "d_model": 16, "n_blocks": 1, "n_heads": 2}


@pytest.fixture(scope="module")
def made():
    return simulate_cells(300, 150, n_donors=6, seed=1)


def prepared(adata, labels_key="state", **kwargs):
    given = {"positive": "drug_tolerant", "layer": "counts", "donor_key": "donor", **kwargs}
    adata = adata.copy()
    DTPTransformer.setup_anndata(adata, labels_key, **given)
    return adata


def trained(adata, *, init=None, **kwargs):
    model = DTPTransformer(adata, **{**SMALL, **(init or {})})
    model.train(**{"max_epochs": 2, "verbose": False, **kwargs})
    return model


@pytest.fixture(scope="module")
def saved(made, tmp_path_factory):
    """Directory of a model trained once with the settings of most tests."""
    folder = tmp_path_factory.mktemp("trained") / "m"
    trained(prepared(made)).save(folder)
    return folder


@pytest.fixture
def ready(made, saved):
    """A trained model with its training data, both the test's own."""
    adata = made.copy()
    return DTPTransformer.load(saved, adata), adata


def weights(model):
    return {name: value.clone() for name, value in model.module.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def log_expression(adata):
    counts = adata.layers["counts"].toarray().astype(np.float64)
    return np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))


def linear_part(model, adata):
    """Compute the linear part with numpy from the stored weights, gene by gene."""
    module = model.module
    x, order = log_expression(adata), module.order.numpy()
    return (x[:, order] - module.mean.numpy()) @ module.linear_weight.numpy() + (
        module.linear_bias.numpy()
    )


def test_one_seed_gives_one_set_of_weights(made):
    first, second = (trained(prepared(made), seed=4) for _ in range(2))
    assert same(weights(first), weights(second))
    assert first.threshold_ == second.threshold_
    assert first.id_ == second.id_
    pd.testing.assert_frame_equal(first.history_table_, second.history_table_)


def test_another_seed_gives_other_weights(made, ready):
    first, second = ready[0], trained(prepared(made), seed=1)
    assert not torch.equal(
        first.module.members[0].tokens.lift, second.module.members[0].tokens.lift
    )


def test_global_random_states_stay(made):
    adata = prepared(made)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    teacher = trained(adata)
    teacher.distill(n_genes=30, max_epochs=1, mixtures=1, verbose=False)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.fixture
def modes(monkeypatch):
    """Record whether the network was in training mode in every training step."""
    seen = []
    step = ResidualPlan.training_step

    def spy(self, batch, batch_idx):
        module = self.network
        dropouts = [m.training for m in module.modules() if isinstance(m, torch.nn.Dropout)]
        seen.append(module.training and all(dropouts))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ResidualPlan, "training_step", spy)
    return seen


def test_dropout_is_active_in_a_second_training(made, modes):
    model = trained(prepared(made))
    model.predict_proba()
    n_first = len(modes)
    model.train(max_epochs=2, verbose=False)
    assert len(modes) > n_first > 0
    assert all(modes)
    assert not model.module.training


def test_dropout_is_active_after_load(ready, modes):
    model, _ = ready
    model.train(max_epochs=1, verbose=False)
    assert modes
    assert all(modes)


def test_a_second_training_starts_anew(made):
    model = trained(prepared(made), seed=2)
    first = weights(model)
    model.train(max_epochs=2, verbose=False, seed=2)
    assert same(first, weights(model))


def test_a_failed_training_leaves_no_trained_model(ready, monkeypatch):
    model, _ = ready
    assert model.is_trained_

    def fail(*args, **kwargs):
        msg = "no memory"
        raise RuntimeError(msg)

    monkeypatch.setattr(DTPTransformer, "_finish", fail)
    with pytest.raises(RuntimeError, match="no memory"):
        model.train(max_epochs=1, verbose=False)
    with pytest.raises(RuntimeError, match="a trained DTPTransformer"):
        model.predict_proba()


def by_donor(adata, n_test):
    donors = np.unique(adata.obs["donor"])
    held_out = adata.obs["donor"].isin(donors[-n_test:]).to_numpy()
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def test_permuted_labels_teach_nothing():
    adata = simulate_cells(600, 150, n_donors=8, linear_effect=5.0, seed=5)
    real = adata.obs["state"].to_numpy().astype(str)
    aucs = {}
    for name in ("real", "permuted"):
        order = np.random.default_rng(0).permutation(len(real))
        adata.obs["label"] = real if name == "real" else real[order]
        ready = prepared(adata, "label")
        train, test = by_donor(ready, 3)
        model = trained(ready, indices=train)
        p = model.predict_proba(indices=test)["drug_tolerant"]
        aucs[name] = roc_auc_score(ready.obs["label"].iloc[test] == "drug_tolerant", p)
        if name == "permuted":
            # Random labels hold nothing for a residual to add on unseen donors.
            assert model.protocol_["member_scale"] == [0.0]
    assert aucs["real"] > 0.7
    assert abs(aucs["permuted"] - 0.5) < 0.12


def test_without_residual_the_linear_part_is_the_model(ready):
    model, adata = ready
    model.module.member_scale.zero_()
    expected = linear_part(model, adata)[:, 0]
    found = model.predict_logits()
    np.testing.assert_allclose(found["sensitive"], expected, rtol=0, atol=2e-5)
    np.testing.assert_allclose(found["drug_tolerant"], -expected, rtol=0, atol=2e-5)


@pytest.fixture(scope="module")
def two_members(made):
    """An ensemble and its data; only to be read."""
    adata = prepared(made)
    return trained(adata, init={"n_members": 2}, max_epochs=3), adata


def test_protocol_and_history(two_members):
    model, _ = two_members
    table = model.history_table_
    assert list(table.columns) == ["epoch", "member", "train_loss", "validation_loss"]
    assert table["member"].unique().tolist() == [0, 1]
    assert np.isfinite(table).all(axis=None)
    assert model.protocol_["held_out"] == "donor"
    assert model.protocol_["n_rows"] == 300
    assert model.threshold_["rule"] == "youden"


def test_the_residual_adds_to_the_linear_part(two_members, tmp_path):
    two_members[0].save(tmp_path / "m")
    adata = two_members[1].copy()
    model = DTPTransformer.load(tmp_path / "m", adata)
    # Heads start at zero and stay there where nothing was kept; give them something to say.
    for member in model.module.members:
        torch.nn.init.constant_(member.head.weight, 0.1)
    base = linear_part(model, adata)[:, 0]
    parts = []
    for scales in ([1.0, 0.0], [0.0, 1.0], [0.5, 1.0]):
        model.module.member_scale.copy_(torch.tensor(scales))
        parts.append(model.predict_logits()["sensitive"].to_numpy() - base)
    assert np.abs(parts[0]).max() > 0.01
    np.testing.assert_allclose(parts[2], 0.5 * parts[0] + parts[1], rtol=0, atol=1e-4)


@pytest.mark.slow
def test_a_planted_interaction_is_found():
    adata = simulate_cells(
        1500, 300, n_donors=10, linear_effect=0.8, interaction_effect=4.0, seed=2, depth=20000
    )
    ready = prepared(adata)
    train, test = by_donor(ready, 3)
    model = DTPTransformer(ready, n_programs=24)
    model.train(max_epochs=30, indices=train, verbose=False)
    positive = ready.obs["state"].iloc[test] == "drug_tolerant"
    whole = log_loss(positive, model.predict_proba(indices=test)["drug_tolerant"])
    assert model.protocol_["member_scale"][0] > 0
    model.module.member_scale.zero_()
    assert whole < log_loss(positive, model.predict_proba(indices=test)["drug_tolerant"]) - 0.01


@pytest.fixture(scope="module")
def three(made):
    """A model of three classes, with its data."""
    adata = made.copy()
    cut = np.quantile(adata.obs["true_linear"], [1 / 3, 2 / 3])
    names = np.array(["low", "mid", "high"])
    adata.obs["level"] = names[np.searchsorted(cut, adata.obs["true_linear"])]
    ready = prepared(adata, "level", positive="mid")
    return trained(ready), ready


def test_three_classes(three):
    model, adata = three
    prob, logits = model.predict_proba(), model.predict_logits()
    assert list(prob.columns) == ["high", "low", "mid"]
    np.testing.assert_allclose(prob.sum(axis=1), 1, atol=1e-6)
    model.module.member_scale.zero_()
    expected = softmax(linear_part(model, adata), axis=1)
    np.testing.assert_allclose(model.predict_proba(), expected, atol=1e-5)
    right = prob.idxmax(axis=1).to_numpy() == adata.obs["level"].to_numpy()
    assert right.mean() > 0.5
    rest = np.log(prob["mid"] / (prob["high"] + prob["low"]))
    np.testing.assert_allclose(logits["mid"], rest, atol=1e-5)


def test_three_classes_score_is_about_the_positive_one(three):
    model, _adata = three
    prob = model.predict_proba()["mid"]
    assert model.positive_ == "mid"
    # The threshold was chosen on this class against the two others.
    metrics = model.threshold_["metrics"]
    assert 0 < metrics["called_positive"] < 1
    assert prob.min() < model.threshold_["value"] <= prob.max()
    student = model.distill(n_genes=40, max_epochs=1, mixtures=1, verbose=False)
    np.testing.assert_allclose(student.predict_proba().sum(axis=1), 1, atol=1e-6)
    assert student.positive_ == "mid"


@pytest.fixture(scope="module")
def overlapping(made):
    genes = made.var_names.to_numpy()
    return {"first": list(genes[:20]), "second": list(genes[10:40]), "third": list(genes[60:70])}


def with_programs(made, programs):
    adata = prepared(made)
    model = DTPTransformer(adata, programs=programs, d_model=16, n_heads=2, n_blocks=1)
    model.train(max_epochs=1, verbose=False)
    return model, adata


@pytest.fixture(scope="module")
def saved_with_programs(made, overlapping, tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs") / "m"
    with_programs(made, overlapping)[0].save(folder)
    return folder


@pytest.fixture
def ready_with_programs(made, saved_with_programs):
    """A model trained on given programs with its training data, both the test's own."""
    adata = made.copy()
    return DTPTransformer.load(saved_with_programs, adata), adata


@pytest.mark.parametrize("source", ["dict", "gmt"])
def test_programs(made, overlapping, source, tmp_path):
    programs = overlapping
    if source == "gmt":
        lines = ["\t".join([name, "", *genes]) for name, genes in overlapping.items()]
        programs = tmp_path / "sets.gmt"
        programs.write_text("\n".join(lines) + "\n")
    model, adata = with_programs(made, programs)
    assert model.program_names_ == ["first", "second", "third"]
    assert len(model.module.order) == adata.n_vars + 10
    # A gene in two programs has two columns; its linear weight counts once.
    model.module.member_scale.zero_()
    module = model.module
    weight = np.zeros((adata.n_vars, 1))
    np.add.at(weight, module.order.numpy(), module.linear_weight.numpy())
    mean = np.zeros(adata.n_vars)
    mean[module.order.numpy()] = module.mean.numpy()
    expected = (log_expression(adata) - mean) @ weight + module.linear_bias.numpy()
    found = model.predict_logits()["sensitive"]
    np.testing.assert_allclose(found, expected[:, 0], rtol=0, atol=2e-5)
    used = (module.linear_weight != 0).any(dim=1).numpy()
    assert np.bincount(module.order.numpy()[used]).max() == 1
    np.testing.assert_allclose(mean, log_expression(adata).mean(axis=0), atol=1e-5)


def test_overlapping_programs_read_the_same_coordinates_both_ways(ready_with_programs):
    """Training sums bags of sorted columns, prediction sums rows; both have to agree."""
    model, adata = ready_with_programs
    module = model.module
    x, order = log_expression(adata)[:20], module.order.numpy()
    net = module.members[0]
    torch.nn.init.constant_(net.head.weight, 0.1)
    centred = torch.from_numpy((x[:, order] - module.mean.numpy()).astype(np.float32))
    sums = [
        centred[:, (net.tokens.programs == k)] @ net.tokens.weight[net.tokens.programs == k]
        for k in range(3)
    ]
    with torch.no_grad():
        residual = net.from_coordinates(torch.stack(sums, dim=1)).numpy()
    module.member_scale.fill_(1.0)
    found = model.predict_logits(indices=np.arange(20))["sensitive"]
    expected = linear_part(model, adata)[:20, 0] + residual[:, 0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_small_and_unknown_programs(made):
    adata = prepared(made)
    genes = list(adata.var_names[:5])
    with pytest.warns(UserWarning, match=r"1 of 2 programs .* left out: few"):
        model = DTPTransformer(adata, programs={"some": genes, "few": genes[:2]})
    assert model.program_names_ == ["some"]
    with pytest.raises(ValueError, match="none of 1"):
        DTPTransformer(adata, programs={"foreign": ["x1", "x2", "x3"]})


def test_class_weight_moves_the_logits(ready, made):
    unweighted, adata = ready
    models = [
        trained(prepared(made), class_weight={"drug_tolerant": 1, "sensitive": 5}),
        unweighted,
        trained(prepared(made), class_weight="balanced"),
    ]
    means = [expit(model.predict_logits()["drug_tolerant"]).mean() for model in models]
    share = (adata.obs["state"] == "drug_tolerant").mean()
    # Calibration takes the weight back out: probabilities are about the data as they are.
    for model in models:
        assert abs(model.predict_proba()["drug_tolerant"].mean() - share) < 0.15
    assert means[0] < means[1] < means[2]
    assert means[1] == pytest.approx(share, abs=0.05)
    assert means[2] == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize("weight", ["equal", {"drug_tolerant": 1}, {"a": 1, "b": 2}])
def test_unknown_class_weight(made, weight):
    with pytest.raises(ValueError, match="`class_weight` to be 'balanced' or to weigh"):
        trained(prepared(made), class_weight=weight)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"max_epochs": 0}, "`max_epochs`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"downsample": 2}, "`downsample`"),
        ({"threshold_rule": "best"}, "best"),
    ],
)
def test_unfit_arguments_of_train(made, kwargs, match):
    with pytest.raises(ValueError, match=match):
        trained(prepared(made), **kwargs)


@pytest.mark.parametrize(
    ("init", "match"),
    [
        ({"d_model": 10, "n_heads": 4}, "`n_heads` to divide `d_model`"),
        ({"n_members": 6}, "`n_members`"),
        ({"n_programs": 0}, "`n_programs`"),
        ({"dropout": 1.5}, "`dropout`"),
        ({"gene_dropout": (0.5, 0.2)}, "gene_dropout"),
    ],
)
def test_unfit_arguments_of_the_model(made, init, match):
    with pytest.raises(ValueError, match=match):
        DTPTransformer(prepared(made), **init)


def test_a_class_without_rows(made):
    adata = prepared(made)
    rows = np.flatnonzero(adata.obs["state"] == "sensitive")
    with pytest.raises(ValueError, match="no row of drug_tolerant"):
        trained(adata, indices=rows)


def test_only_the_given_rows_are_used(made):
    rows = np.flatnonzero(np.arange(made.n_obs) % 3 > 0)
    first = trained(prepared(made), indices=rows)
    other = made.copy()
    counts = other.layers["counts"].toarray()
    rest = np.setdiff1d(np.arange(made.n_obs), rows)
    counts[rest] = np.random.default_rng(0).poisson(3, counts[rest].shape)
    other.layers["counts"] = counts
    labels = other.obs["state"].astype(str).to_numpy()
    labels[rest] = np.where(labels[rest] == "sensitive", "drug_tolerant", "sensitive")
    other.obs["state"] = labels
    second = trained(prepared(other), indices=rows)
    assert same(weights(first), weights(second))
    assert first.threshold_ == second.threshold_
    mask = np.isin(np.arange(made.n_obs), rows)
    assert same(weights(first), weights(trained(prepared(made), indices=mask)))


def test_one_donor_holds_out_cells(made):
    adata = made.copy()
    adata.obs["donor"] = "only"
    model = trained(prepared(adata))
    assert model.protocol_["held_out"] == "cell"


def test_a_class_in_one_donor_warns(made):
    adata = made.copy()
    donors = adata.obs["donor"].astype(str)
    adata.obs["state"] = np.where(
        (donors == donors.iloc[0]) & (np.arange(adata.n_obs) % 2 == 0),
        "drug_tolerant",
        "sensitive",
    )
    with pytest.warns(UserWarning, match="A class is present in one donor only"):
        model = trained(prepared(adata))
    assert model.protocol_["held_out"] == "cell"


def test_threshold_rule_and_negatives(made):
    adata = prepared(made)
    negatives = (adata.obs["state"] == "sensitive").to_numpy()
    model = trained(
        adata,
        threshold_rule="fpr",
        threshold_kwargs={"negatives": negatives, "target": 0.2},
    )
    assert model.threshold_["rule"] == "fpr"


def test_program_attention(ready):
    model, adata = ready
    model.module.member_scale.fill_(1.0)
    table = model.get_program_attention()
    assert table.shape == (adata.n_obs, 5)
    assert list(table.columns) == model.program_names_
    assert (table >= 0).all(axis=None)
    assert (table.sum(axis=1) <= 1 + 1e-6).all()
    grouped = model.get_program_attention(groupby="donor")
    np.testing.assert_allclose(grouped, table.groupby(adata.obs["donor"].astype(str)).mean())
    query = adata.copy()
    query.X = query.layers["counts"]
    np.testing.assert_allclose(model.get_program_attention(query), table, atol=1e-5)
    with pytest.raises(KeyError, match="`groupby`"):
        model.get_program_attention(groupby="tisue")
    model.module.member_scale.zero_()
    with pytest.warns(UserWarning, match="describes nothing that the model uses"):
        model.get_program_attention()


def test_gene_embedding(ready_with_programs, overlapping):
    model, adata = ready_with_programs
    table = model.get_gene_embedding()
    assert table.shape == (adata.n_vars, 16)
    assert list(table.index) == list(adata.var_names)
    inside = {gene for genes in overlapping.values() for gene in genes}
    moved = (table != 0).any(axis=1)
    assert not moved[~table.index.isin(list(inside))].any()
    # Genes that no axis carries stay where they are.
    assert moved[table.index.isin(list(inside))].mean() > 0.5
    # A unit of a gene moves the tokens of its programs by its weight times their lifts.
    tokens, order = model.module.members[0].tokens, model.module.order
    columns = torch.nonzero(order == 12).flatten()
    assert len(columns) == 2
    expected = sum(tokens.weight[c] @ tokens.lift[tokens.programs[c]] for c in columns)
    np.testing.assert_allclose(table.iloc[12], expected.detach(), atol=1e-6)
