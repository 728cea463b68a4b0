"""Rules, students, several classes, and every way to ask for what can't be done."""

from __future__ import annotations

import numpy as np
import pytest

from dtp_scvi import stats, tl
from dtp_scvi.tl._cv_arguments import given_arguments


def run(fake, adata, **kwargs):
    arguments = {"n_folds": 3, "baselines": ("mean_expression",), "n_boot": 20, "verbose": False}
    table = tl.cross_validate(fake, adata, **{**arguments, **kwargs})
    return table, adata.uns[kwargs.get("key_added", "dtp_cv")]


@pytest.mark.parametrize(
    ("rule", "kwargs"),
    [
        ("f1", {}),
        ("recall", {"target": 0.9}),
        ("fpr", {"target": 0.1, "negatives": "healthy"}),
        ("fixed", {"fixed": 0.3}),
    ],
)
def test_one_rule_for_all_thresholds(fake, cells, rule, kwargs):
    _, result = run(fake, cells, threshold_rule=rule, threshold_kwargs=kwargs)
    named = {k: cells.obs[v] if k == "negatives" else v for k, v in kwargs.items()}
    p = result["probabilities"]["Fake"]
    expected = stats.choose_threshold(result["label"], p, rule=rule, n_boot=0, **named)
    assert result["threshold"]["value"] == expected.value
    assert result["params"]["fold_threshold_rule"] == rule
    if rule == "fixed":
        assert (result["folds"]["threshold_mean_expression"] == 0.3).all()
    if rule == "recall":
        called = result["probabilities"].ge(0.0) & False
        for name in called:
            cut = result["folds"][f"threshold_{name}"].to_numpy()[result["fold"]]
            called[name] = result["probabilities"][name] >= cut
        assert (called[result["label"]].mean() > 0.75).all()


def test_student_is_judged_beside_its_teacher(fake, cells):
    table, result = run(fake, cells, distill={"n_genes": 5})
    assert table["model"].unique().tolist() == ["Fake", "student", "mean_expression"]
    found = cells.uns["dtp_fidelity"]
    teacher, student = (found["table"][f"{who}_logit"] for who in ("teacher", "student"))
    assert np.array_equal(teacher, result["scores"]["Fake"])
    assert np.array_equal(student, result["scores"]["student"])
    cut = result["folds"]["threshold_Fake"].to_numpy()[result["fold"]]
    called = [result["probabilities"][name] >= cut for name in ("Fake", "student")]
    agreement = float(np.mean(called[0] == called[1]))
    assert found["summary"]["agreement"] == pytest.approx(agreement)
    assert found["summary"]["spearman"] == pytest.approx(teacher.corr(student, "spearman"))
    assert found["summary"]["spearman_low"] <= found["summary"]["spearman"]
    assert found["summary"]["n"] == cells.n_obs
    assert found["table"]["group"].tolist() == cells.obs["donor"].tolist()
    # On the logits each fold's cut lies halfway between the nearest calls on either side.
    halfway = []
    for number in range(result["fold"].max() + 1):
        rows = result["fold"] == number
        above, below = teacher[rows & called[0]], teacher[rows & ~called[0]]
        halfway.append((above.min() + below.max()) / 2)
    assert found["teacher_threshold"] == pytest.approx(np.median(halfway))


def test_several_classes_are_positive_against_the_rest(fake, draw_cells):
    adata = draw_cells(classes=("bad", "good", "other"))
    fake.setup_anndata(adata, "state", donor_key="donor")
    table, result = run(fake, adata)
    assert np.array_equal(result["label"], adata.obs["state"] == "bad")
    auroc = table.set_index(["model", "metric"])["value"]["Fake", "auroc"]
    assert auroc > 0.7
    for number in range(3):
        assert set(adata.obs["state"][result["fold"] == number]) == {"bad", "good", "other"}


def test_lsc17_is_left_out_where_no_gene_is_there(fake, cells):
    cells.var_names = [f"G{i}" for i in range(cells.n_vars)]
    table, result = run(fake, cells, baselines=("lsc17", "mean_expression"))
    assert table["model"].unique().tolist() == ["Fake", "mean_expression"]
    assert "none of its 17 genes" in result["params"]["left_out"]["lsc17"]
    assert "lsc17" not in result["params"]


def test_nothing_is_written_when_a_fold_fails(fake, cells):
    before = set(cells.uns)
    with pytest.raises(RuntimeError, match="ran out of luck"):
        run(fake, cells, train_kwargs={"fail": True})
    assert len(fake.trained) == 1
    assert set(cells.uns) == before


def test_result_is_written_under_key_added(fake, cells):
    columns = cells.obs.columns.tolist()
    table, result = run(fake, cells, key_added="again")
    assert "dtp_cv" not in cells.uns
    assert "dtp_fidelity" not in cells.uns
    assert cells.obs.columns.tolist() == columns
    table["value"] = 0.0
    assert result["metrics"]["value"].max() > 0


