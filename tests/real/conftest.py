"""Public files that several tests read, each once; tests are skipped where a file is absent."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp
from dtp_scvi.model import DTPTransformer

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FILES = {
    "vangalen": "aml_scrna/vangalen2019_GSE116256_AML1012-D0_raw_1136x27899.h5ad",
    "pellin": "aml_scrna/pellin2019_GSE117498_HSC_MPP_raw.h5ad",
    "pbmc": "pbmc/pbmc4k_soupx_raw_2170x33694.h5ad",
    "bulk": "aml_bulk/amlmapr_example_counts_100x60660.h5ad",
    "pc9": "persister_pc9/pc9_erlotinib_day11_dropseq_raw_min500umi.h5ad",
    "gse74246": "gse74246/GSE74246_healthy45_log2_sizefactor_norm.csv.gz",
    "lsc17": "signatures/LSC17_Ng2016.csv",
}


@pytest.fixture(scope="session")
def path_of():
    """Return a function from a short name, or a path below the data, to the file."""

    def find(name):
        path = DATA / FILES.get(name, name)
        if not path.exists():
            pytest.skip(f"shared/data/{FILES.get(name, name)} is not here")
        return path

    return find


@pytest.fixture(scope="session")
def fresh(path_of):
    """Return a function from a name to a copy of its own; files are read once, whole."""

    @functools.cache
    def read(name):
        path = path_of(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old files warn while they are read
            if path.suffix == ".h5ad":
                return ad.read_h5ad(path)
            # Genes in rows, samples in columns.
            return ad.AnnData(pd.read_csv(path, index_col=0).T.astype(np.float32))

    def copy(name):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(name).copy()

    return copy


@pytest.fixture(scope="session")
def malignant_cells(fresh):
    """Cells of one patient, set up to tell malignant ones; for tests that only read them."""
    adata = fresh("vangalen")
    DTPTransformer.setup_anndata(adata, "PredictionRefined", positive="malignant")
    return adata


@pytest.fixture(scope="session")
def lsc17(path_of):
    """Genes and coefficients of the published signature."""
    return pd.read_csv(path_of("lsc17"))


@pytest.fixture(scope="session")
def beataml(path_of) -> ad.AnnData:
    """BeatAML as its reader joins it; copy before you change it."""
    pytest.importorskip("openpyxl")
    names = (
        "beataml2_norm_exp_493genes_566samples.csv.gz",
        "drug_auc_569patients_166drugs.csv.gz",
        "beataml_wv1to4_clinical.xlsx",
        "expression_sample_map.csv",
    )
    return dtp.datasets.read_beataml(*(path_of(f"beataml2/{name}") for name in names))
