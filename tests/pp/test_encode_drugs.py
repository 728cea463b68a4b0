from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dtp_scvi import pp
from dtp_scvi.data import get_drug_table

pytest.importorskip("rdkit")
from rdkit import Chem
from rdkit.Chem import AllChem, rdFingerprintGenerator
from rdkit.Chem.Scaffolds import MurckoScaffold

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
NICOTINE = "CN1CCC[C@H]1c1cccnc1"
DRUGS = {"aspirin": ASPIRIN, "nicotine": NICOTINE, "ethanol": "CCO"}


def wells(drugs=None, **columns) -> ad.AnnData:
    """Two DMSO wells without a dose, then two wells of each drug."""
    drugs = DRUGS if drugs is None else drugs
    names = ["DMSO"] * 2 + [name for name in drugs for _ in range(2)]
    obs = pd.DataFrame(
        {
            "drug": names,
            "smiles": [drugs.get(name) for name in names],
            "dose": [0.0, np.nan] + [9.0, 99.0] * len(drugs),
            **columns,
        },
        index=[f"w{i}" for i in range(len(names))],
    )
    return ad.AnnData(np.ones((len(names), 2), np.float32), obs=obs)


@pytest.fixture
def encoded() -> ad.AnnData:
    adata = wells()
    pp.encode_drugs(adata, smiles_key="smiles", dose_key="dose", times_log_dose=True)
    return adata


def test_the_table_has_a_row_a_drug_and_none_for_the_vehicle(encoded):
    table = encoded.uns["drugs"]["table"]
    assert table.index.tolist() == ["aspirin", "ethanol", "nicotine"]
    assert table["status"].eq("ok").all()
    assert table.loc["aspirin", "smiles"] == Chem.CanonSmiles(ASPIRIN)
    assert encoded.obs["drugs_code"].tolist() == [-1, -1, 0, 0, 2, 2, 1, 1]
    assert encoded.uns["drugs"]["bits"].shape == (3, 1024)


@pytest.mark.parametrize(("kind", "features"), [("fcfp4", True), ("ecfp4", False)])
def test_fingerprints_are_those_of_rdkit(kind, features):
    adata = wells()
    pp.encode_drugs(adata, smiles_key="smiles", fingerprint=kind, n_bits=512)
    drugs = get_drug_table(adata)
    mol = Chem.MolFromSmiles(NICOTINE)
    old = (
        AllChem.GetHashedMorganFingerprint(mol, 2, nBits=512, useFeatures=features)
        if hasattr(AllChem, "GetHashedMorganFingerprint")
        else None
    )
    invariants = rdFingerprintGenerator.GetMorganFeatureAtomInvGen() if features else None
    make = rdFingerprintGenerator.GetMorganGenerator(
        radius=2, fpSize=512, atomInvariantsGenerator=invariants
    )
    row = drugs.codes(["nicotine"])[0]
    assert np.array_equal(drugs.counts[row], make.GetCountFingerprintAsNumPy(mol))
    assert np.array_equal(drugs.bits[row], make.GetFingerprintAsNumPy(mol))
    if old is not None:
        assert {
            i: int(n) for i, n in enumerate(drugs.counts[row]) if n
        } == old.GetNonzeroElements()


def test_functional_classes_do_not_tell_halogens_apart():
    halogens = {"a": "Clc1ccccc1", "b": "Brc1ccccc1"}
    shared = {}
    for kind in ("fcfp4", "ecfp4"):
        adata = wells(halogens)
        pp.encode_drugs(adata, smiles_key="smiles", fingerprint=kind)
        first, second = adata.uns["drugs"]["bits"]
        shared[kind] = np.array_equal(first, second)
    assert shared == {"fcfp4": True, "ecfp4": False}


