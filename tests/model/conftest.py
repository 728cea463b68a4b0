"""A teacher and a student trained once on small simulated data."""

from __future__ import annotations

import numpy as np
import pytest

from dtp_scvi.datasets import simulate_cells
from dtp_scvi.model import DTPTransformer


def set_up(adata, cls=DTPTransformer, **kwargs):
    given = {"positive": "drug_tolerant", "layer": "counts", "donor_key": "donor", **kwargs}
    cls.setup_anndata(adata, "state", **given)
    return adata


@pytest.fixture(scope="session")
def cells():
    return set_up(simulate_cells(500, 300, n_donors=6, seed=0))


@pytest.fixture(scope="session")
def teacher(cells):
    model = DTPTransformer(cells, n_programs=8, n_members=2)
    model.train(max_epochs=6, verbose=False)
    # Whatever was kept, the tests below need residuals that matter.
    model.module.member_scale.fill_(1.0)
    return model


@pytest.fixture(scope="session")
def student(teacher):
    return teacher.distill(n_genes=120, max_epochs=5, mixtures=1, verbose=False)


@pytest.fixture
def query():
    return simulate_cells(150, 300, n_donors=3, seed=7)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
