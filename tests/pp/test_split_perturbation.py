from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtp_scvi import pp
from dtp_scvi.data import split_rows

PARTS = ("train", "valid", "test")


def wells(n_drugs=10, n_cells=6, doses=(0.1, 1.0, 10.0, 100.0), times=(3, 6, 24)) -> ad.AnnData:
    """Every combination twice, and a control for each line."""
    grid = pd.MultiIndex.from_product(
        [[f"d{i}" for i in range(n_drugs)], [f"c{i}" for i in range(n_cells)], doses, times]
    ).to_frame(index=False, name=["drug", "cell", "dose", "time"])
    controls = pd.DataFrame(
        {"drug": "DMSO", "cell": [f"c{i}" for i in range(n_cells)], "dose": 0.0, "time": 3}
    )
    obs = pd.concat([controls, grid, grid], ignore_index=True)
    obs.index = [f"w{i}" for i in range(len(obs))]
    return ad.AnnData(np.ones((len(obs), 1), np.float32), obs=obs)


def parts_of(adata, columns, key="split"):
    """Values of ``columns`` in each part, as sets."""
    found = {}
    for part in adata.obs[key].unique():
        rows = adata.obs[adata.obs[key] == part]
        found[part] = set(rows[columns].itertuples(index=False, name=None))
    return found


COLUMNS = {
    "random": ["drug", "cell", "dose", "time"],
    "drug": ["drug"],
    "cell": ["cell"],
    "dose": ["dose"],
    "time": ["time"],
    "prnet": ["drug"],
}


