from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dtp_scvi.stats import tanimoto

SMILES = ["CCO", "CC(=O)Oc1ccccc1C(=O)O", "c1ccc2[nH]ccc2c1", "CN1CCC[C@H]1c1cccnc1", "CCN"]


@pytest.mark.parametrize("kind", ["bits", "counts"])
def test_as_rdkit_has_it(kind):
    chem = pytest.importorskip("rdkit.Chem")
    from rdkit import DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    make = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=256)
    mols = [chem.MolFromSmiles(smiles) for smiles in SMILES]
    if kind == "bits":
        theirs = [make.GetFingerprint(mol) for mol in mols]
        ours = np.array([make.GetFingerprintAsNumPy(mol) for mol in mols])
    else:
        theirs = [make.GetCountFingerprint(mol) for mol in mols]
        ours = np.array([make.GetCountFingerprintAsNumPy(mol) for mol in mols])
    expected = [[DataStructs.TanimotoSimilarity(a, b) for b in theirs] for a in theirs]
    np.testing.assert_allclose(tanimoto(ours), expected, atol=1e-12)
    np.testing.assert_allclose(
        tanimoto(ours[:2], ours[2:]), np.array(expected)[:2, 2:], atol=1e-12
    )


@given(arrays(np.int64, (4, 6), elements=st.integers(0, 5)))
def test_symmetric_within_bounds_and_one_with_itself(values):
    found = tanimoto(values)
    np.testing.assert_allclose(found, found.T)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(np.diag(found), (values.sum(axis=1) > 0).astype(float))


@pytest.mark.parametrize(
    ("first", "second", "match"),
    [
        (np.ones(3), None, "molecules in rows; found shape"),
        (np.ones((2, 3)), np.ones((2, 4)), "one length; found 3 and 4 columns"),
        (np.array([[-1.0, 1.0]]), None, "at least 0 in `first`"),
        (np.ones((1, 1)), np.array([[np.nan]]), "at least 0 in `second`"),
    ],
)
def test_bad_input(first, second, match):
    with pytest.raises(ValueError, match=match):
        tanimoto(first, second)
