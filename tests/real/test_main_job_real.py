"""The main job on real leukaemia cells: train, distil, score other cohorts."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from dtp_scvi.model import DTPTransformer
from dtp_scvi.tl import cross_validate, score

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CELLS = DATA / "aml_scrna" / "vangalen2019_GSE116256_AML1012-D0_raw_1136x27899.h5ad"

pytestmark = pytest.mark.skipif(not CELLS.exists(), reason=f"needs real data at {CELLS.name}")


@pytest.fixture(scope="module")
def cells():
    adata = ad.read_h5ad(CELLS)
    DTPTransformer.setup_anndata(adata, "PredictionRefined", positive="malignant")
    return adata


@pytest.fixture(scope="module")
def student(cells):
    teacher = DTPTransformer(cells)
    teacher.train(verbose=False)
    return teacher.distill(verbose=False)


def gse74246():
    table = pd.read_csv(
        DATA / "gse74246" / "GSE74246_healthy45_log2_sizefactor_norm.csv.gz", index_col=0
    )
    return AnnData(table.T.astype(np.float32))


QUERIES = {
    "pellin": (
        lambda: ad.read_h5ad(DATA / "aml_scrna" / "pellin2019_GSE117498_HSC_MPP_raw.h5ad"),
        "counts",
    ),
    "pbmc": (lambda: ad.read_h5ad(DATA / "pbmc" / "pbmc4k_soupx_raw_2170x33694.h5ad"), "counts"),
    "gse74246": (gse74246, "log2_sizefactor"),
    "bulk": (
        lambda: ad.read_h5ad(DATA / "aml_bulk" / "amlmapr_example_counts_100x60660.h5ad"),
        "counts",
    ),
}


def test_the_student_follows_its_teacher_on_held_out_cells(student):
    assert student.fidelity_["spearman"] >= 0.96
    assert student.fidelity_["agreement"] >= 0.90


@pytest.mark.parametrize("name", QUERIES)
def test_scoring_another_cohort(student, name):
    read, scale = QUERIES[name]
    query = read()
    columns = list(query.obs)
    score(query, student)
    record = query.uns["dtp"]
    assert record["scale"] == scale
    assert record["coverage"] > 0.8
    assert record["weighted_coverage"] > 0.8
    assert np.isfinite(query.obs["dtp_logit"]).all()
    assert query.obs["dtp_score"].between(0, 1).all()
    assert query.obs["dtp_logit"].std() > 0.05
    assert [c for c in query.obs if not c.startswith("dtp_")] == columns


def test_shuffling_the_labels_leaves_nothing_to_find(cells):
    shuffled = AnnData(cells.X, obs=cells.obs.copy(), var=cells.var)
    labels = np.random.default_rng(0).permutation(cells.obs["PredictionRefined"].to_numpy())
    shuffled.obs["PredictionRefined"] = labels
    DTPTransformer.setup_anndata(shuffled, "PredictionRefined", positive="malignant")
    with pytest.warns(UserWarning, match="optimistic"):
        table = cross_validate(
            DTPTransformer, shuffled, n_folds=3, baselines=(), verbose=False, n_boot=20
        )
    auroc = table.set_index(["model", "metric"]).loc[("teacher", "auroc"), "value"]
    assert 0.43 < auroc < 0.57


@pytest.mark.slow
def test_the_teacher_holds_its_own_against_linear_and_boosted_models(cells):
    with pytest.warns(UserWarning, match="optimistic"):
        table = cross_validate(
            DTPTransformer,
            cells,
            baselines=("logistic_regression", "gradient_boosting"),
            verbose=False,
        )
    auroc = table[table["metric"] == "auroc"].set_index("model")["value"]
    assert auroc["teacher"] >= auroc["logistic_regression"] - 0.01