@settings(max_examples=25)
@given(
    by=st.sampled_from(sorted(COLUMNS)),
    seed=st.integers(0, 99),
    n=st.integers(3, 12),
    train=st.floats(0.2, 0.7),
)
def test_three_parts_and_no_group_in_two(by, seed, n, train):
    fractions = (0.6, 0.2, 0.2) if by == "prnet" else (train, (1 - train) / 2, (1 - train) / 2)
    adata = wells(n_drugs=n, n_cells=max(3, n // 2))
    pp.split_perturbation(adata, by, fractions=fractions, seed=seed)
    rows = split_rows(adata)
    assert sum(map(len, rows.values())) == adata.n_obs
    found = parts_of(adata, COLUMNS[by])
    assert all(found[part] for part in PARTS)
    assert not found["train"] & found["valid"]
    assert not found["train"] & found["test"]
    assert not found["valid"] & found["test"]
    # Treated rows are targets, controls never are.
    control = adata.obs["drug"] == "DMSO"
    assert adata.obs.loc[control, "split"].isin(["control", "control_held_out"]).all()
    assert adata.obs.loc[~control, "split"].isin(PARTS).all()


@settings(max_examples=15)
@given(seed=st.integers(0, 99), fold=st.integers(0, 4))
def test_both_unseen(seed, fold):
    adata = wells(n_cells=8)
    pp.split_perturbation(adata, "both", seed=seed, fold=fold)
    drugs, cells = parts_of(adata, ["drug"]), parts_of(adata, ["cell"])
    for seen, unseen in (("train", "valid"), ("train", "test"), ("valid", "test")):
        assert not drugs[seen] & drugs[unseen]
        assert not cells[seen] & cells[unseen]
    assert not drugs["train"] & drugs["test_drug"]
    assert cells["test_drug"] == cells["train"]
    assert not cells["train"] & cells["test_cell"]
    assert drugs["test_cell"] == drugs["train"]
    assert drugs["test_drug"] == drugs["test"]
    assert cells["test_cell"] == cells["test"]
    sizes = adata.uns["dtp_splits"]["split"]["sizes"]
    assert sizes.loc["train", ["n_groups", "n_cells"]].tolist() == [
        len(drugs["train"]),
        len(cells["train"]),
    ]


@pytest.mark.parametrize(("by", "n"), [("drug", 11), ("prnet", 10), ("cell", 7), ("random", 0)])
def test_test_parts_of_five_folds_cover_all_groups_once(by, n):
    adata = wells(n_drugs=n or 4, n_cells=n or 3)
    tested = []
    for fold in range(5):
        pp.split_perturbation(adata, by, fold=fold)
        tested += list(parts_of(adata, COLUMNS[by])["test"])
    treated = adata.obs[adata.obs["drug"] != "DMSO"]
    assert sorted(tested) == sorted(set(treated[COLUMNS[by]].itertuples(index=False, name=None)))


def test_controls_of_unseen_lines_are_not_trained_on():
    adata = wells()
    pp.split_perturbation(adata, "cell")
    trained = set(adata.obs.loc[adata.obs["split"] == "train", "cell"])
    control = adata.obs[adata.obs["drug"] == "DMSO"]
    assert set(control.loc[control["split"] == "control", "cell"]) == trained
    assert (~control.loc[control["split"] == "control_held_out", "cell"].isin(trained)).all()
    pp.split_perturbation(adata, "drug")
    assert "control_held_out" not in adata.obs["split"].cat.categories


@pytest.mark.parametrize("by", ["dose", "time"])
def test_extrapolation_tests_the_highest_levels(by):
    adata = wells()
    pp.split_perturbation(adata, by)
    level = adata.obs.groupby("split", observed=True)[by]
    assert (
        level.max()["train"] < level.min()["valid"] <= level.max()["valid"] < level.min()["test"]
    )


def test_interpolation_trains_on_both_ends():
    adata = wells(doses=(0.1, 0.3, 1.0, 3.0, 10.0))
    for fold in range(3):
        pp.split_perturbation(adata, "dose", interpolate=True, fold=fold)
        trained = {value for (value,) in parts_of(adata, ["dose"])["train"]}
        assert {0.1, 10.0} <= trained
        assert len(trained) == 3
    with pytest.raises(ValueError, match="`fold`"):
        pp.split_perturbation(adata, "dose", interpolate=True, fold=3)


def test_nominal_doses_that_vary_are_one_level():
    adata = wells(doses=(0.37, 1.11, 9.99, 10.0))
    pp.split_perturbation(adata, "dose")
    assert parts_of(adata, ["dose"])["test"] == {(9.99,), (10.0,)}


def test_replicates_stay_together_and_every_seed_is_another_split():
    adata = wells()
    pp.split_perturbation(adata, "random")
    copies = adata.obs.groupby(COLUMNS["random"], observed=True)["split"].nunique()
    assert copies.max() == 1
    first = adata.obs["split"].copy()
    pp.split_perturbation(adata, "random")
    assert adata.obs["split"].equals(first)
    pp.split_perturbation(adata, "random", seed=1)
    assert not adata.obs["split"].equals(first)


@pytest.fixture
def encoded() -> ad.AnnData:
    pytest.importorskip("rdkit")
    adata = wells(n_drugs=9)
    smiles = ["c1ccccc1C", "c1ccccc1O", "c1ccncc1C", "C1CCCCC1N", "c1ccsc1C", "CCO", "CCN"]
    names = {f"d{i}": value for i, value in enumerate([*smiles, "OCC", "Cc1ccccc1"])}
    adata.obs["smiles"] = adata.obs["drug"].map(names)
    with pytest.warns(UserWarning, match="one structure"):
        pp.encode_drugs(adata, smiles_key="smiles")
    return adata


@pytest.mark.parametrize("seed", range(6))
def test_scaffolds_and_structures_stay_together(encoded, seed):
    pp.split_perturbation(encoded, "scaffold", seed=seed)
    part = encoded.obs.groupby("drug", observed=True)["split"].first()
    assert part["d0"] == part["d1"] == part["d8"]  # benzene
    assert part["d5"] == part["d6"] == part["d7"]  # no ring
    pp.split_perturbation(encoded, "drug", seed=seed)
    part = encoded.obs.groupby("drug", observed=True)["split"].first()
    assert part["d0"] == part["d8"]
    assert part["d5"] == part["d7"]


def test_the_record_survives_a_file(tmp_path):
    adata = wells()
    pp.split_perturbation(adata, "drug", seed=None)
    pp.split_perturbation(adata, "cell", key_added="by_cell")
    adata.write_h5ad(tmp_path / "x.h5ad")
    again = ad.read_h5ad(tmp_path / "x.h5ad")
    assert set(again.uns["dtp_splits"]) == {"split", "by_cell"}
    sizes = again.uns["dtp_splits"]["split"]["sizes"]
    assert sizes["n_rows"].sum() == (again.obs["drug"] != "DMSO").sum()
    assert again.uns["dtp_splits"]["by_cell"]["params"]["by"] == "cell"
    assert again.obs["split"].cat.categories.tolist() == [*PARTS, "control"]


def test_drugs_that_are_tested_at_one_dose_only_are_told_of():
    adata = wells()
    adata = adata[(adata.obs["drug"] != "d3") | (adata.obs["dose"] == 100)].copy()
    with pytest.warns(UserWarning, match="1 of 10 drugs of the test part have no training row"):
        pp.split_perturbation(adata, "dose")


def test_one_line_asked_for_a_split_by_lines():
    with pytest.raises(ValueError, match=r"at least 3 cells .*; found 1 in all \(c0\)"):
        pp.split_perturbation(wells(n_cells=1), "cell")


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"by": "plate"}, ValueError, "`by` to be one of"),
        ({"fractions": (0.8, 0.0, 0.2)}, ValueError, "without a validation part"),
        ({"fractions": (0.5, 0.2, 0.2)}, ValueError, "sum to 1"),
        ({"fold": 5}, ValueError, r"`fold` in \[0, 4\]"),
        ({"fold": 0.5}, ValueError, "a whole number as `fold`"),
        ({"by": "dose", "fold": 1}, ValueError, r"`fold` in \[0, 0\]"),
        ({"by": "cell", "fold": 1, "cells": 4}, ValueError, "at least 5 cells"),
        ({"by": "prnet", "fractions": (0.8, 0.1, 0.1)}, ValueError, "0.6, 0.2, 0.2"),
        ({"interpolate": True}, ValueError, 'with by="dose" or "time"'),
        ({"by": "time", "interpolate": True}, ValueError, "at least 4 times"),
        ({"by": "scaffold"}, KeyError, "Run dtp.pp.encode_drugs"),
        ({"cell_key": "line", "by": "cell"}, KeyError, "`cell_key`"),
        ({"key_added": "cell"}, ValueError, "would be overwritten"),
        ({"drug_key": "dug"}, KeyError, "Did you mean drug"),
    ],
)
def test_bad_arguments(arguments, error, match):
    adata = wells(n_cells=arguments.pop("cells", 6))
    with pytest.raises(error, match=match):
        pp.split_perturbation(adata, **arguments)


def test_bad_columns():
    adata = wells()
    adata.obs["dose"] = adata.obs["dose"].astype(str) + " uM"
    with pytest.raises(ValueError, match="found text"):
        pp.split_perturbation(adata, "dose")
    adata.obs.loc["w9", "cell"] = None
    with pytest.raises(ValueError, match="1 without one"):
        pp.split_perturbation(adata, "cell")
