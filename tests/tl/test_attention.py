"""Where XPert looks, as it is stored: units, groups, corrected tests, refused questions."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats as st

import dtp_scvi as dtp

KEY = "dtp_attention"


@pytest.fixture(scope="module")
def trained():
    wells = dtp.datasets.simulate_perturbation(
        4, n_drugs=8, n_genes=12, doses=(1.0,), times=(24,), n_plates=2, n_controls=4
    )
    dtp.model.XPert.setup_anndata(
        wells,
        drug_key="drug",
        smiles_key="smiles",
        cell_key="cell",
        plate_key="plate",
        control_label="DMSO",
    )
    dtp.pp.split_perturbation(wells, "drug")
    # Of controls nobody says whether they responded.
    responds = wells.obs["cell"].isin(["cell_1", "cell_2"]).map({True: "yes", False: "no"})
    wells.obs["response"] = responds.where(~wells.obs["is_control"])
    model = dtp.model.XPert(wells, d_model=8, n_heads=2, treated=("cross",), untreated=1)
    model.train(max_epochs=1)
    return wells, model


@pytest.fixture
def wells(trained):
    return trained[0].copy()


@pytest.fixture
def model(trained):
    return trained[1]


def treated(wells):
    return wells.obs[~wells.obs["is_control"]]


def test_atoms_are_those_of_the_structure(wells, model):
    table = dtp.tl.attention(wells, model)
    pd.testing.assert_frame_equal(table, model.get_attention(wells, of="atoms"))
    stored = wells.uns[KEY]["atoms"]["structures"]
    assert stored["smiles"].tolist() == wells.uns["drugs"]["table"]["smiles"].tolist()
    assert table.notna().sum(axis=1).tolist() == stored["n_atoms"].tolist()


def test_rows_that_share_a_control_are_one_unit(wells, model):
    table = dtp.tl.attention(wells, model, of="genes")
    found = model.get_attention(wells, of="genes")
    by_plate = found.groupby(treated(wells)["plate"].to_numpy(), observed=True).mean()
    assert wells.uns[KEY]["genes"]["params"]["n_units"] == len(by_plate) == 8
    np.testing.assert_allclose(table["mean"], by_plate.mean()[table.index], rtol=1e-5)
    np.testing.assert_allclose(
        table["q75"], by_plate.quantile(0.75)[table.index].astype(float), rtol=1e-5
    )
    assert table["mean"].is_monotonic_decreasing


def test_groups_are_compared_over_units_and_corrected(wells, model):
    options = {"of": "genes", "groupby": "response", "groups": ["yes", "no"]}
    table = dtp.tl.attention(wells, model, **options)
    obs = treated(wells)
    by_plate = model.get_attention(wells, of="genes").groupby(obs["plate"].to_numpy()).mean()
    yes = by_plate.index.isin(obs.loc[obs["response"] == "yes", "plate"])
    first, second = (by_plate.astype(float)[rows] for rows in (yes, ~yes))
    expected = st.ttest_ind(first, second, equal_var=False)
    table = table.loc[wells.var_names]
    np.testing.assert_allclose(table["p"], expected.pvalue, rtol=1e-4)
    np.testing.assert_allclose(table["q"], st.false_discovery_control(expected.pvalue), rtol=1e-4)
    np.testing.assert_allclose(
        table["log2_ratio"], np.log2(first.mean() / second.mean()), atol=1e-5
    )
    params = wells.uns[KEY]["genes"]["params"]
    assert params["groups"] == ["yes", "no"]
    assert params["n_in_groups"] == [4, 4]


def test_a_unit_of_several_controls_is_averaged(wells, model):
    dtp.tl.attention(wells, model, of="genes", unit_key="cell")
    assert wells.uns[KEY]["genes"]["params"]["n_units"] == 4
    with pytest.raises(ValueError, match="at least 3 units in each group; found fewer in no, yes"):
        dtp.tl.attention(wells, model, of="genes", unit_key="cell", groupby="response")


def test_both_kinds_stay_and_survive_a_file(wells, model, tmp_path):
    dtp.tl.attention(wells, model)
    dtp.tl.attention(wells, model, of="genes", groupby="response")
    wells.write_h5ad(tmp_path / "wells.h5ad")
    read = ad.read_h5ad(tmp_path / "wells.h5ad").uns[KEY]
    assert set(read) == {"atoms", "genes"}
    kept = wells.uns[KEY]["genes"]["table"]
    pd.testing.assert_frame_equal(read["genes"]["table"], kept)
    assert list(read["genes"]["params"]["groups"]) == ["no", "yes"]


def test_a_saved_model_will_do(wells, model, tmp_path):
    model.save(tmp_path / "xpert")
    pd.testing.assert_frame_equal(
        dtp.tl.attention(wells, tmp_path / "xpert"), dtp.tl.attention(wells, model)
    )


def test_bad_input(wells, model):
    wells.obs["half"] = wells.obs["drug"].isin([f"drug_{i}" for i in range(1, 5)]).map(str)
    with pytest.raises(ValueError, match=r"units that are in one of the groups.*8 in both"):
        dtp.tl.attention(wells, model, of="genes", groupby="half")
    with pytest.raises(ValueError, match=r"two groups of adata.obs\['cell'\].*cell_4"):
        dtp.tl.attention(wells, model, of="genes", groupby="cell")
    with pytest.raises(ValueError, match=r"two groups of.*found yes, maybe"):
        dtp.tl.attention(wells, model, of="genes", groupby="response", groups=["yes", "maybe"])
    with pytest.raises(ValueError, match="`groupby` with `groups`"):
        dtp.tl.attention(wells, model, of="genes", groups=["yes", "no"])
    with pytest.raises(KeyError, match="`groupby` to name a key"):
        dtp.tl.attention(wells, model, of="genes", groupby="outcome")
    with pytest.raises(ValueError, match='no `unit_key` with of="atoms"'):
        dtp.tl.attention(wells, model, unit_key="cell")
    with pytest.raises(ValueError, match="`of` to be one of"):
        dtp.tl.attention(wells, model, of="tokens")
    with pytest.raises(TypeError, match="a trained XPert; found PerturbationBaseline"):
        dtp.tl.attention(wells, dtp.model.PerturbationBaseline("additive"))


def test_structures_other_than_in_training_are_refused(wells, model):
    table = wells.uns["drugs"]["table"]
    smallest = table["n_atoms"].idxmin()
    table.loc[smallest, "n_atoms"] += 1
    with pytest.raises(
        ValueError, match=rf"as many atoms.*found others in 1 drugs \({smallest}\)"
    ):
        dtp.tl.attention(wells, model)
    wells.uns["drugs"]["table"] = table.drop(index="drug_2")
    with pytest.raises(KeyError, match=r"structure of each drug.*1 that have none \(drug_2\)"):
        dtp.tl.attention(wells, model)
    assert KEY not in wells.uns
