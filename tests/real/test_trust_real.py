"""What the transfer check says of real cohorts, and recalibration on real negatives."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from dtp_scvi.model import DTPTransformer
from dtp_scvi.tl import recalibrate, score, transfer_check

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
    teacher.train(max_epochs=5, verbose=False)
    return teacher.distill(max_epochs=5, mixtures=4, verbose=False)


def pbmc():
    return ad.read_h5ad(DATA / "pbmc" / "pbmc4k_soupx_raw_2170x33694.h5ad")


def gse74246():
    table = pd.read_csv(
        DATA / "gse74246" / "GSE74246_healthy45_log2_sizefactor_norm.csv.gz", index_col=0
    )
    return AnnData(table.T.astype(np.float32))


def aml_bulk():
    return ad.read_h5ad(DATA / "aml_bulk" / "amlmapr_example_counts_100x60660.h5ad")


def test_the_training_rows_may_be_called(cells, student):
    assert transfer_check(cells, student)["verdict"] == "calls"


@pytest.mark.parametrize("make", [gse74246, aml_bulk])
def test_bulk_samples_are_not_called(make, student):
    adata = make()
    score(adata, student)
    assert adata.uns["dtp"]["transfer"]["verdict"] == "rank_only"
    assert adata.obs["dtp_call"].isna().all()


def test_negatives_set_the_rate_on_others(student):
    adata = pbmc()
    score(adata, student)
    first = np.zeros(adata.n_obs, bool)
    first[np.random.default_rng(0).permutation(adata.n_obs)[: adata.n_obs // 2]] = True
    recalibrate(adata, negatives=first, target_fpr=0.05)
    rate = (adata.obs["dtp_call"][~first] == "malignant").mean()
    assert rate == pytest.approx(0.05, abs=0.015)


def test_training_on_confounded_cells_stops_and_names_the_override():
    name = "pc9_erlotinib_day11_dropseq_raw_min500umi.h5ad"
    adata = ad.read_h5ad(DATA / "persister_pc9" / name)
    with pytest.raises(ValueError, match=r"obs\['condition'\] holds one class.*allow_confounded"):
        DTPTransformer.setup_anndata(
            adata, "label", positive="drug_tolerant", batch_key="condition"
        )
