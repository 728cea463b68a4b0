"""Patients and drug response that look measured."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit


@pytest.fixture
def measured():
    """Return a function that makes patients whose drug response looks measured."""
    return _measured


def _measured(n: int = 250, n_drugs: int = 7, seed: int = 0, shared: float = 0.6) -> ad.AnnData:
    """Measured-looking response: 0-300, sparse, drugs correlate through the patient."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(size=n)
    rest = shared * rng.normal(size=(n, 1)) + rng.normal(size=(n, n_drugs))
    values = 300 * expit(0.5 * (0.5 * logit[:, None] + rest))
    values[rng.random(values.shape) < 0.3] = np.nan
    rows = [f"s{i}" for i in range(n)]
    obs = pd.DataFrame({"dtp_score": expit(logit), "dtp_logit": logit}, index=rows)
    auc = pd.DataFrame(values, index=rows, columns=[f"d{i}" for i in range(n_drugs)])
    return ad.AnnData(np.zeros((n, 1), dtype=np.float32), obs=obs, obsm={"drug_auc": auc})
