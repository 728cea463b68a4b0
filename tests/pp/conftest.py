from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest


def _make_cells(n: int = 240, n_genes: int = 150, seed: int = 0) -> ad.AnnData:
    """Cells without any secret: label, donor, run and site have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    mean = rng.gamma(1.0, 1.5, n_genes) + 0.5
    counts = rng.poisson(mean * rng.gamma(20, 1 / 20, (n, 1))).astype(np.float32)
    obs = pd.DataFrame(
        {
            "state": np.where(np.arange(n) % 2, "resistant", "sensitive"),
            "donor": [f"d{i}" for i in (np.arange(n) // 2) % 6],
            "run": [f"r{i}" for i in rng.integers(0, 3, n)],
            "site": [f"s{i}" for i in rng.integers(0, 2, n)],
        },
        index=[f"cell{i}" for i in range(n)],
    )
    return ad.AnnData(counts, obs=obs)


@pytest.fixture
def cells() -> ad.AnnData:
    return _make_cells()


@pytest.fixture
def make_cells():
    return _make_cells


@pytest.fixture
def get():
    """Look up one row of an audit by check and subject."""

    def look_up(table: pd.DataFrame, check: str, subject: str) -> pd.Series:
        rows = table[(table["check"] == check) & (table["subject"] == subject)]
        assert len(rows) == 1, f"{len(rows)} rows of {check} for {subject}"
        return rows.iloc[0]

    return look_up
