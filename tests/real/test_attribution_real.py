"""What the bundled venetoclax model rests on, in patients."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

import dtp_scvi as dtp
from dtp_scvi.data import read_gmt

# Monocytic leukaemia resists venetoclax (Pei et al. 2020, doi:10.1158/2159-8290.CD-19-0710).
# The six of scripts/train_bundled.py, and BCL2A1, whose expression goes with the AUC.
MARKERS = ("LYZ", "CD14", "S100A8", "S100A9", "FCN1", "VCAN", "BCL2A1")
SETS = "signatures/vanGalen_HSC_LSC_subset.gmt"


@pytest.fixture(scope="module")
def table(beataml):
    adata = beataml.copy()
    found = dtp.tl.attribute(adata, dtp.hub.load("aml-venetoclax"), donor_key="patient")
    record = adata.uns["dtp_attribution"]
    assert record["completeness"]["max"] < 0.01
    assert record["stability"]["split_half"] > 0.95
    return found


def enriched(table, genes, values):
    """Number of the set's genes, AUROC of the set against the rest, and its one-sided p."""
    inside = table.index.isin(list(genes))
    test = mannwhitneyu(values[inside], values[~inside], alternative="greater")
    auroc = test.statistic / (inside.sum() * (~inside).sum())
    return int(inside.sum()), float(auroc), float(test.pvalue)


def test_monocytic_markers_contribute_most(table, record_property):
    n, auroc, p = enriched(table, MARKERS, table["mean_abs"].to_numpy())
    record_property("markers", (n, auroc, p))
    assert n >= 5
    assert auroc > 0.9
    assert p < 1e-3
    assert (table.loc[table.index.isin(MARKERS), "direction"] > 0.5).all()


# One of the other sets of the file holds a date in place of a gene, and is not read.
@pytest.mark.filterwarnings("ignore:1 symbols of vanGalen:UserWarning")
def test_monocyte_like_genes_raise_the_predicted_auc(table, path_of, record_property):
    """Signature of van Galen et al. 2019 (doi:10.1016/j.cell.2019.01.031)."""
    genes = read_gmt(path_of(SETS))["vanGalen_AML_Mono"]
    towards = (table["mean_abs"] * np.sign(table["direction"])).to_numpy()
    n, auroc, p = enriched(table, genes, towards)
    record_property("monocyte_like", (n, auroc, p))
    assert n >= 10
    assert auroc > 0.7
    assert p < 1e-3
