"""The layouts of PRnet, sci-Plex and TranSiGen, in made-up files."""

from __future__ import annotations

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

from dtp_scvi.datasets import (
    read_prnet,
    read_sciplex,
    read_transigen,
    simulate_perturbation,
)


@pytest.fixture
def prnet() -> ad.AnnData:
    adata = simulate_perturbation(2, n_drugs=4, n_genes=30)
    names = {"drug": "condition", "smiles": "SMILES", "cell": "cell_type", "plate": "rna_plate"}
    obs = adata.obs.rename(columns={**names, "time": "pert_time"})
    obs["control"] = obs.pop("is_control").astype(int)
    obs["pert_id"] = obs["condition"].astype(str).replace("drug_", "BRD-K0", regex=True)
    obs["paired_control_index"] = adata.obs_names[0]
    del adata.layers["truth"]
    adata.obs = obs
    return adata


def test_prnet(prnet, tmp_path):
    prnet.write_h5ad(tmp_path / "x.h5ad")
    adata = read_prnet(tmp_path / "x.h5ad")
    obs = adata.obs
    assert obs.columns[:7].tolist() == [
        "drug", "smiles", "dose", "time", "cell", "plate", "is_control",
    ]  # fmt: skip
    assert set(obs["drug"]) == {"DMSO", "BRD-K01", "BRD-K02", "BRD-K03", "BRD-K04"}
    assert np.array_equal(adata.obsm["X_ctl"], np.tile(prnet.X[0], (prnet.n_obs, 1)))
    record = adata.uns["dtp_perturbation"]
    assert record["n_treated"] + record["n_controls"] == prnet.n_obs
    assert record["n_paired_on_other_plate"] == (prnet.obs["rna_plate"] != "plate_1").sum()
    assert record["columns"]["drug"] == "pert_id"
    assert record["files"]["name"].tolist() == ["x.h5ad"]
    named = read_prnet(prnet, columns={"drug": "condition"})
    assert set(named.obs["drug"]) == {"DMSO", "drug_1", "drug_2", "drug_3", "drug_4"}
    assert "drug" not in prnet.obs


def test_prnet_pairs(prnet):
    prnet.obsm["X_ctl"] = np.tile(prnet.X[0], (prnet.n_obs, 1))
    read_prnet(prnet)
    prnet.obsm["X_ctl"][3] += 1
    with pytest.raises(ValueError, match=rf"1 rows whose X_ctl differs.*{prnet.obs_names[3]}"):
        read_prnet(prnet)
    prnet.obs["paired_control_index"] = prnet.obs_names[-1]
    with pytest.raises(ValueError, match="rows paired with treated ones"):
        read_prnet(prnet)
    prnet.obs["paired_control_index"] = "gone"
    read_prnet(prnet)  # what the file holds can't be checked, but is there
    del prnet.obsm["X_ctl"]
    with pytest.raises(ValueError, match="names that are no row"):
        read_prnet(prnet)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"control": 0}, ValueError, "no control row"),
        ({"control": 1}, ValueError, "no treated row"),
        ({"dose": "10 uM"}, ValueError, "found text"),
        ({"dose": 0.0}, ValueError, "above 0"),
        ({"pert_id": None}, ValueError, "a drug in every treated row"),
        ({"pert_time": -6.0}, ValueError, "'pert_time' above 0 h"),
    ],
)
def test_bad_prnet_columns(prnet, change, error, match):
    prnet.obs = prnet.obs.assign(**change)
    with pytest.raises(error, match=match):
        read_prnet(prnet)


def test_bad_prnet_files(prnet, tmp_path):
    broken = prnet.copy()
    del broken.obs["cell_type"]
    with pytest.raises(KeyError, match=r"columns for cell in adata.obs; found none of cell_type"):
        read_prnet(broken)
    with pytest.raises(KeyError, match=r"columns\['drug'\]"):
        read_prnet(prnet, columns={"drug": "conditions"})
    with pytest.raises(ValueError, match="`columns` to be one of"):
        read_prnet(prnet, columns={"drugs": "condition"})
    prnet.X = np.random.default_rng(0).poisson(3.0, prnet.shape).astype(np.float32)
    with pytest.raises(ValueError, match=r"logarithms in adata\.X; found counts"):
        read_prnet(prnet)
    (tmp_path / "x.h5ad").write_text("no")
    with pytest.raises(ValueError, match=r"x\.h5ad to be an \.h5ad file"):
        read_prnet(tmp_path / "x.h5ad")
    with pytest.raises(FileNotFoundError, match=r"an \.h5ad file"):
        read_prnet(tmp_path / "y.h5ad")


def cells(**columns) -> ad.AnnData:
    obs = pd.DataFrame(
        {
            "product_name": ["Vehicle", "A", "A", "B"] * 10,
            "dose": [0, 10, 1e4, 100] * 10,
            "cell_type": ["A549", "K562"] * 20,
            "vehicle": ["True", "False", "False", "False"] * 10,
            "time_point": 24.0,
            "culture_plate": "plate1",
            **columns,
        },
        index=[f"c{i}" for i in range(40)],
    )
    counts = np.random.default_rng(0).poisson(2.0, (40, 25)).astype(np.float32)
    return ad.AnnData(counts, obs=obs)


