"""The scale of each public file is recognised, in memory and backed."""

from __future__ import annotations

import anndata as ad
import pytest

from dtp_scvi.data import detect_scale

EXPECTED = {
    "vangalen": "counts",
    "pellin": "counts",
    "bulk": "counts",
    "pbmc": "counts",
    "pc9": "counts",
    "ici/riaz2017_GSE91061.h5ad": "counts",
    "ici/hugo2016_GSE78220.h5ad": "corrected_counts",
    "sc_response/scad_A375_PLX4720_GSE108383.h5ad": "zscore",
    "sc_response/scad_HNSC1_Gefitinib_Vorinostat_AR42.h5ad": "zscore",
}


@pytest.mark.filterwarnings("ignore")  # old files warn while they are read
@pytest.mark.parametrize("backed", [None, "r"], ids=["memory", "backed"])
@pytest.mark.parametrize("name", EXPECTED)
def test_scale_of_h5ad(name, backed, path_of):
    report = detect_scale(ad.read_h5ad(path_of(name), backed=backed).X)
    assert (str(report.scale), report.confident) == (EXPECTED[name], True), report.sentence()


def test_size_factor_logs_of_sorted_blood_cells(fresh):
    report = detect_scale(fresh("gse74246").X)
    assert (str(report.scale), report.confident) == ("log2_sizefactor", True), report.sentence()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    ["cell_lines/ccle_dualgcn_expr_gdsc_ic50.h5ad", "l1000/l1000_HT115_6h_prnet_demo.h5ad"],
)
def test_selections_of_genes_are_not_called_clear(name, path_of):
    assert not detect_scale(ad.read_h5ad(path_of(name)).X).confident
