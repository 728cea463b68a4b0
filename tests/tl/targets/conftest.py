"""Scored samples in which some genes follow the score, and tables of evidence on them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

N_PLANTED = 8


def make_samples(n=40, n_genes=120, *, effect=1.2, seed=0):
    """Counts of donors; the first eight genes go up with the score by ``effect`` per SD."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n)
    level = rng.normal(3, 1, size=n_genes)
    slope = np.r_[np.full(N_PLANTED, effect), np.zeros(n_genes - N_PLANTED)]
    mean = np.exp(level + score[:, None] * slope + 0.5 * rng.normal(size=(n, n_genes)))
    return ad.AnnData(
        rng.poisson(mean).astype(np.float32),
        obs=pd.DataFrame({"dtp_score": score}, index=[f"p{i:03d}" for i in range(n)]),
        var=pd.DataFrame(index=[f"GENE{i:03d}" for i in range(n_genes)]),
    )


@pytest.fixture
def make():
    return make_samples


@pytest.fixture
def samples():
    return make_samples()


@pytest.fixture
def planted(samples):
    return list(samples.var_names[:N_PLANTED])


@pytest.fixture
def evidence(samples):
    """Tables on all genes; nothing in them favours the planted ones."""
    rng = np.random.default_rng(5)
    genes, n = samples.var_names, samples.n_vars
    n_sources = rng.integers(2, 6, size=n)
    return {
        "normal": pd.DataFrame(
            rng.gamma(1, 20, size=(n, 3)), index=genes, columns=["liver", "lung", "testis"]
        ),
        "dependency": pd.DataFrame(
            {"difference": rng.normal(size=n), "is_common_essential": False}, index=genes
        ),
        "surface": pd.DataFrame(
            {"surfy": True, "n_sources": n_sources, "strict": True, "loose": True}, index=genes
        ),
        "hpa": pd.DataFrame(
            {
                "HPA_surface_protein": "Yes",
                "HPA_antibody_reliability": rng.choice(["Enhanced", "Approved"], size=n),
                "HPA_reliability_IH": "Not available",
                "HPA_reliability_IF": "Approved",
            },
            index=genes,
        ),
    }


@pytest.fixture
def quick():
    return {"n_boot": 20, "n_shuffles": 20, "scale": "counts"}
