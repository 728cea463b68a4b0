"""The label of controls in the place of a drug: no structure, whatever its SMILES."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from dtp_scvi import datasets, pp, tl
from dtp_scvi.model import PertDiT, XPert

pytest.importorskip("rdkit")

KEYS = {
    "drug_key": "drug",
    "smiles_key": "smiles",
    "dose_key": "dose",
    "time_key": "time",
    "cell_key": "cell",
    "plate_key": "plate",
    "control_label": "DMSO",
}
TINY = {
    XPert: {"d_model": 16, "n_heads": 2, "treated": ("cross",), "untreated": 1, "d_head": 16},
    PertDiT: {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_hidden": 16, "objective": "direct"},
}


@pytest.fixture(scope="module")
def wells():
    adata = datasets.simulate_perturbation(
        1, n_drugs=24, n_genes=12, doses=(10.0,), times=(24.0,), n_controls=4, noise_sd=0.1
    )
    for cls in TINY:
        cls.setup_anndata(adata, **KEYS)
    pp.split_perturbation(adata, "drug")
    return adata


@pytest.fixture(scope="module", params=list(TINY), ids=lambda cls: cls.__name__)
def model(request, wells):
    found = request.param(wells, **TINY[request.param])
    found.train(max_epochs=1)
    # What is asked is how it reads drugs, not whether it learned anything.
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in found.module.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return found


def one_row_for_each_drug(wells):
    """Test rows that differ in their drug alone."""
    rows = wells[wells.obs["split"] == "test"].copy()
    rows.obsm["dtp_control"][:] = rows.obsm["dtp_control"][0]
    return rows


def test_without_its_name_no_drug_is_told_from_another(wells, model):
    rows = one_row_for_each_drug(wells)
    assert model.predict(rows).std().max() > 1e-4
    rows.obs["drug"] = "DMSO"
    assert model.predict(rows).std().max() < 1e-6


def test_a_drug_beside_it_is_encoded_as_ever(wells, model):
    rows = one_row_for_each_drug(wells)
    expected = model.predict(rows)
    changed = rows.copy()
    names = rows.obs["drug"].astype(str).to_numpy()
    changed.obs["drug"] = np.where(np.arange(len(names)) == 0, "DMSO", "new " + names)
    found = model.predict(changed)
    pd.testing.assert_frame_equal(found.iloc[1:], expected.iloc[1:], atol=1e-5)
    changed.obs["smiles"] = ""
    with pytest.raises(ValueError, match="drugs without one"):
        model.predict(changed)


def test_evaluation_zeroes_and_shuffles_drugs(wells, model):
    table = tl.evaluate_perturbation(
        {"network": model},
        wells,
        dose_key="dose",
        smiles_key="smiles",
        metrics=["pearson_delta", "retrieval"],
        groupby=["per_sample"],
        baselines=None,
        n_boot=2,
    )
    assert {"network, drugs zeroed", "network, drugs shuffled"} < set(table["model"])