def test_bar_is_shown_when_asked_for(fake, cells, capsys):
    run(fake, cells, verbose=True)
    shown = capsys.readouterr().err
    assert "cross-validation" in shown
    assert "fold 3: mean_expression" in shown
    run(fake, cells)
    assert capsys.readouterr().err == ""


def test_too_many_folds_name_the_feasible_maximum(fake, cells):
    with pytest.raises(ValueError, match="The feasible maximum is 8 folds"):
        run(fake, cells, n_folds=9)
    assert fake.trained == []


@pytest.mark.parametrize(
    ("kwargs", "error", "words"),
    [
        ({"baselines": ("svm",)}, ValueError, r"`baselines` to be one of .*found 'svm'"),
        ({"threshold_rule": "best"}, ValueError, r"`rule` to be one of .*found 'best'"),
        ({"threshold_rule": "recall"}, ValueError, "`target` exactly with rule"),
        ({"threshold_kwargs": {"n": 3}}, TypeError, "`threshold_kwargs` of target, fixed"),
        (
            {
                "threshold_rule": "fpr",
                "threshold_kwargs": {"target": 0.1, "negatives": "healthi"},
            },
            KeyError,
            r"'healthi'.*Did you mean healthy",
        ),
        ({"train_kwargs": {"seed": 1}}, TypeError, r"`train_kwargs` without indices and seed"),
        ({"distill": {"indices": [1]}}, TypeError, r"`distill` without indices and seed"),
        ({"n_boot": 0}, ValueError, "`n_boot` to be a whole number >= 1"),
        ({"batch_folds": True, "cell_level": True}, ValueError, "found both"),
    ],
)
def test_bad_argument_is_an_error_before_anything_is_fitted(fake, cells, kwargs, error, words):
    with pytest.raises(error, match=words):
        run(fake, cells, **kwargs)
    assert fake.trained == []


def test_named_negatives_have_to_be_in_every_training_part(fake, cells):
    cells.obs["healthy"] &= cells.obs["donor"] == "d1"
    kwargs = {"target": 0.1, "negatives": "healthy"}
    with pytest.raises(ValueError, match=r"all of them in the test rows of fold \d \(.*d1"):
        run(fake, cells, threshold_rule="fpr", threshold_kwargs=kwargs)


def test_batches_have_to_be_known_and_free_of_donors(fake, cells):
    cells.obs["donor"] = cells.obs["donor"].where(cells.obs["batch"] == "x", "d0")
    with pytest.raises(ValueError, match=r"every class in donors that are not in batch 'x'"):
        run(fake, cells, batch_folds=True)
    fake.setup_anndata(cells, "state", donor_key="donor")
    with pytest.raises(ValueError, match=r"a `batch_key` at setup_anndata.*found none"):
        run(fake, cells, batch_folds=True)


def test_batches_without_donors_are_warned_of(fake, cells):
    fake.setup_anndata(cells, "state", batch_key="batch")
    with pytest.warns(UserWarning, match="a donor may be in several"):
        _, result = run(fake, cells, batch_folds=True)
    assert result["params"]["optimistic"] is False
    assert result["params"]["interval"].startswith("bootstrap over cells")


def test_class_comes_first_and_can_distil(fake, cells):
    with pytest.raises(TypeError, match=r"Expected a model class.*found AnnData"):
        tl.cross_validate(cells, fake)
    with pytest.raises(TypeError, match=r"a model class.*found .*int"):
        tl.cross_validate(int, cells)
    bare = type("Bare", (), {"registration": fake.registration, "train": fake.train})
    with pytest.raises(TypeError, match="a model with a `distill` method; found Bare"):
        run(bare, cells, distill=True)


def test_signatures_of_few_genes_are_recorded_or_left_out(fake, cells):
    names = cells.var_names.to_list()
    names[5:8] = ["CD8A", "GZMB", "PRF1"]
    cells.var_names = names
    table, result = run(fake, cells, baselines=("ctl", "ifng"))
    assert table["model"].unique().tolist() == ["Fake", "ctl"]
    assert result["params"]["ctl"] == {"n_found": 3, "missing": "CD8B, GZMA"}
    assert "missing: IDO1, CXCL10" in result["params"]["left_out"]["ifng"]


class Quiet:
    """A model as an argument, whose repr would print."""

    id_ = "0123456789ab"

    def __bool__(self):
        return False

    def __repr__(self):
        pytest.fail("repr was asked for")


def test_objects_are_recorded_by_class_and_id(fake, cells):
    fake.trained = []
    _, result = run(fake, cells, train_kwargs={"fail": Quiet()}, model_kwargs={"C": 0.5})
    assert result["params"]["model_arguments"] == "[('C', 0.5)] [('fail', 'Quiet 0123456789ab')]"


def test_arguments_are_worded_at_any_depth():
    given = {"a": [Quiet(), (1, None)], "b": {"c": object()}}
    assert given_arguments(given, None) == (
        "[('a', ['Quiet 0123456789ab', (1, None)]), ('b', {'c': 'object'})] []"
    )
