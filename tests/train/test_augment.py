"""Mixtures lie between their rows and count as counts do."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from dtp_scvi.data import Scale
from dtp_scvi.train import mix_rows


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return sp.csr_matrix(rng.poisson(3, (30, 20)).astype(np.float32))


def mixed(rows, seed=0, scale=Scale.COUNTS, **kwargs):
    rng = np.random.default_rng(seed)
    return mix_rows(rows, scale, 500, rng=rng, **{"counts": False, **kwargs})


def test_a_mixture_is_a_weighted_mean_of_two_compositions(rows):
    """Follow the draws: pairs, shares, and the geometric mean of the depths."""
    found = mixed(rows).toarray()
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 30, (2, 500))
    share = rng.beta(0.3, 0.3, 500)[:, None]
    x = rows.toarray().astype(np.float64)
    total = x.sum(axis=1, keepdims=True)
    composition = x / total
    expected = share * composition[first] + (1 - share) * composition[second]
    expected *= np.sqrt(total[first] * total[second])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_counts_are_drawn_around_the_mixture(rows):
    smooth, counts = mixed(rows), mixed(rows, counts=True)
    assert (counts.data == np.rint(counts.data)).all()
    assert (counts.data > 0).all()
    # Poisson: the variance of the difference is the sum of the rates.
    z = (counts.sum() - smooth.sum()) / np.sqrt(smooth.sum())
    assert abs(z) < 4


def test_input_is_left_alone_and_a_seed_fixes_the_draw(rows):
    before = rows.copy()
    first, second = (mixed(rows, seed=3, counts=True) for _ in range(2))
    assert (first != second).nnz == 0
    assert (rows != before).nnz == 0
    assert (first != mixed(rows, seed=4, counts=True)).nnz > 0
    assert first.has_sorted_indices
    assert first.dtype == np.float32


def test_a_row_without_counts_does_no_harm(rows):
    rows = rows.tolil()
    rows[0] = 0
    assert np.isfinite(mixed(rows.tocsr()).data).all()
