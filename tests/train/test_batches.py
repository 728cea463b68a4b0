"""Batches: every row once, thinned counts as binomial draws, totals that follow."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from dtp_scvi.train import Rows, SparseBatches


def make(n=40, n_genes=30, *, rate=8.0, columns=None, seed=0):
    """Rows whose matrix may hold only some of the genes that their totals cover."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rate, (n, n_genes)).astype(np.float32)
    columns = np.arange(n_genes) if columns is None else columns
    return Rows(
        sp.csr_matrix(counts[:, columns]),
        counts.sum(axis=1).astype(np.float64),
        rng.integers(0, 2, n),
        rng.normal(size=(n, 1)).astype(np.float32),
        "linear",
    ), counts


def dense(batch, n_columns):
    offsets = batch["offsets"].numpy()
    shape = (len(offsets) - 1, n_columns)
    return sp.csr_matrix((batch["values"], batch["columns"], offsets), shape=shape).toarray()


def test_a_batch_holds_its_rows():
    data, counts = make()
    rows = np.array([5, 3, 3, 20])
    batch = data.batch(rows)
    np.testing.assert_array_equal(dense(batch, 30), counts[rows])
    np.testing.assert_array_equal(batch["total"], counts[rows].sum(axis=1))
    np.testing.assert_array_equal(batch["labels"], data.labels[rows])
    np.testing.assert_array_equal(batch["offset"], data.offset[rows])
    assert batch["labels"].dtype == torch.int64


@given(seed=st.integers(0, 2**16), share=st.floats(0, 1), n_columns=st.integers(1, 30))
def test_thinning_keeps_whole_numbers_below_the_counts(seed, share, n_columns):
    data, counts = make(columns=np.arange(n_columns))
    rows = np.arange(40)
    batch = data.thinned(rows, share, np.random.default_rng(seed))
    found = dense(batch, n_columns)
    assert (found == np.rint(found)).all()
    assert (found >= 0).all()
    assert (found <= counts[:, :n_columns]).all()
    total = batch["total"].numpy()
    assert (total >= found.sum(axis=1) - 1e-6).all()
    assert (total <= counts.sum(axis=1) + 1e-6).all()


def test_without_a_share_nothing_is_thinned():
    data, counts = make()
    batch = data.thinned(np.arange(40), 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(dense(batch, 30), counts)
    np.testing.assert_array_equal(batch["total"], counts.sum(axis=1))


def test_share_and_rate_of_thinning():
    data, counts = make(4000, 10, rate=50.0)
    batch = data.thinned(np.arange(4000), 0.4, np.random.default_rng(0))
    found = dense(batch, 10)
    rate = found.sum(axis=1) / counts.sum(axis=1)
    thinned = rate < 1
    # A draw that keeps close to all counts may lose none, so the share is a little lower.
    assert thinned.mean() == pytest.approx(0.4, abs=0.03)
    assert rate[thinned].mean() == pytest.approx(0.65, abs=0.02)
    assert rate.min() > 0.2
    np.testing.assert_allclose(batch["total"], found.sum(axis=1))


@pytest.mark.parametrize("columns", [np.arange(10), np.repeat(np.arange(10), 2)])
def test_totals_with_other_columns_than_genes(columns):
    """Genes outside the matrix lose what is expected; repeated columns count once in the total."""
    data, counts = make(2000, 30, rate=20.0, columns=columns)
    batch = data.thinned(np.arange(2000), 1.0, np.random.default_rng(0))
    kept = dense(batch, len(columns)).sum(axis=1) / counts[:, columns].sum(axis=1)
    by_total = batch["total"].numpy() / counts.sum(axis=1)
    assert np.corrcoef(kept, by_total)[0, 1] > 0.95
    assert by_total.mean() == pytest.approx(0.65, abs=0.02)
    assert by_total.max() <= 1.0
    assert np.abs(kept - by_total).mean() < 0.04


def test_the_rows_stay_as_they_are():
    data, counts = make()
    data.thinned(np.arange(40), 1.0, np.random.default_rng(0))
    np.testing.assert_array_equal(data.matrix.toarray(), counts)


def test_an_epoch_visits_every_training_row_once():
    data, _ = make()
    data.offset[:, 0] = np.arange(40)
    train, held_out = np.arange(0, 33), np.arange(33, 40)
    batches = SparseBatches(data, train, held_out, batch_size=10, thin=0.0, seed=0)
    epochs = [
        [b["offset"][:, 0].int().tolist() for b in batches.train_dataloader()] for _ in range(2)
    ]
    assert batches.n_batches == len(epochs[0]) == 4
    for epoch in epochs:
        assert sorted(functools.reduce(operator.iadd, epoch, [])) == train.tolist()
        assert max(map(len, epoch)) <= 10
    assert epochs[0] != epochs[1]
    again = SparseBatches(data, train, held_out, batch_size=10, thin=0.0, seed=0)
    assert [b["offset"][:, 0].int().tolist() for b in again.train_dataloader()] == epochs[0]
    validation = [b["offset"][:, 0].int().tolist() for b in batches.val_dataloader()]
    assert functools.reduce(operator.iadd, validation, []) == held_out.tolist()
