"""Averages over donors, and how far donors agree, against closed forms."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from dtp_scvi.model._attribute_checks import completeness, output_shares
from dtp_scvi.model._attribute_methods import RowParts
from dtp_scvi.model._attribute_rows import ExplainedRows
from dtp_scvi.model._attribute_summary import (
    Tally,
    gene_table,
    group_table,
    rank_stability,
    top_frequency,
)


@pytest.fixture
def explained(rng):
    """Rows with donors and groups, and a tally of made-up contributions in two batches."""
    n, g = 40, 12
    donors, groups = rng.choice(list("abc"), n), rng.choice(list("xy"), n)
    values = rng.random((n, g))
    rows = ExplainedRows(values, np.arange(n), donors, groups, np.ones(g, bool), ("log1p",))
    linear, residual = rng.normal(size=(2, n, g))
    tally = Tally(rows)
    for here in (slice(0, 25), slice(25, n)):
        parts = RowParts(linear[here], residual[here], np.zeros(1), np.zeros(1))
        tally.add(here, parts, values[here], rows)
    return rows, tally, linear, residual


def test_means_are_taken_by_donor_then_over_donors(explained):
    rows, tally, linear, residual = explained
    genes = np.array([f"g{i}" for i in range(12)])
    table = gene_table(tally, genes, rows.observed, 3).loc[genes]

    def over(values):
        return pd.DataFrame(values).groupby(rows.donors).mean()

    total = linear + residual
    expected = {
        "mean": over(total).mean(),
        "mean_abs": over(np.abs(total)).mean(),
        "linear": over(linear).mean(),
        "residual_abs": over(np.abs(residual)).mean(),
        "sd": over(total).std(),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(table[name], values, atol=1e-12)
    assert table["rank"].tolist() == (-table["mean_abs"]).rank().tolist()
    assert table["frequency"].sum() == pytest.approx(3)


def test_direction_is_the_correlation_weighted_by_donor(explained):
    rows, tally, linear, residual = explained
    weight = 1 / pd.Series(rows.donors).map(pd.Series(rows.donors).value_counts())
    found = tally.direction()
    for gene in range(12):
        pair = np.stack([rows.values[:, gene], (linear + residual)[:, gene]])
        cov = np.cov(pair, aweights=weight, ddof=0)
        assert found[gene] == pytest.approx(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]))


def test_groups_average_the_donors_that_they_hold(explained):
    rows, tally, linear, residual = explained
    genes = np.array([f"g{i}" for i in range(12)])
    table = group_table(tally, genes, rows.observed).set_index(["group", "gene"])
    for name in "xy":
        here = rows.groups == name
        by_donor = pd.DataFrame((linear + residual)[here]).groupby(rows.donors[here]).mean()
        np.testing.assert_allclose(table.loc[name].loc[genes, "mean"], by_donor.mean())
        assert (table.loc[name]["n_rows"] == here.sum()).all()
        assert (table.loc[name]["n_donors"] == len(set(rows.donors[here]))).all()


def test_stability_is_the_mean_spearman_of_pairs(rng):
    absolute = rng.random((5, 30)) + np.arange(30) / 20
    found = rank_stability(absolute, np.ones(30, bool), 0)
    pairs = [spearmanr(a, b).statistic for a, b in combinations(absolute, 2)]
    assert found["donor_spearman"] == pytest.approx(np.mean(pairs))
    assert found["split_half"] > found["donor_spearman"]
    assert "reason" not in found


def test_one_donor_and_constant_genes_have_no_stability_and_say_why():
    found = rank_stability(np.ones((1, 5)), np.ones(5, bool), 0)
    assert np.isnan([found["donor_spearman"], found["split_half"]]).all()
    assert "one donor" in found["reason"]
    found = rank_stability(np.ones((3, 5)), np.ones(5, bool), 0)
    assert "order is undefined" in found["reason"]


def test_top_frequency_counts_donors():
    absolute = np.array([[3.0, 2.0, 1.0, 0.0], [3.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    found = top_frequency(absolute, np.array([True, True, True, True]), 2)
    np.testing.assert_allclose(found, [2 / 3, 1 / 3, 1 / 3, 0])


@given(st.integers(0, 10_000))
def test_shares_sum_to_one(seed):
    linear, residual = np.random.default_rng(seed).normal(size=(2, 20))
    found = output_shares(linear, residual)
    for kind in found.values():
        assert sum(kind.values()) == pytest.approx(1)
    whole = output_shares(linear, np.zeros(20))
    assert whole["variance"]["linear"] == pytest.approx(1)
    assert whole["absolute"]["residual"] == pytest.approx(0)


def test_completeness_is_relative_to_the_output():
    found = completeness(np.array([0.0, 0.02, 0.3]), np.array([1.0, -1.0, 10.0]))
    assert found["median"] == pytest.approx(0.02)
    assert found["max"] == pytest.approx(0.03)
    assert found["overall"] == pytest.approx(0.32 / 12)
    assert found["n_above"] == 2