def test_sciplex():
    adata = read_sciplex(cells(), smiles={"A": "CCO", "B": "CCN"})
    assert adata.obs["drug"].tolist()[:4] == ["DMSO", "A", "A", "B"]
    assert adata.obs["dose"].tolist()[:4] == [0, 0.01, 10, 0.1]
    assert adata.obs["smiles"].tolist()[:4] == ["", "CCO", "CCO", "CCN"]
    assert adata.uns["dtp_perturbation"]["scale"] == "counts"


def test_sciplex_as_others_lay_it_out():
    names = {"product_name": "perturbation", "dose": "dose_value", "cell_type": "cell_line"}
    obs = cells(dose_unit="uM").obs.rename(columns=names).drop(columns="vehicle")
    obs["perturbation"] = obs["perturbation"].replace("Vehicle", "control")
    other = ad.AnnData(cells().X, obs=obs)
    with pytest.warns(UserWarning, match="2 of 2 drugs have no SMILES"):
        adata = read_sciplex(other)
    assert adata.obs["dose"].tolist()[:4] == [0, 10, 1e4, 100]
    assert adata.obs["is_control"].sum() == 10
    with pytest.raises(ValueError, match="one unit in 'dose_unit'"):
        read_sciplex(cells(dose_unit=["uM", "nM"] * 20))
    with pytest.raises(ValueError, match="`dose_unit` to be one of"):
        read_sciplex(cells(), dose_unit="ng/mL")


def write_pairs(path, **change) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "x1": rng.normal(8, 2, (20, 40)).clip(2, 15),
        "x2": rng.normal(8, 2, (20, 40)).clip(2, 15),
        "cid": np.array([b"A375", b"PC3"] * 10),
        "canonical_smiles": np.arange(20) % 5,
        "sig": np.array([f"P{i % 2}_A375_24H:BRD:10".encode() for i in range(20)]),
        **change,
    }
    with h5py.File(path, "w") as file:
        for key, values in arrays.items():
            if values is not None:
                file[key] = values


GENES = [f"G{i}" for i in range(40)]
NUMBERED = dict(enumerate(["CCO", "CCN", "CCC", "CC", "C"]))


def test_transigen(tmp_path):
    write_pairs(tmp_path / "x.h5")
    adata = read_transigen(tmp_path / "x.h5", genes=GENES, dose=10, time=24, smiles=NUMBERED)
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_allclose(adata.X, file["x2"], rtol=1e-6)
        np.testing.assert_allclose(adata.obsm["X_ctl"], file["x1"], rtol=1e-6)
    assert adata.obs["drug"].tolist()[:2] == ["0", "1"]
    assert adata.obs["smiles"].tolist()[:2] == ["CCO", "CCN"]
    assert adata.obs["plate"].tolist()[:2] == ["P0_A375_24H", "P1_A375_24H"]
    assert adata.obs[["dose", "time"]].drop_duplicates().to_numpy().tolist() == [[10, 24]]
    assert not adata.obs["is_control"].any()
    adata.write_h5ad(tmp_path / "x.h5ad")


def test_transigen_with_smiles_in_the_file(tmp_path):
    write_pairs(tmp_path / "x.h5", canonical_smiles=np.array([b"CCO", b"CCN"] * 10), sig=None)
    adata = read_transigen(tmp_path / "x.h5", genes=GENES, dose=10, time=24)
    assert adata.obs["smiles"].tolist()[:2] == adata.obs["drug"].tolist()[:2] == ["CCO", "CCN"]


@pytest.mark.parametrize(
    ("change", "arguments", "error", "match"),
    [
        ({"x1": None}, {}, KeyError, "no x1 among"),
        ({"x1": np.ones((20, 39))}, {}, ValueError, "x1 and x2 of one shape"),
        ({"cid": np.array([b"a"])}, {}, ValueError, "arrays of one length"),
        ({}, {"genes": GENES[1:]}, ValueError, "40 different names in `genes`; found 39"),
        ({}, {"smiles": None}, ValueError, "a SMILES for every number"),
        ({}, {"smiles": {0: "CCO"}}, ValueError, r"none for 4 \(1, 2, 3, 4\)"),
        ({}, {"dose": 0}, ValueError, "'dose' above 0"),
        ({}, {"time": -1}, ValueError, "'time' above 0"),
        (
            {"x2": np.random.default_rng(0).poisson(3, (20, 40))},
            {},
            ValueError,
            "logarithms in x2; found counts",
        ),
    ],
)
def test_bad_transigen(tmp_path, change, arguments, error, match):
    write_pairs(tmp_path / "x.h5", **change)
    given = {"genes": GENES, "dose": 10, "time": 24, "smiles": NUMBERED, **arguments}
    with pytest.raises(error, match=match):
        read_transigen(tmp_path / "x.h5", **given)
