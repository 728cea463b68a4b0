"""What the transfer check says of real cohorts, and recalibration on real negatives."""

from __future__ import annotations

import numpy as np
import pytest

from dtp_scvi.model import DTPTransformer
from dtp_scvi.tl import recalibrate, score, transfer_check


@pytest.fixture(scope="module")
def student(malignant_cells):
    teacher = DTPTransformer(malignant_cells)
    teacher.train(max_epochs=5, verbose=False)
    return teacher.distill(max_epochs=5, mixtures=4, verbose=False)


def test_the_training_rows_may_be_called(malignant_cells, student):
    assert transfer_check(malignant_cells.copy(), student)["verdict"] == "calls"


@pytest.mark.parametrize("name", ["gse74246", "bulk"])
def test_bulk_samples_are_not_called(name, student, fresh):
    adata = fresh(name)
    score(adata, student)
    assert adata.uns["dtp"]["transfer"]["verdict"] == "rank_only"
    assert adata.obs["dtp_call"].isna().all()


def test_negatives_set_the_rate_on_others(student, fresh):
    adata = fresh("pbmc")
    score(adata, student)
    first = np.zeros(adata.n_obs, bool)
    first[np.random.default_rng(0).permutation(adata.n_obs)[: adata.n_obs // 2]] = True
    recalibrate(adata, negatives=first, target_fpr=0.05)
    rate = (adata.obs["dtp_call"][~first] == "malignant").mean()
    assert rate == pytest.approx(0.05, abs=0.015)


def test_training_on_confounded_cells_stops_and_names_the_override(fresh):
    adata = fresh("pc9")
    with pytest.raises(ValueError, match=r"obs\['condition'\] holds one class.*allow_confounded"):
        DTPTransformer.setup_anndata(
            adata, "label", positive="drug_tolerant", batch_key="condition"
        )
