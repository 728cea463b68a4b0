"""Studies, copies and resampling: planted effects that a protocol must show for what they are."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dtp_scvi import pl, stats, tl
from dtp_scvi.train import _baseline_trees as trees
from dtp_scvi.train import _baselines

QUICK = ("mean_expression",)


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setattr(trees, "N_TREES", 60)
    monkeypatch.setattr(trees, "_N_INNER_TREES", 10)


def make_patients(n=240, *, n_genes=40, shares=(0.62, 0.4, 0.12), effect=0.0, seed=0):
    """One row a patient; a study shifts a third of the genes and sets the share of responders."""
    rng = np.random.default_rng(seed)
    code = rng.integers(0, len(shares), n)
    response = rng.random(n) < np.array(shares)[code]
    mean = rng.gamma(2.0, 20.0, n_genes) * np.ones((n, 1))
    for number in range(len(shares)):
        rows = code == number
        mean[rows, 8 * number : 8 * number + 8] *= 1.6
    mean[response, 30:36] *= 1 + effect
    counts = rng.poisson(rng.gamma(8.0, 1 / 8, (n, n_genes)) * mean)
    obs = pd.DataFrame(
        {
            "state": np.where(response, "bad", "good"),
            "donor": [f"p{i}" for i in range(n)],
            "study": np.array(["A", "B", "C", "D"])[code],
        },
        index=[f"s{i}" for i in range(n)],
    )
    var = pd.DataFrame(index=[f"G{i}" for i in range(n_genes)])
    return ad.AnnData(counts.astype(np.float32), obs=obs, var=var)


def run(fake, adata, **kwargs):
    fake.setup_anndata(adata, "state", donor_key="donor")
    arguments = {"n_folds": 5, "baselines": QUICK, "n_boot": 50, "verbose": False, "audit": False}
    table = tl.cross_validate(fake, adata, **{**arguments, **kwargs})
    return table.set_index(["model", "metric"]), adata.uns["dtp_cv"]


@pytest.fixture(scope="module")
def study_effect(fresh):
    fake, _ = fresh()
    patients = make_patients()
    return patients, *run(fake, patients, study_key="study", baselines=("random_forest",))


def test_a_study_effect_is_seen_pooled_and_gone_within_studies(study_effect):
    _, table, _ = study_effect
    for name in ("Fake", "random_forest", "study_only"):
        assert table.loc[(name, "auroc"), "value"] > 0.6
        within = table.loc[(name, "auroc_within_study_and_fold")]
        assert within["low"] < 0.5 < within["high"] or within["value"] == 0.5
        assert abs(table.loc[(name, "auroc_within_study"), "value"] - 0.5) < 0.12
    assert table.loc[("study_only", "auroc_within_study_and_fold"), "value"] == 0.5


def test_within_study_values_are_those_of_the_stored_scores(study_effect):
    patients, table, result = study_effect
    study, label = patients.obs["study"].to_numpy(), result["label"]
    score = result["scores"]["random_forest"]
    found = stats.stratified_auroc(label, score, study)
    assert table.loc[("random_forest", "auroc_within_study"), "value"] == pytest.approx(found)
    each = result["within_study"].set_index(["model", "study"])
    here = study == "B"
    expected = stats.auroc(label[here], score[here])
    assert each.loc[("random_forest", "B"), "value"] == pytest.approx(expected)
    assert each.loc[("random_forest", "B"), "n_positive"] == label[here].sum()
    assert table.index.get_level_values("model").unique().tolist() == list(result["scores"])
    assert result["params"]["arguments"]["study_key"] == "study"
    assert result["params"]["n_studies"] == 3


def test_a_study_is_held_out_with_its_patients(fake):
    patients = make_patients(effect=1.0)
    patients.obs.loc[patients.obs_names[:30], "donor"] = patients.obs["study"][:30].to_numpy()
    patients.obs.loc[patients.obs_names[:3], "donor"] = "everywhere"
    fake.setup_anndata(patients, "state", donor_key="donor")
    with pytest.warns(UserWarning, match="Some donors are in several studies"):
        tl.cross_validate(
            fake,
            patients,
            study_key="study",
            study_folds=True,
            baselines=QUICK,
            n_boot=20,
            verbose=False,
        )
    result = patients.uns["dtp_cv"]
    assert result["params"]["protocol"] == "leave-one-study-out (3 studies)"
    assert result["params"]["optimistic"] is False
    assert result["folds"]["held_out"].tolist() == ["A", "B", "C"]
    assert "not defined" in result["params"]["left_out"]["study_only"]
    assert list(result["scores"]) == ["Fake", "mean_expression"]
    for call, study in zip(fake.trained, "ABC", strict=True):
        trained = patients.obs.iloc[call["indices"]]
        assert study not in set(trained["study"])
        tested = patients.obs["donor"][patients.obs["study"] == study]
        assert not set(trained["donor"]) & set(tested)


def with_copies(patients, labels):
    """Double the responders, as if they were other patients."""
    patients.obs["state"] = labels
    again = patients[patients.obs["state"] == "bad"].copy()
    again.obs["donor"] = again.obs["donor"] + "_copy"
    again.obs_names = again.obs_names + "_copy"
    return ad.concat([patients, again])


def test_copies_on_both_sides_are_refused_or_called_optimistic(fake, tmp_path):
    patients = make_patients(300, n_genes=200, shares=(0.3, 0.3))
    rng = np.random.default_rng(3)
    permuted = rng.permutation(patients.obs["state"].to_numpy())
    patients.obs["state"] = permuted
    honest, _ = run(fake, patients, baselines=("random_forest",))
    leaky = with_copies(patients, permuted)
    fake.trained.clear()
    fake.setup_anndata(leaky, "state", donor_key="donor")
    with pytest.raises(ValueError, match=r"of 3\d\d test rows \d+ have an identical row.*rows s"):
        tl.cross_validate(fake, leaky, verbose=False)
    assert fake.trained == []
    with pytest.warns(UserWarning, match=r"The metrics are optimistic: of 3\d\d test rows"):
        table, result = run(fake, leaky, baselines=("random_forest",), allow_shared_rows=True)
    assert abs(honest.loc[("random_forest", "auroc"), "value"] - 0.5) < 0.12
    assert table.loc[("random_forest", "auroc"), "value"] > 0.8
    params = result["params"]
    assert params["optimistic"] is True
    assert "have an identical row in training data" in params["protocol"]
    assert params["shared_rows"]["n_rows"] > 60
    assert params["arguments"]["allow_shared_rows"] is True
    assert any("identical row" in note for note in params["warnings"])
    # With the same name for a patient's copies the folds hold them together.
    leaky.obs["donor"] = leaky.obs["donor"].str.removesuffix("_copy")
    with pytest.warns(UserWarning, match="The donor determines the label"):
        table, result = run(fake, leaky, baselines=("random_forest",))
    assert abs(table.loc[("random_forest", "auroc"), "value"] - 0.5) < 0.15
    assert result["params"]["optimistic"] is False
    leaky.write_h5ad(tmp_path / "leaky.h5ad")
    assert pl.roc(ad.read_h5ad(tmp_path / "leaky.h5ad")).get_xlabel()


def test_test_rows_never_take_part_in_resampling(fake, monkeypatch):
    pytest.importorskip("imblearn")
    patients = make_patients(150, shares=(0.2, 0.25, 0.3))
    # One responder has a gene that no other row has: whatever is made of it has some of it.
    marked = int(np.flatnonzero(patients.obs["state"] == "bad")[0])
    patients.X[:, 0] = 0
    patients.X[marked, 0] = 500
    seen = []
    original = _baselines.make_sample

    def spy(X, labels, folds, method, seed):
        sample = original(X, labels, folds, method, seed)
        seen.append((X.shape[0], sample, method))
        return sample

    monkeypatch.setattr(_baselines, "make_sample", spy)
    _, result = run(fake, patients, resample="smote", study_key="study")
    assert [method for *_, method in seen] == ["smote", None] * 5
    for number, (n, sample, _) in enumerate(seen[::2]):
        assert n == sample.n == (result["fold"] != number).sum()
        assert sample.is_positive[sample.whole].mean() == 0.5
        assert (sample.X[:, 0].nnz > 0) == (result["fold"][marked] != number)
        assert sample.X.shape[0] > n
    # The model is trained on the rows as they are.
    assert [len(call["indices"]) for call in fake.trained] == [n for n, *_ in seen[::2]]
    assert result["params"]["resample"]["method"] == "smote"
    assert result["params"]["resample"]["not_for"] == "Fake"
    assert len(result["scores"]) == 150


@pytest.mark.parametrize(
    ("kwargs", "error", "words"),
    [
        ({"study_folds": True}, ValueError, "a `study_key` for study_folds=True"),
        ({"study_key": "stdy"}, KeyError, "Did you mean study"),
        ({"study_key": "one"}, ValueError, r"two studies or more.*only 'x'"),
        ({"study_key": "study", "study_folds": True, "cell_level": True}, ValueError, "both"),
        ({"resample": "adasyn"}, ValueError, "`resample` to be one of"),
        ({"baselines": ("study_only",)}, ValueError, "a `study_key` for 'study_only'"),
    ],
)
def test_bad_argument_is_an_error_before_anything_is_fitted(fake, kwargs, error, words):
    patients = make_patients(60)
    patients.obs["one"] = "x"
    fake.setup_anndata(patients, "state", donor_key="donor")
    with pytest.raises(error, match=words):
        tl.cross_validate(fake, patients, **{"verbose": False, "baselines": (), **kwargs})
    assert fake.trained == []


def test_comparators_are_run_when_named(fake):
    patients = make_patients(120, shares=(0.5, 0.5), effect=1.5)
    table, _ = run(fake, patients, baselines=("svm_rbf", "adaboost"), n_folds=3)
    assert table.loc[("svm_rbf", "auroc"), "value"] > 0.75
    assert table.loc[("adaboost", "auroc"), "value"] > 0.65
