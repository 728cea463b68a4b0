"""Depth, noise, dropout, ambient RNA and batch effects of simulated cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dtp_scvi.datasets import simulate_cells


def log_normalised(adata):
    counts = adata.layers["counts"].toarray()
    return np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))


def test_settings_of_the_technique_do_what_they_say():
    def small(**changed):
        quiet = {"depth_sd": 0, "ambient": 0, "dropout": 0, "dispersion": 0, "batch_effect": 0}
        return simulate_cells(600, 400, **(quiet | changed))

    def total(adata):
        return np.asarray(adata.X.sum(axis=1)).ravel()

    plain = small()
    # Pure Poisson sampling: the total of a cell has mean and variance equal to the depth.
    assert total(plain).mean() == pytest.approx(5000, abs=4 * np.sqrt(5000 / 600))
    assert total(plain).var() == pytest.approx(5000, rel=0.25)
    assert small(depth=2500).X.nnz < plain.X.nnz
    assert total(small(depth=2500)).mean() == pytest.approx(2500, rel=0.01)
    assert total(small(depth_sd=0.5)).std() > 10 * total(plain).std()
    assert small(dropout=0.9).X.nnz < 0.8 * plain.X.nnz
    assert total(small(dispersion=1.0)).var() > 3 * total(plain).var()


def test_dropout_spares_what_is_expressed():
    settings = {"n_donors": 2, "depth_sd": 0, "dispersion": 0}
    plain = simulate_cells(600, 400, dropout=0, **settings)
    lost = simulate_cells(600, 400, dropout=0.5, **settings)
    mean = np.asarray(plain.X.mean(axis=0)).ravel()
    kept = np.asarray(lost.X.mean(axis=0)).ravel() / np.maximum(mean, 1e-9)
    assert kept[mean > 50].mean() > 0.95
    assert kept[(mean > 0.05) & (mean < 0.3)].mean() < 0.65


def test_batch_effect_separates_platforms():
    def distance(batch_effect):
        cells = simulate_cells(1200, 300, n_tissues=1, batch_effect=batch_effect)
        x, first = log_normalised(cells), (cells.obs["platform"] == "platform_1").to_numpy()
        return np.abs(x[first].mean(axis=0) - x[~first].mean(axis=0)).mean()

    assert distance(0.5) > 2 * distance(0.0)


def test_ambient_rna_draws_cell_types_together():
    def distance(ambient):
        cells = simulate_cells(1500, 300, ambient=ambient, dropout=0)
        x = pd.DataFrame(cells.X.toarray() / cells.X.sum(axis=1), columns=cells.var_names)
        mean = x.groupby(cells.obs["cell_type"].to_numpy()).mean()
        return (mean.loc["erythroid"] - mean.loc["lymphoid"]).abs().sum()

    # A fraction f of ambient RNA leaves 1 - f of every difference between types of a donor.
    assert distance(0.4) / distance(0.0) == pytest.approx(0.6, abs=0.08)


def test_sex_genes_follow_the_sex_of_the_donor():
    cells = simulate_cells(800, 300, ambient=0, depth=20_000)
    by_sex = cells.to_df()[["XIST", "RPS4Y1"]].groupby(cells.obs["sex"].to_numpy()).sum()
    assert by_sex.loc["female", "XIST"] > 50 * max(by_sex.loc["male", "XIST"], 1)
    assert by_sex.loc["male", "RPS4Y1"] > 50 * max(by_sex.loc["female", "RPS4Y1"], 1)
    assert (cells.obs.groupby("donor", observed=True)["sex"].nunique() == 1).all()


def test_cell_types_show_their_markers():
    cells = simulate_cells(1000, 400)
    x = pd.DataFrame(log_normalised(cells), columns=cells.var_names)
    by_type = x.groupby(cells.obs["cell_type"].to_numpy()).mean()
    for marker, name in {"LYZ": "monocytic", "HBB": "erythroid", "CD3D": "lymphoid"}.items():
        assert by_type[marker].idxmax() == name
