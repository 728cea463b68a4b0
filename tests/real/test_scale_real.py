"""The scale of each public file is recognised, in memory and backed."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import pandas as pd
import pytest

from dtp_scvi.data import detect_scale

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
EXPECTED = {
    "aml_scrna/vangalen2019_GSE116256_AML1012-D0_raw_1136x27899.h5ad": "counts",
    "aml_scrna/pellin2019_GSE117498_HSC_MPP_raw.h5ad": "counts",
    "aml_bulk/amlmapr_example_counts_100x60660.h5ad": "counts",
    "pbmc/pbmc4k_soupx_raw_2170x33694.h5ad": "counts",
    "persister_pc9/pc9_erlotinib_day11_dropseq_raw_min500umi.h5ad": "counts",
    "ici/riaz2017_GSE91061.h5ad": "counts",
    "ici/hugo2016_GSE78220.h5ad": "corrected_counts",
    "sc_response/scad_A375_PLX4720_GSE108383.h5ad": "zscore",
    "sc_response/scad_HNSC1_Gefitinib_Vorinostat_AR42.h5ad": "zscore",
}


def path_of(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"shared/data/{name} is not here")
    return path


@pytest.mark.filterwarnings("ignore")  # old files warn while they are read
@pytest.mark.parametrize("backed", [None, "r"], ids=["memory", "backed"])
@pytest.mark.parametrize("name", EXPECTED)
def test_scale_of_h5ad(name, backed):
    report = detect_scale(ad.read_h5ad(path_of(name), backed=backed).X)
    assert (str(report.scale), report.confident) == (EXPECTED[name], True), report.sentence()


def test_size_factor_logs_of_sorted_blood_cells():
    path = path_of("gse74246/GSE74246_healthy45_log2_sizefactor_norm.csv.gz")
    values = pd.read_csv(path, index_col=0).T.to_numpy()
    report = detect_scale(values)
    assert (str(report.scale), report.confident) == ("log2_sizefactor", True), report.sentence()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    ["cell_lines/ccle_dualgcn_expr_gdsc_ic50.h5ad", "l1000/l1000_HT115_6h_prnet_demo.h5ad"],
)
def test_selections_of_genes_are_not_called_clear(name):
    assert not detect_scale(ad.read_h5ad(path_of(name)).X).confident
