"""Copies and leaking row statistics that were planted are found."""

from __future__ import annotations

import re

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import roc_auc_score

import dtp_scvi as dtp


def with_rows(cells, rows, values, **obs):
    """Append copies of some rows with other values and columns."""
    extra = cells[rows].copy()
    extra.X = np.asarray(values, dtype=np.float32)
    extra.obs_names = [f"extra{i}" for i in range(extra.n_obs)]
    for name, column in obs.items():
        extra.obs[name] = column
    return ad.concat([cells, extra])


def test_copies_across_classes_and_donors(cells, get):
    rows = [0, 2, 4]  # sensitive rows of donors d0, d1, d2
    mixed = with_rows(cells, rows, cells.X[rows], state="resistant", donor=["d0", "d5", "d5"])
    table = dtp.pp.audit(mixed, "state", donor_key="donor")
    row = get(table, "identical_rows", "all")
    assert (row["n"], row["verdict"]) == (6, "warn")
    assert "3 groups, the largest of 2 rows" in row["sentence"]
    assert get(table, "identical_rows", "across classes")["n"] == 6
    assert get(table, "identical_rows", "across classes")["verdict"] == "warn"
    assert get(table, "identical_rows", "across donors")["n"] == 4
    assert get(table, "identical_rows", "class resistant")["n"] == 3
    listed = mixed.uns["dtp_audit"]["duplicates"]
    assert listed["row"].tolist() == ["cell0", "extra0", "cell2", "extra1", "cell4", "extra2"]
    assert listed["group"].tolist() == [0, 0, 1, 1, 2, 2]
    assert get(table, "near_identical_rows", "all")["n"] == 0


def test_duplicated_class_is_the_leak_of_oversampling(cells, get):
    rows = np.flatnonzero(cells.obs["state"] == "resistant")
    doubled = with_rows(cells, rows, cells.X[rows])
    table = dtp.pp.audit(doubled, "state")
    row = get(table, "identical_rows", "all")
    assert row["n"] == 240
    assert row["value"] == pytest.approx(240 / 360)
    assert "120 groups" in row["sentence"]
    assert "to know a row is to know its class" in row["sentence"]
    assert get(table, "identical_rows", "class resistant")["value"] == 1.0
    assert get(table, "identical_rows", "class sensitive")["value"] == 0.0
    assert get(table, "identical_rows", "across classes")["verdict"] == "ok"


@pytest.mark.parametrize("scale", ["counts", "log1p", "zscore"])
def test_noisy_copies_are_found_on_any_scale(cells, get, scale):
    values = np.log1p(cells.X / cells.X.sum(1, keepdims=True) * 1e4)
    if scale == "counts":
        cells.X *= 100
        values = cells.X
    elif scale == "zscore":
        values = (values - values.mean(0)) / values.std(0)
    cells.X = values.astype(np.float32)
    rng, rows = np.random.default_rng(0), np.arange(1, 41, 2)
    noise = np.sqrt(values[rows]) if scale == "counts" else 0.05 * values.std(0)
    copies = values[rows] + noise * rng.normal(size=(20, 150)) * (values[rows] != 0)
    copies = np.maximum(np.round(copies), 0) if scale == "counts" else copies
    noisy = with_rows(cells, rows, copies, state="sensitive")
    table = dtp.pp.audit(noisy, "state")
    assert get(table, "identical_rows", "all")["n"] == 0
    assert get(table, "near_identical_rows", "all")["n"] == 40
    assert get(table, "near_identical_rows", "across classes")["n"] == 40
    assert get(table, "near_identical_rows", "across classes")["verdict"] == "warn"
    off = dtp.pp.audit(noisy, "state", near_duplicates=False)
    assert "near_identical_rows" not in set(off["check"])


def test_near_rows_are_those_of_the_full_comparison(cells):
    from dtp_scvi.pp._audit_input import read_input
    from dtp_scvi.pp._audit_near import near_rows
    from dtp_scvi.pp._audit_rows import summarise_rows

    rng = np.random.default_rng(3)
    logs = np.log1p(cells.X / cells.X.sum(1, keepdims=True) * 1e4)
    # Copies with noise around the limit, so that some pairs are in and some are out.
    size = np.linspace(0.02, 0.3, 120)[:, None]
    copies = np.abs(logs[:120] + size * logs.std(0) * rng.normal(size=(120, 150)))
    near = ad.AnnData(np.concatenate([logs, copies]).astype(np.float32))
    near.obs["y"] = np.arange(360) % 2
    arguments = {"donor_key": None, "batch_keys": (), "layer": None, "positive": None}
    given = read_input(near, "y", **arguments, n_rows=1000, key_added="x", seed=0)
    found = near_rows(given, summarise_rows(given), n_rows=1000, seed=0)
    centred = near.X.astype(float) - near.X.astype(float).mean(0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, 0)
    expected = (cosine >= 0.99).any(axis=1)
    assert 40 < expected.sum() < 200
    assert np.array_equal(found.group >= 0, expected)


def test_a_sample_of_rows_is_named(cells, get):
    table = dtp.pp.audit(cells, "state", donor_key="donor", n_rows=60)
    row = get(table, "near_identical_rows", "searched")
    assert row["n"] == 60
    assert row["sentence"] == "60 different rows of 240 were compared."


def test_rows_of_zeros_are_no_copies(cells, get):
    cells.X[:5] = 0
    table = dtp.pp.audit(cells, "state")
    assert get(table, "empty_rows", "all")["n"] == 5
    assert get(table, "empty_rows", "all")["verdict"] == "warn"
    assert get(table, "identical_rows", "all")["n"] == 0
    assert "5 with fewer than 50" in get(table, "near_identical_rows", "searched")["sentence"]


