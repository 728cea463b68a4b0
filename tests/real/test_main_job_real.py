"""The main job on real leukaemia cells: train, distil, score other cohorts."""

from __future__ import annotations

import numpy as np
import pytest

from dtp_scvi.model import DTPTransformer
from dtp_scvi.tl import cross_validate, score

# Trained as by default on all genes: a minute and more.
pytestmark = pytest.mark.slow

SCALES = {"pellin": "counts", "pbmc": "counts", "gse74246": "log2_sizefactor", "bulk": "counts"}


@pytest.fixture(scope="module")
def student(malignant_cells):
    teacher = DTPTransformer(malignant_cells)
    teacher.train(verbose=False)
    return teacher.distill(verbose=False)


def test_the_student_follows_its_teacher_on_held_out_cells(student):
    assert student.fidelity_["spearman"] >= 0.96
    assert student.fidelity_["agreement"] >= 0.90


@pytest.mark.parametrize("name", SCALES)
def test_scoring_another_cohort(student, name, fresh):
    query = fresh(name)
    columns = list(query.obs)
    score(query, student)
    record = query.uns["dtp"]
    assert record["scale"] == SCALES[name]
    assert record["coverage"] > 0.8
    assert record["weighted_coverage"] > 0.8
    assert np.isfinite(query.obs["dtp_logit"]).all()
    assert query.obs["dtp_score"].between(0, 1).all()
    assert query.obs["dtp_logit"].std() > 0.05
    assert [c for c in query.obs if not c.startswith("dtp_")] == columns


def test_shuffling_the_labels_leaves_nothing_to_find(fresh):
    shuffled = fresh("vangalen")
    labels = np.random.default_rng(0).permutation(shuffled.obs["PredictionRefined"].to_numpy())
    shuffled.obs["PredictionRefined"] = labels
    DTPTransformer.setup_anndata(shuffled, "PredictionRefined", positive="malignant")
    with pytest.warns(UserWarning, match="optimistic"):
        table = cross_validate(
            DTPTransformer, shuffled, n_folds=3, baselines=(), verbose=False, n_boot=20
        )
    auroc = table.set_index(["model", "metric"]).loc[("teacher", "auroc"), "value"]
    assert 0.43 < auroc < 0.57


def test_the_teacher_holds_its_own_against_linear_and_boosted_models(fresh):
    cells = fresh("vangalen")
    DTPTransformer.setup_anndata(cells, "PredictionRefined", positive="malignant")
    with pytest.warns(UserWarning, match="optimistic"):
        table = cross_validate(
            DTPTransformer,
            cells,
            baselines=("logistic_regression", "gradient_boosting"),
            verbose=False,
        )
    auroc = table[table["metric"] == "auroc"].set_index("model")["value"]
    assert auroc["teacher"] >= auroc["logistic_regression"] - 0.01