def test_atoms_are_padded_and_numbered_as_in_the_canonical_smiles(encoded):
    drugs = get_drug_table(encoded)
    assert drugs.atoms.shape == (3, 13, len(drugs.atom_features))
    assert drugs.atom_mask.sum(axis=1).tolist() == drugs.table["n_atoms"].tolist() == [13, 3, 12]
    assert not drugs.atoms[~drugs.atom_mask].any()
    names = np.array(drugs.atom_features)
    mol = Chem.MolFromSmiles(drugs.table.loc["nicotine", "smiles"])
    for atom, values in zip(mol.GetAtoms(), drugs.atoms[2], strict=False):
        on = set(names[values == 1])
        assert f"element={atom.GetSymbol()}" in on
        assert f"degree={atom.GetDegree()}" in on
        assert f"hydrogens={atom.GetTotalNumHs()}" in on
        assert f"charge={atom.GetFormalCharge()}" in on
        assert f"hybridisation={atom.GetHybridization()}" in on
        assert ("aromatic" in on) == atom.GetIsAromatic()
        assert ("in_ring" in on) == atom.IsInRing()
    assert (drugs.atoms[2][:, names == "chiral=S"]).sum() == 1


def test_rare_atoms_and_charges_fall_into_the_last_class():
    adata = wells({"cisplatin-like": "[NH3][Pt+4](Cl)(Cl)[NH3]"})
    pp.encode_drugs(adata, smiles_key="smiles")
    drugs = get_drug_table(adata)
    names, found = list(drugs.atom_features), drugs.atoms[0].sum(axis=0)
    assert found[names.index("element=other")] == 1
    assert found[names.index("charge=2")] == 1


def test_scaffolds(encoded):
    table = encoded.uns["drugs"]["table"]
    expected = MurckoScaffold.MurckoScaffoldSmiles(NICOTINE)
    assert table["scaffold"].tolist() == ["c1ccccc1", "acyclic", expected]


def test_doses(encoded):
    np.testing.assert_allclose(encoded.obs["drugs_log_dose"], [0, 0] + [1, 2] * 3)
    scaled = encoded.obsm["drugs_by_dose"].toarray()
    bits = encoded.uns["drugs"]["bits"]
    assert not scaled[:2].any()
    np.testing.assert_allclose(scaled[3], 2 * bits[0])
    np.testing.assert_allclose(scaled[4], bits[2])


def test_it_survives_a_file(encoded, tmp_path):
    encoded.write_h5ad(tmp_path / "x.h5ad")
    before, after = get_drug_table(encoded), get_drug_table(ad.read_h5ad(tmp_path / "x.h5ad"))
    pd.testing.assert_frame_equal(before.table, after.table, check_names=False)
    for name in ("bits", "counts", "atoms", "atom_mask"):
        stored = getattr(after, name)
        assert np.array_equal(getattr(before, name), stored)
        assert getattr(before, name).dtype == stored.dtype
    assert before.atom_features == after.atom_features


def test_codes_are_matched_by_name(encoded):
    drugs = get_drug_table(encoded)
    assert drugs.codes(pd.Categorical(["nicotine", "aspirin"])).tolist() == [2, 0]
    assert drugs.codes(["DMSO"], other="none").tolist() == [-1]
    with pytest.raises(KeyError, match=r"the 3 of the table; found 1 others \(caffeine\)"):
        drugs.codes(["caffeine"])


def test_two_spellings_of_one_molecule_and_gaps_are_no_contradiction():
    adata = wells({"a": "OCC"})
    adata.obs.loc["w3", "smiles"] = "C(O)C"
    pp.encode_drugs(adata, smiles_key="smiles")
    adata.obs.loc["w3", "smiles"] = np.nan
    pp.encode_drugs(adata, smiles_key="smiles")
    assert adata.uns["drugs"]["table"]["smiles"].tolist() == ["CCO"]


def test_without_names_the_smiles_are_the_names():
    adata = wells()
    adata.obs["smiles"] = adata.obs.pop("drug").map(DRUGS).fillna("DMSO")
    pp.encode_drugs(adata, smiles_key="smiles")
    assert set(adata.uns["drugs"]["table"].index) == set(DRUGS.values())


def test_salts():
    salt = {"salt": "CC(=O)[O-].[Na+]", "b": "CCN"}
    adata = wells(salt)
    with pytest.warns(UserWarning, match=r"1 of 2 drugs are salts or mixtures \(salt\)"):
        pp.encode_drugs(adata, smiles_key="smiles")
    assert adata.uns["drugs"]["table"].loc["salt", ["n_fragments", "n_atoms"]].tolist() == [2, 5]
    pp.encode_drugs(adata, smiles_key="smiles", salts="largest")
    assert adata.uns["drugs"]["table"].loc["salt", ["n_fragments", "n_atoms"]].tolist() == [2, 4]


