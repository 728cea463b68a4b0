from __future__ import annotations

import pytest

from dtp_scvi.data import nuisance_genes

FOUND = {
    "ribosomal": "RPL13 RPS3A RPLP0 RPS4X RPS4Y1 RPL22L1 RPL36AL RPL13AP5 RPS27L RPSA FAU RPL7L1P2",
    "mitochondrial": "MT-ND1 MT-CO1 MT-RNR2 mt-Nd1 MTND1",
    "sex": "XIST TSIX DDX3Y RPS4Y1 UTY KDM5D",
    "haemoglobin": "HBA1 HBA2 HBB HBD HBE1 HBG1 HBG2 HBM HBQ1 HBZ Hbb",
    "dissociation": "FOS JUN HSPA1A JUNB EGR1 DNAJB1 IER2",
}
LEFT_ALONE = [
    "RPS6KA1",
    "RPS6KB1",
    "RPS6KL1",
    "RPL1",
    "RPN1",
    "RPRD1A",
    "MTOR",
    "MTHFD1",
    "MT1X",
    "HBP1",
    "HBEGF",
    "HBS1L",
    "HBAP1",
    "ZFX",
    "CD34",
    "KIT",
    "FOSL1",
    "MRPL13",
    "MRPS5",
    "RPTOR",
    "RPP30",
]


@pytest.mark.parametrize("kind", FOUND)
def test_members_are_found(kind):
    names = FOUND[kind].split()
    assert nuisance_genes(names)[kind] == names


@pytest.mark.parametrize("kind", ["ribosomal", "mitochondrial", "sex", "haemoglobin"])
def test_lookalikes_are_left_alone(kind):
    assert nuisance_genes([n for n in LEFT_ALONE if n != "RPL1"])[kind] == []


def test_order_is_kept_and_every_kind_is_named():
    found = nuisance_genes(["HBB", "CD34", "HBA1"])
    assert found["haemoglobin"] == ["HBB", "HBA1"]
    assert set(found) == set(FOUND)


def test_ensembl_ids_are_looked_up():
    found = nuisance_genes(["ENSG00000198888.2", "ENSG00000229807", "ENSG00000174059", "RPL13"])
    assert found["mitochondrial"] == ["ENSG00000198888.2"]  # MT-ND1
    assert found["sex"] == ["ENSG00000229807"]  # XIST
    assert found["ribosomal"] == ["RPL13"]
