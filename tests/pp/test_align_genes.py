from __future__ import annotations

from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp

GENES = ["CD34", "ADGRG1", "KIT"]


@pytest.fixture
def adata():
    var = pd.DataFrame({"symbol": ["KIT", "GPR56"]}, index=["ENSG00000157404", "ENSG00000205336"])
    return ad.AnnData(np.ones((2, 2), np.float32), var=var)


@pytest.mark.parametrize(
    "model", [GENES, tuple(GENES), np.array(GENES), pd.Index(GENES), SimpleNamespace(genes_=GENES)]
)
@pytest.mark.parametrize("gene_key", [None, "symbol"])
def test_a_model_or_its_genes(adata, model, gene_key):
    before = adata.copy()
    alignment = dtp.pp.align_genes(adata, model, gene_key=gene_key)
    assert alignment.missing == ("CD34",)
    assert [alignment.targets[t] for t in alignment.target] == ["KIT", "ADGRG1"]
    pd.testing.assert_frame_equal(adata.var, before.var)
    assert not adata.uns


@pytest.mark.parametrize("model", ["CD34", 3, object()])
def test_something_without_genes(adata, model):
    with pytest.raises(
        TypeError, match="a model with `genes_` or a sequence of gene names; found"
    ):
        dtp.pp.align_genes(adata, model)


def test_unknown_gene_key(adata):
    with pytest.raises(KeyError, match=r"`gene_key` to name a key of adata.var"):
        dtp.pp.align_genes(adata, GENES, gene_key="symbols")
