"""The simulator of cells: what it returns, and whether the planted truth can be found."""

from __future__ import annotations

import time

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import dtp_scvi as dtp
from dtp_scvi.data import SymbolResolver
from dtp_scvi.datasets import simulate_cells

KEY = "dtp_simulation"


@pytest.fixture(scope="module")
def cells():
    return simulate_cells(3000, 1500)


def is_positive(adata):
    return (adata.obs["state"] == "drug_tolerant").to_numpy()


def test_counts_are_sparse_whole_numbers(cells):
    for matrix in (cells.X, cells.layers["counts"]):
        assert matrix.format == "csr"
        assert matrix.dtype == np.float32
        assert matrix.has_canonical_format
        assert (matrix.data > 0).all()
        assert (matrix.data == np.round(matrix.data)).all()
    assert (cells.layers["counts"] != cells.X).nnz == 0
    assert np.diff(cells.X.indptr).min() > 0


def test_counts_survive_normalising_x_in_place():
    adata = simulate_cells(60, 150, n_donors=2)
    before = adata.layers["counts"].copy()
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    assert (adata.layers["counts"] != before).nnz == 0
    assert (before != adata.X).nnz > 0


def test_same_seed_same_bytes_other_seed_other_cells():
    first, again = (simulate_cells(300, 200, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.X.data, again.X.data)
    np.testing.assert_array_equal(first.X.indices, again.X.indices)
    pd.testing.assert_frame_equal(first.obs, again.obs)
    pd.testing.assert_frame_equal(first.var, again.var)
    other = simulate_cells(300, 200, seed=6)
    assert (first.X != other.X).nnz > 0
    # The biology is that of another seed, so a model can move from one to the other.
    np.testing.assert_array_equal(first.varm["true_loadings"], other.varm["true_loadings"])
    foreign = simulate_cells(300, 200, seed=5, biology_seed=1)
    assert not np.array_equal(first.varm["true_loadings"], foreign.varm["true_loadings"])


def test_drawn_seed_is_recorded_and_repeats_the_object():
    drawn = simulate_cells(100, 150, n_donors=2, seed=None)
    again = simulate_cells(100, 150, n_donors=2, seed=drawn.uns[KEY]["seed"])
    assert (drawn.X != again.X).nnz == 0


def test_every_donor_holds_both_classes_at_its_own_prevalence(cells):
    share = pd.Series(is_positive(cells)).groupby(cells.obs["donor"].to_numpy()).mean()
    assert len(share) == 8
    assert share.between(0.05, 0.95).all()
    assert share.max() - share.min() > 0.05


@pytest.mark.parametrize(
    ("tissues", "platforms", "donors"), [(2, 2, 8), (3, 4, 8), (2, 4, 4), (5, 1, 5)]
)
def test_donors_belong_to_one_batch_and_all_batches_are_used(tissues, platforms, donors):
    cells = simulate_cells(120, 120, n_donors=donors, n_tissues=tissues, n_platforms=platforms)
    assert (cells.obs.groupby("donor", observed=True)["batch"].nunique() == 1).all()
    assert cells.obs["donor"].nunique() == donors
    assert cells.obs["tissue"].nunique() == tissues
    assert cells.obs["platform"].nunique() == platforms


def test_tissue_and_platform_are_crossed_by_default(cells):
    donors = cells.obs.drop_duplicates("donor")
    assert (pd.crosstab(donors["tissue"], donors["platform"]) == 2).all(axis=None)


def test_confounding_moves_the_label_to_the_tissue():
    association = []
    for confounding in (0.0, 0.5, 1.0):
        cells = simulate_cells(1000, 120, confounding=confounding)
        first = (cells.obs["tissue"] == "tissue_1").to_numpy()
        association.append(is_positive(cells)[first].mean() - is_positive(cells)[~first].mean())
    assert abs(association[0]) < 0.25
    assert 0.4 < association[1] < 0.7
    assert association[2] == 1
    one_tissue = simulate_cells(400, 120, n_tissues=1, confounding=1)
    table = pd.crosstab(one_tissue.obs["platform"], one_tissue.obs["state"])
    assert ((table == 0).sum(axis=1) == 1).all()


def test_gene_names_are_human_and_old_symbols_resolve(cells):
    renamed = cells.uns[KEY]["renamed"]
    assert {"KIAA0125", "NGFRAP1", "GPR56", "C19orf77"} <= set(renamed)
    assert set(renamed) <= set(cells.var_names)
    assert not set(renamed.values()) & set(cells.var_names)
    found = SymbolResolver.bundled().resolve(cells.var_names)
    assert found["symbol"].tolist() == cells.var["true_symbol"].tolist()
    assert cells.var_names.is_unique
    signature = cells.var.loc[cells.var["signature"], "true_symbol"]
    assert set(signature) == set(cells.uns[KEY]["signature_genes"])
    assert len(signature) == 17
    for gene in ("RPL3", "RPS6", "MT-CO1", "HBB", "XIST", "RPS4Y1", "FOS", "JUN", "CD34"):
        assert gene in cells.var_names
    programmes = cells.var.loc[list(renamed), "programme"]
    assert programmes.str.startswith("tolerance").any()


def test_old_symbols_can_be_left_out():
    cells = simulate_cells(60, 120, n_donors=2, old_symbols=False)
    assert cells.var_names.tolist() == cells.var["true_symbol"].tolist()
    assert cells.uns[KEY]["renamed"] == {}


def test_fewer_genes_are_the_start_of_more(cells):
    assert simulate_cells(60, 150).var_names.tolist() == cells.var_names[:150].tolist()


def test_marked_simulated_and_survives_writing(cells, tmp_path):
    small = simulate_cells(80, 120, n_donors=2, old_symbols=False)
    for name, adata in {"a": cells, "b": small}.items():
        adata.write_h5ad(tmp_path / f"{name}.h5ad")
        back = ad.read_h5ad(tmp_path / f"{name}.h5ad")
        truth = back.uns[KEY]
        assert bool(truth["simulated"])
        assert truth["generator"] == "dtp_scvi.datasets.simulate_cells"
        assert truth["version"] == dtp.__version__
        assert truth["parameters"] == adata.uns[KEY]["parameters"]
        assert truth["renamed"] == adata.uns[KEY]["renamed"]
        for table in ("programmes", "interactions"):
            pd.testing.assert_frame_equal(truth[table], adata.uns[KEY][table], check_dtype=False)
        pd.testing.assert_frame_equal(back.obs, adata.obs)
        assert (back.X != adata.X).nnz == 0
    again = simulate_cells(**truth["parameters"])
    assert (again.X != small.X).nnz == 0


def test_full_gene_set_is_as_sparse_as_cells_are_and_quick():
    start = time.process_time()
    cells = simulate_cells(512, 13_000)
    # 20,000 cells in a minute are 1.5 s; three times as much is allowed for a busy machine.
    assert time.process_time() - start < 5
    detected = np.diff(cells.X.indptr)
    assert 1_400 < np.median(detected) < 2_200
    assert 0.05 < cells.X.nnz / np.prod(cells.shape) < 0.17


def test_progress_bar_only_on_request(capsys):
    simulate_cells(60, 120, n_donors=2)
    assert capsys.readouterr().err == ""
    simulate_cells(60, 120, n_donors=2, verbose=True)
    assert "cells" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_cells": 0}, "`n_cells` to be a whole number"),
        ({"n_cells": 10}, "`n_cells` of at least 16"),
        ({"n_genes": 20}, "`n_genes` of at least"),
        ({"n_genes": 60_000}, "`n_genes` of at most"),
        ({"n_donors": 1, "n_tissues": 1, "n_platforms": 1}, "`n_donors` of at least 2"),
        ({"n_donors": 2, "n_tissues": 3}, "`n_tissues` of at most `n_donors` = 2"),
        ({"n_donors": 2, "n_platforms": 3}, "`n_platforms` of at most `n_donors` = 2"),
        ({"n_programmes": 5}, "`n_programmes` of at least"),
        ({"linear_effect": -1}, "`linear_effect` in"),
        ({"interaction_effect": np.nan}, "`interaction_effect` in"),
        ({"interaction_effect": np.inf}, "`interaction_effect` in"),
        ({"prevalence": 0}, "`prevalence` in"),
        ({"prevalence": 1}, "`prevalence` in"),
        ({"depth": 0}, "`depth` in"),
        ({"depth_sd": -0.1}, "`depth_sd` in"),
        ({"batch_effect": -0.1}, "`batch_effect` in"),
        ({"ambient": 0.7}, "`ambient` in"),
        ({"dropout": 1.1}, "`dropout` in"),
        ({"dispersion": -1}, "`dispersion` in"),
        ({"confounding": 2}, "`confounding` in"),
        ({"confounding": 0.5, "n_tissues": 1, "n_platforms": 1}, "more than one tissue"),
    ],
)
def test_bad_arguments_are_named(arguments, match):
    with pytest.raises(ValueError, match=match):
        simulate_cells(**({"n_cells": 200, "n_genes": 150} | arguments))