def test_statistics_are_those_of_sklearn(cells, get):
    table = dtp.pp.audit(cells, "state", positive="sensitive")
    y = cells.obs["state"] == "sensitive"
    expected = {
        "total": roc_auc_score(y, cells.X.sum(1)),
        "n_genes": roc_auc_score(y, (cells.X > 0).sum(1)),
        "zero_share": roc_auc_score(y, (cells.X == 0).mean(1)),
    }
    for name, value in expected.items():
        row = get(table, "row_statistic", name)
        assert row["value"] == pytest.approx(value, abs=1e-12)
        assert row["low"] <= row["value"] <= row["high"]
    gap = get(table, "standardised_difference", "total")["value"]
    totals = cells.X.sum(1)
    pooled = np.sqrt((totals[y].var(ddof=1) + totals[~y].var(ddof=1)) / 2)
    assert gap == pytest.approx((totals[y].mean() - totals[~y].mean()) / pooled, rel=1e-5)


def test_a_deeper_class_is_a_warning(cells, get):
    cells.X[cells.obs["state"] == "resistant"] *= 4
    table = dtp.pp.audit(cells, "state", positive="resistant", batch_keys="run")
    assert get(table, "row_statistic", "total")["value"] > 0.9
    assert get(table, "row_statistic", "total")["verdict"] == "warn"
    assert get(table, "row_statistic", "n_genes")["verdict"] == "ok"
    within = get(table, "within_batch_auroc", "run")
    assert within["verdict"] == "warn"
    assert "the row sum" in within["sentence"]


@pytest.mark.parametrize("log", [False, True])
def test_label_in_the_row_sums_of_a_composition(cells, get, log):
    # The fault of the published table: the label was part of the total.
    share = cells.X.astype(np.float64)
    share /= (
        share.sum(1, keepdims=True)
        * (1 + 1e-4 * (cells.obs["state"] == "resistant")).to_numpy()[:, None]
    )
    cells.X = np.log1p(1e4 * share) if log else share
    table = dtp.pp.audit(cells, "state", positive="resistant")
    name = "linear_total" if log else "total"
    assert get(table, "row_statistic", name)["value"] == 0.0
    assert get(table, "row_statistic", name)["verdict"] == "warn"
    deviation = "linear_sum_deviation" if log else "sum_deviation"
    assert deviation in set(table["subject"])


def test_rounding_of_a_constant_sum_is_no_statistic(cells, get):
    share = cells.X / cells.X.sum(1, keepdims=True) * np.float32(1e4)
    # Rounding differs between classes when one is computed the other way round.
    share[::2] = np.float32(1e4) * (cells.X[::2] / cells.X[::2].sum(1, keepdims=True))
    cells.X = share
    row = get(dtp.pp.audit(cells, "state"), "row_statistic", "total")
    assert row["value"] == pytest.approx(0.5, abs=0.02)
    assert row["verdict"] == "ok"


@pytest.fixture
def soup():
    """Two cell types with markers of their own in one run, mixed into each other by a share."""

    def make(ambient):
        rng = np.random.default_rng(0)
        mean = rng.gamma(0.5, 4.0, 400)
        profiles = np.stack([mean, mean])
        marks = rng.gamma(2.0, 6.0, 60)
        profiles[0, :60], profiles[1, :60] = np.where(
            np.arange(60) < 30, [marks, 0 * marks], [0 * marks, marks]
        )
        profiles /= profiles.sum(1, keepdims=True)
        kind = rng.integers(0, 2, 400)
        mix = (1 - ambient) * profiles[kind] + ambient * profiles[kind].mean(0)
        counts = rng.poisson(mix * rng.gamma(5, 600, (400, 1))).astype(np.float32)
        adata = ad.AnnData(sp.csr_matrix(counts))
        adata.obs["type"] = np.where(kind, "tumour", "stroma")
        adata.obs["run"] = "one"
        return adata

    return make


def test_ambient_markers_are_noted_with_their_level(soup):
    adata = soup(0.1)
    table = dtp.pp.audit(adata, "type", batch_keys="run")
    rows = table[table["check"] == "ambient_genes"].set_index("subject")
    assert set(rows["verdict"]) == {"note"}
    assert (rows["value"] > 0.8).all()
    assert "as ambient RNA does" in rows.loc["tumour", "sentence"]
    found = adata.uns["dtp_audit"]["ambient"]
    # The other cells hold a tenth of the mix of the run.
    assert found["level"].to_numpy() == pytest.approx([0.1, 0.1], abs=0.03)


def test_without_ambient_rna_nothing_is_noted(soup):
    table = dtp.pp.audit(soup(0.0), "type", batch_keys="run")
    rows = table[table["check"] == "ambient_genes"]
    assert rows["verdict"].tolist() == ["ok", "ok"]
    assert (rows["value"] < 0.2).all()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (np.log1p, "it needs counts, and these are log1p"),
        (lambda x: x * 5000, "with a median of .* counts rows look like bulk, not droplets"),
        (lambda x: x, "no batch has 20 rows of either class"),
    ],
)
def test_ambient_rna_is_looked_for_in_droplets(cells, get, change, text):
    cells.X = change(cells.X)
    cells.obs["run"] = cells.obs_names
    row = get(dtp.pp.audit(cells, "state", batch_keys="run"), "ambient_genes", "all")
    assert row["verdict"] == "note"
    assert np.isnan(row["value"])
    assert re.search(text, row["sentence"])


def test_panels_of_few_genes_are_not_searched_for_near_rows(cells, get):
    table = dtp.pp.audit(cells[:, :40].copy(), "state")
    assert get(table, "near_identical_rows", "searched")["n"] == 0
