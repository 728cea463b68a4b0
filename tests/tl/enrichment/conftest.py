from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

GENES = [f"GENE{k:03d}" for k in range(200)]
SETS = {f"S{k}": GENES[25 * k : 25 * k + 25] for k in range(4)}


@pytest.fixture(scope="session")
def statistic() -> pd.Series:
    """A number a gene; the first set is shifted up, the second down."""
    values = np.random.default_rng(0).normal(size=len(GENES))
    values[:25] += 1.0
    values[25:50] -= 0.6
    return pd.Series(values, GENES, name="attribution")


@pytest.fixture(scope="session")
def weighted() -> dict:
    """Sets with weights of both signs that overlap."""
    rng = np.random.default_rng(1)
    return {
        name: {
            gene: float(rng.choice([-1.0, 1.0])) * rng.uniform(0.2, 1.0)
            for gene in [*genes, *rng.choice(GENES[100:], 10, replace=False)]
        }
        for name, genes in SETS.items()
    }


@pytest.fixture
def cells() -> ad.AnnData:
    """Counts of 12 donors, 25 cells each; the genes of S0 rise with the donor's score."""
    rng = np.random.default_rng(2)
    donor = np.repeat(np.arange(12), 25)
    level = rng.normal(size=12)
    rate = np.exp(rng.normal(size=200) + 0.1 * rng.normal(size=(300, 200)))
    rate[:, :25] *= np.exp(0.5 * level[donor])[:, None]
    obs = pd.DataFrame(
        {"donor": [f"d{k}" for k in donor], "score": level[donor] + 0.1 * rng.normal(size=300)},
        index=[f"c{k}" for k in range(300)],
    )
    return ad.AnnData(rng.poisson(rate).astype(np.float32), obs=obs, var=pd.DataFrame(index=GENES))
