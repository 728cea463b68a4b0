"""Sums of cells against scanpy's, and what they keep."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import dtp_scvi as dtp


@pytest.fixture(scope="module")
def cells():
    return dtp.datasets.simulate_cells(400, 120, n_donors=5, seed=2)


@pytest.mark.parametrize("groupby", ["donor", ["donor", "cell_type"]])
def test_sums_are_scanpy_s(cells, groupby):
    found = dtp.pp.pseudobulk(cells, groupby, layer="counts", min_cells=1)
    expected = sc.get.aggregate(cells, groupby, func="sum", layer="counts")
    columns = [groupby] if isinstance(groupby, str) else groupby
    key = expected.obs[columns].astype(str).agg("_".join, axis=1)
    order = pd.Index(key).get_indexer(found.obs_names)
    np.testing.assert_array_equal(found.X.toarray(), np.asarray(expected.layers["sum"])[order])
    assert found.obs["n_cells"].sum() == cells.n_obs
    np.testing.assert_allclose(found.obs["total"], found.X.sum(axis=1).A1)
    assert found.var.equals(cells.var)


def test_storage_and_row_order_change_nothing(cells, tmp_path):
    expected = dtp.pp.pseudobulk(cells, "donor", layer="counts")
    cells.write_h5ad(tmp_path / "c.h5ad")
    dense, csc = cells.copy(), cells.copy()
    dense.layers["counts"] = cells.layers["counts"].toarray()
    csc.layers["counts"] = sp.csc_matrix(cells.layers["counts"])
    turned = cells[np.random.default_rng(0).permutation(cells.n_obs)]
    for other in (dense, csc, turned, ad.read_h5ad(tmp_path / "c.h5ad", backed="r")):
        found = dtp.pp.pseudobulk(other, "donor", layer="counts")
        np.testing.assert_array_equal(found.X.toarray(), expected.X.toarray())
        pd.testing.assert_frame_equal(found.obs, expected.obs)


def test_logs_are_undone_before_they_are_summed(cells):
    counts = cells.layers["counts"].toarray()
    total = counts.sum(axis=1, keepdims=True)
    logs = ad.AnnData(np.log1p(1e4 * counts / total).astype(np.float32), obs=cells.obs)
    logs.var_names = cells.var_names
    found = dtp.pp.pseudobulk(logs, "donor", scale="log1p_cp10k")
    by_hand = pd.DataFrame(1e4 * counts / total).groupby(cells.obs["donor"].to_numpy()).sum()
    np.testing.assert_allclose(found.X.toarray(), by_hand, rtol=1e-4)


def test_a_logarithm_without_a_pseudocount_is_undone_once(cells):
    linear = cells.copy()
    linear.X = 0.3 * cells.layers["counts"].toarray() + 0.1
    logs = linear.copy()
    logs.X = np.log2(linear.X)
    expected = dtp.pp.pseudobulk(linear, "donor", scale="normalized")
    found = dtp.pp.pseudobulk(logs, "donor", scale="log2")
    np.testing.assert_allclose(found.X.toarray(), expected.X.toarray(), rtol=1e-4)


def test_what_belongs_to_a_group_is_kept(cells, tmp_path):
    found = dtp.pp.pseudobulk(cells, "donor", layer="counts")
    for name in ("tissue", "platform", "sex"):
        first = cells.obs.groupby("donor", observed=True)[name].first()
        assert found.obs[name].astype(str).tolist() == first.astype(str).tolist()
    assert "state" not in found.obs
    assert found.uns["dtp_simulation"]["simulated"]
    found.write_h5ad(tmp_path / "p.h5ad")
    assert ad.read_h5ad(tmp_path / "p.h5ad").uns["dtp_pseudobulk"]["scale"] == "counts"


def test_small_groups_are_left_out_and_listed(cells):
    with pytest.warns(UserWarning, match=r"fewer than \d+ cells left out"):
        found = dtp.pp.pseudobulk(cells, ["donor", "cell_type"], layer="counts", min_cells=15)
    sizes = cells.obs.groupby(["donor", "cell_type"], observed=True).size()
    assert found.n_obs == (sizes >= 15).sum()
    assert found.uns["dtp_pseudobulk"]["left_out"]["n_cells"].sum() == sizes[sizes < 15].sum()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), low=st.integers(1, 30), more=st.integers(0, 500))
def test_mixtures_hold_cells_of_their_donor_once(seed, low, more):
    n = 90
    obs = pd.DataFrame({"d": ["a", "b", "c"] * 30}, index=[f"c{i}" for i in range(n)])
    # A gene a cell: the sum says which cells are inside, and how often.
    adata = ad.AnnData(np.eye(n, dtype=np.float32), obs=obs)
    found = dtp.pp.pseudobulk(
        adata,
        "d",
        scale="counts",
        n_mixtures=4,
        mixture_cells=(low, low + more),
        seed=seed,
    )
    inside = found.X.toarray()
    assert set(np.unique(inside)) <= {0.0, 1.0}
    assert (inside.sum(axis=1) == found.obs["n_cells"]).all()
    assert found.obs["n_cells"][found.obs["mixture"]].between(min(low, 30), low + more).all()
    for row, donor in zip(inside, found.obs["d"], strict=True):
        assert set(adata.obs["d"][row > 0]) == {donor}
    again = dtp.pp.pseudobulk(
        adata, "d", scale="counts", n_mixtures=4, mixture_cells=(low, low + more), seed=seed
    )
    np.testing.assert_array_equal(inside, again.X.toarray())


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"groupby": "doner"}, KeyError, "Did you mean donor"),
        ({"groupby": []}, ValueError, "at least one column in `groupby`; found none"),
        ({"groupby": "donor", "min_cells": 1000}, ValueError, "5 groups of at most"),
        ({"groupby": "donor", "min_cells": 0}, ValueError, "min_cells"),
        ({"groupby": "donor", "n_mixtures": 2, "mixture_cells": (9, 3)}, ValueError, "fewest"),
        ({"groupby": "donor", "layer": "raw"}, KeyError, "raw"),
    ],
)
def test_bad_arguments(cells, kwargs, error, match):
    with pytest.raises(error, match=match):
        dtp.pp.pseudobulk(cells, **{"layer": "counts", **kwargs})


def test_z_scores_have_no_sum(cells):
    scores = sc.pp.scale(ad.AnnData(np.log1p(cells.layers["counts"].toarray())), copy=True)
    scores.obs["donor"] = cells.obs["donor"].to_numpy()
    with pytest.raises(ValueError, match="z-scores"):
        dtp.pp.pseudobulk(scores, "donor")
