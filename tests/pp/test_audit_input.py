"""Bad input is refused before any work; storage, order and seeds change nothing."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dtp_scvi as dtp

KEYS = {"donor_key": "donor", "batch_keys": ["run"]}


def planted(cells):
    """Cells with copies in both classes, one of them noisy, and an empty row."""
    cells.X[10:20] = cells.X[1:11]
    cells.X[30] = cells.X[31]
    cells.X[30, np.argmax(cells.X[31])] += 1
    cells.X[50] = 0
    return cells


@pytest.fixture
def expected(cells):
    return dtp.pp.audit(planted(cells), "state", **KEYS)


def shuffled_entries(csr):
    """The same matrix with the entries of each row in another order, and a stored zero."""
    rng, out = np.random.default_rng(0), csr.copy()
    for first, last in zip(out.indptr[:-1], out.indptr[1:], strict=True):
        order = first + rng.permutation(last - first)
        out.indices[first:last], out.data[first:last] = out.indices[order], out.data[order]
    out.has_sorted_indices = False
    return out


@pytest.mark.parametrize(
    "store",
    [
        sp.csr_matrix,
        sp.csc_matrix,
        sp.csr_array,
        lambda x: x.astype(np.float64),
        lambda x: x.astype(np.int32),
        lambda x: shuffled_entries(sp.csr_matrix(x)),
        np.asfortranarray,
    ],
    ids=["csr", "csc", "csr_array", "float64", "int32", "unsorted", "fortran"],
)
def test_storage_changes_nothing(cells, expected, store):
    other = ad.AnnData(store(cells.X), obs=cells.obs)
    pd.testing.assert_frame_equal(dtp.pp.audit(other, "state", **KEYS), expected)


@pytest.mark.parametrize("store", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_backed_is_the_same_and_the_file_stays(cells, expected, store, tmp_path):
    ad.AnnData(store(cells.X), obs=cells.obs).write_h5ad(tmp_path / "x.h5ad")
    before = (tmp_path / "x.h5ad").read_bytes()
    backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    pd.testing.assert_frame_equal(dtp.pp.audit(backed, "state", **KEYS), expected)
    backed.file.close()
    assert (tmp_path / "x.h5ad").read_bytes() == before


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_row_order_changes_nothing(make_cells, random):
    cells = planted(make_cells(120, 120))
    order = list(range(120))
    random.shuffle(order)
    first = dtp.pp.audit(cells, "state", **KEYS)
    other = dtp.pp.audit(cells[order].copy(), "state", **KEYS)
    # The bootstrap draws donors in sorted order, so even its ends agree.
    pd.testing.assert_frame_equal(first, other, rtol=1e-9)


def test_a_layer_and_another_key(cells, expected):
    cells.layers["counts"] = cells.X.copy()
    cells.X = np.zeros_like(cells.X)
    table = dtp.pp.audit(cells, "state", **KEYS, layer="counts", key_added="look")
    pd.testing.assert_frame_equal(table, expected)
    assert cells.uns["look"]["params"]["layer"] == "counts"


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        ([True, False], "True"),
        ([1, 0], "1"),
        ([1.0, 0.0], "1"),
        (pd.Categorical(["a", "b"], categories=["z", "a", "b"]), "b"),
        (["x", "y"], "y"),
        ([3, 7], "7"),
    ],
    ids=["bool", "int", "float", "category", "text", "numbers"],
)
def test_labels_of_any_type(cells, labels, positive):
    cells.obs["state"] = pd.Series(labels).repeat(120).to_numpy()
    dtp.pp.audit(cells, "state")
    assert cells.uns["dtp_audit"]["params"]["positive"] == positive


def test_only_uns_is_written_and_it_survives_h5ad(cells, tmp_path):
    before = cells.copy()
    table = dtp.pp.audit(cells, "state", **KEYS)
    assert list(cells.uns) == ["dtp_audit"]
    pd.testing.assert_frame_equal(cells.obs, before.obs)
    assert np.array_equal(cells.X, before.X)
    cells.write_h5ad(tmp_path / "x.h5ad")
    stored = ad.read_h5ad(tmp_path / "x.h5ad").uns["dtp_audit"]
    read = stored["table"]
    assert read["sentence"].astype(str).tolist() == table["sentence"].tolist()
    assert read["value"].to_numpy() == pytest.approx(table["value"].to_numpy(), nan_ok=True)
    assert dtp.pp.confounded(read) == []
    assert set(stored) == {"table", "cross_tables", "within", "duplicates", "ambient", "params"}
    assert list(stored["params"]["batch_keys"]) == ["run"]


def test_a_bare_audit_survives_h5ad(cells, tmp_path):
    dtp.pp.audit(cells, "state", seed=None)
    cells.write_h5ad(tmp_path / "x.h5ad")
    stored = ad.read_h5ad(tmp_path / "x.h5ad").uns["dtp_audit"]
    assert len(stored["cross_tables"]) == len(stored["duplicates"]) == 0


def test_the_returned_table_is_the_callers_own(cells):
    table = dtp.pp.audit(cells, "state")
    table.loc[:, "verdict"] = "changed"
    assert "changed" not in set(cells.uns["dtp_audit"]["table"]["verdict"])


def change(cells, **columns):
    for name, column in columns.items():
        cells.obs[name] = column
    return cells


BAD = {
    "not anndata": (lambda c: c.X, {}, TypeError, "Expected an AnnData; found ndarray"),
    "view": (lambda c: c[:10], {}, ValueError, "an AnnData of its own; found a view"),
    "no rows": (lambda c: c[:0].copy(), {}, ValueError, "at least one row .* found 0 rows"),
    "no genes": (
        lambda c: c[:, :0].copy(),
        {},
        ValueError,
        "one gene; found 240 rows and 0 genes",
    ),
    "no labels": (lambda c: c, {"labels_key": "stat"}, KeyError, "Did you mean state"),
    "no donor": (lambda c: c, {"donor_key": "donors"}, KeyError, "`donor_key` to name a key"),
    "no batch": (lambda c: c, {"batch_keys": ["runs"]}, KeyError, "`batch_keys` to name a key"),
    "no layer": (lambda c: c, {"layer": "counts"}, KeyError, "There are no layers"),
    "missing label": (
        lambda c: change(c, state=[None, *["a", "b"] * 119, "a"]),
        {},
        ValueError,
        r"a value for every row in adata.obs\['state'\]; found 1 missing of 240 \(first: row 'cell0'",
    ),
    "missing batch": (
        lambda c: change(c, run=[np.nan] * 3 + [1.0] * 237),
        {"batch_keys": ["run"]},
        ValueError,
        "found 3 missing of 240",
    ),
    "one class": (
        lambda c: change(c, state="a"),
        {},
        ValueError,
        "at least two classes.* only 'a'",
    ),
    "three classes": (
        lambda c: change(c, state=["a", "b", "c"] * 80),
        {},
        ValueError,
        "`positive` to name the class .* None, with classes a, b, c",
    ),
    "no such class": (
        lambda c: c,
        {"positive": "resistent"},
        ValueError,
        "Did you mean resistant",
    ),
    "label as batch": (
        lambda c: c,
        {"batch_keys": ["run", "state"]},
        ValueError,
        "other columns than `labels_key`; found 'state'",
    ),
    "donor as batch": (
        lambda c: c,
        {"donor_key": "donor", "batch_keys": "donor"},
        ValueError,
        "other columns than `donor_key`; found 'donor'",
    ),
    "label as donor": (lambda c: c, {"donor_key": "state"}, ValueError, "another column than"),
    "twice": (lambda c: c, {"batch_keys": ["run", "run"]}, ValueError, "`batch_keys` once"),
    "n_rows": (lambda c: c, {"n_rows": 0}, ValueError, "`n_rows` to be a whole number"),
    "key": (
        lambda c: c,
        {"key_added": "a/b"},
        ValueError,
        "a name that h5ad can hold; found 'a/b'",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_without_a_trace(cells, name):
    make, arguments, error, text = BAD[name]
    bad = make(cells)
    with pytest.raises(error, match=text):
        dtp.pp.audit(bad, **{"labels_key": "state", **arguments})
    assert not getattr(bad, "uns", {})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers(cells, value):
    cells.X[3, 4] = value
    with pytest.raises(ValueError, match=r"1 (NaN|infinite) values; the first in row 3, column 4"):
        dtp.pp.audit(cells, "state")
    assert not cells.uns
