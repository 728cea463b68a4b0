"""PRnet's demo file: one cell line, 6 h, log2 intensities of level 3."""

from __future__ import annotations

import numpy as np
import pytest

from dtp_scvi import pp
from dtp_scvi.data import get_drug_table, split_rows
from dtp_scvi.datasets import read_prnet
from dtp_scvi.stats import tanimoto

pytest.importorskip("rdkit")


@pytest.fixture(scope="module")
def demo(path_of):
    return read_prnet(path_of("l1000/l1000_HT115_6h_prnet_demo.h5ad"))


def test_sizes(demo):
    record = demo.uns["dtp_perturbation"]
    assert demo.shape == (681, 978)
    assert (record["n_controls"], record["n_treated"], record["n_drugs"]) == (20, 661, 354)
    assert len(record["plates_without_control"]) == len(record["drugs_without_smiles"]) == 0
    assert demo.obs["time"].unique().tolist() == [6.0]
    # Paired at random over both plates.
    assert record["n_paired_on_other_plate"] == 338


def test_names_that_stand_for_two_structures(demo):
    with pytest.raises(ValueError, match=r"found several for 5 \(curcumin, dexamethasone"):
        pp.encode_drugs(demo, smiles_key="smiles", drug_key="condition")


def test_drugs_and_splits(demo):
    pp.encode_drugs(demo, smiles_key="smiles", dose_key="dose")
    drugs = get_drug_table(demo)
    assert len(drugs.names) == 354
    assert drugs.table["status"].eq("ok").all()
    assert drugs.atom_mask.sum(axis=1).max() == 85
    similarity = tanimoto(drugs.bits)
    assert np.allclose(np.diag(similarity), 1)
    for by in ("drug", "scaffold", "prnet"):
        pp.split_perturbation(demo, by)
        rows = split_rows(demo)
        assert len(rows["control"]) == 20
        tested = set(demo.obs["drug"].iloc[rows["test"]])
        assert not tested & set(demo.obs["drug"].iloc[rows["train"]])
    with pytest.raises(ValueError, match=r"at least 3 cells .* found 1 in all \(HT115\)"):
        pp.split_perturbation(demo, "cell")
