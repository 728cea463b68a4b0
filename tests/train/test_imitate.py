"""The ridge start against scikit-learn on standardised data."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import Ridge

from dtp_scvi.train import ridge_start


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("n_measured", [200, 120])
def test_ridge_start_is_a_ridge_regression(n_outputs, n_measured):
    rng = np.random.default_rng(0)
    x = np.log1p(rng.poisson(1.5, (200, 15))).astype(np.float32)
    target = (x @ rng.normal(size=(15, n_outputs)) + rng.normal(size=(200, n_outputs)) + 2).astype(
        np.float32
    )
    found = ridge_start(sp.csr_matrix(x), target, n_measured)
    mean, sd = x[:n_measured].mean(axis=0), x[:n_measured].std(axis=0)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(found.sd, sd, rtol=1e-4)
    z = (x.astype(np.float64) - mean) / sd
    expected = Ridge(alpha=0.05 * 200).fit(z, target)
    np.testing.assert_allclose(found.weight.T, np.atleast_2d(expected.coef_), atol=1e-4)
    np.testing.assert_allclose(found.bias, np.ravel(expected.intercept_), atol=1e-4)


def test_a_constant_gene_gets_no_weight():
    rng = np.random.default_rng(0)
    x = np.log1p(rng.poisson(1.5, (100, 5))).astype(np.float32)
    x[:, 2] = 0
    found = ridge_start(sp.csr_matrix(x), x[:, :1], 100)
    assert found.weight[2, 0] == pytest.approx(0, abs=1e-6)
    assert found.sd[2] > 0
    assert np.isfinite(found.weight).all()
