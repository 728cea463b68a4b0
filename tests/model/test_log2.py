"""A classifier learns the same from log2 without a pseudocount as from the linear values."""

from __future__ import annotations

import numpy as np
import pytest

from dtp_scvi.datasets import simulate_cells
from dtp_scvi.model import DTPTransformer


@pytest.fixture(scope="module")
def both_scales():
    linear = simulate_cells(300, 200, n_donors=4)
    counts = linear.layers["counts"].toarray().astype(np.float64)
    floor = np.random.default_rng(0).uniform(0.05, 0.6, counts.shape)
    linear.X = (3.7 * counts + floor).astype(np.float32)
    logs = linear.copy()
    logs.X = np.log2(3.7 * counts + floor).astype(np.float32)
    assert (logs.X < 0).any()
    return {"corrected_counts": linear, "log2": logs}


def test_teacher_and_student_agree(both_scales):
    found = []
    for scale, adata in both_scales.items():
        DTPTransformer.setup_anndata(
            adata, "state", positive="drug_tolerant", donor_key="donor", scale=scale
        )
        teacher = DTPTransformer(adata, n_programs=4)
        teacher.train(max_epochs=1, verbose=False)
        student = teacher.distill(n_genes=50, max_epochs=1, mixtures=1, verbose=False)
        found.append([m.predict_logits(adata, scale=scale).to_numpy() for m in (teacher, student)])
    for linear, logs in zip(*found, strict=True):
        assert logs == pytest.approx(linear, abs=5e-3)