def test_names_that_share_a_structure_are_told_of():
    with pytest.warns(UserWarning, match="Several names have one structure: a = b"):
        pp.encode_drugs(wells({"a": "CCO", "b": "OCC"}), smiles_key="smiles")


def test_molecules_that_are_too_long_are_cut_with_a_warning():
    adata = wells()
    with pytest.warns(UserWarning, match=r"beyond 12 were left out of 1 drugs \(aspirin\)"):
        pp.encode_drugs(adata, smiles_key="smiles", max_atoms=12)
    assert adata.uns["drugs"]["atom_mask"].sum(axis=1).tolist() == [12, 3, 12]


BAD = {"fine": "CCO", "broken": "C1CC", "none": None, "withheld": "restricted"}


def test_all_bad_structures_are_listed_with_the_drug(capfd):
    with pytest.raises(ValueError, match="2 drugs without one and 1 that can't be read") as error:
        pp.encode_drugs(wells(BAD), smiles_key="smiles")
    for text in ("broken ('C1CC')", "none (no SMILES)", "withheld (no SMILES)"):
        assert text in str(error.value)
    assert capfd.readouterr() == ("", "")  # RDKit is silent


def test_bad_structures_can_be_kept_or_dropped():
    adata = wells(BAD)
    pp.encode_drugs(adata, smiles_key="smiles", invalid="missing")
    drugs = get_drug_table(adata)
    assert drugs.table["status"].to_dict() == {
        "broken": "invalid",
        "fine": "ok",
        "none": "missing",
        "withheld": "missing",
    }
    assert drugs.bits.any(axis=1).tolist() == [False, True, False, False]
    assert drugs.atom_mask.any(axis=1).tolist() == [False, True, False, False]
    pp.encode_drugs(adata, smiles_key="smiles", invalid="drop")
    assert get_drug_table(adata).names.tolist() == ["fine"]
    assert adata.obs["drugs_code"].tolist() == [-1, -1, 0, 0] + [-1] * 6


def test_several_structures_for_one_drug():
    adata = wells()
    adata.obs.loc["w3", "smiles"] = "CCN"
    with pytest.raises(ValueError, match=r"found several for 1 \(aspirin\)"):
        pp.encode_drugs(adata, smiles_key="smiles")


@pytest.mark.parametrize(
    ("change", "arguments", "error", "match"),
    [
        ({}, {"smiles_key": "smile"}, KeyError, "Did you mean smiles"),
        ({}, {"drug_key": "drugs"}, KeyError, "Did you mean drug"),
        ({}, {"dose_key": "doses"}, KeyError, "Did you mean dose"),
        ({}, {"fingerprint": "maccs"}, ValueError, "`fingerprint` to be one of"),
        ({}, {"n_bits": 0}, ValueError, "`n_bits`"),
        ({}, {"max_atoms": 0}, ValueError, "`max_atoms`"),
        ({}, {"invalid": "skip"}, ValueError, "`invalid` to be one of"),
        ({}, {"salts": "strip"}, ValueError, "`salts` to be one of"),
        ({}, {"times_log_dose": True}, ValueError, "`dose_key` with times_log_dose"),
        ({}, {"control": ["DMSO", *DRUGS]}, ValueError, "treated rows beside the control"),
        ({"drug": None}, {}, ValueError, "8 of 8 rows without one"),
        ({"dose": "10 uM"}, {"dose_key": "dose"}, ValueError, "found text"),
        ({"dose": 0.0}, {"dose_key": "dose"}, ValueError, "above 0 µM in every treated row"),
        ({"smiles": ""}, {"invalid": "drop"}, ValueError, "at least one drug with a structure"),
    ],
)
def test_bad_input(change, arguments, error, match):
    with pytest.raises(error, match=match):
        pp.encode_drugs(wells(**change), **{"smiles_key": "smiles", **arguments})


def test_a_view_and_a_missing_table():
    with pytest.raises(ValueError, match="a view"):
        pp.encode_drugs(wells()[:4], smiles_key="smiles")
    with pytest.raises(KeyError, match=r"Run dtp\.pp\.encode_drugs"):
        get_drug_table(wells())
