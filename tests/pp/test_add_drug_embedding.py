from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dtp_scvi import pp
from dtp_scvi.data import get_drug_table
from dtp_scvi.datasets import simulate_perturbation

VECTORS = pd.DataFrame(
    [[3.0, 0.5], [1.0, 0.0], [2.0, 1.0], [9.0, 9.0]],
    index=["drug_3", "drug_1", "drug_2", "another"],
)


@pytest.fixture
def adata() -> ad.AnnData:
    return simulate_perturbation(2, n_drugs=3, n_genes=5)


def test_rows_are_matched_by_name(adata, tmp_path):
    pp.add_drug_embedding(adata, VECTORS, "graph")
    adata.write_h5ad(tmp_path / "x.h5ad")
    drugs = get_drug_table(ad.read_h5ad(tmp_path / "x.h5ad"))
    assert drugs.names.tolist() == ["drug_1", "drug_2", "drug_3"]
    assert drugs.embeddings["graph"][:, 0].tolist() == [1, 2, 3]
    assert drugs.known["graph"].all()
    assert drugs.bits is None


def test_it_joins_the_table_of_structures(adata):
    pytest.importorskip("rdkit")
    pp.encode_drugs(adata, smiles_key="smiles")
    adata.uns["vectors"] = VECTORS
    pp.add_drug_embedding(adata, "vectors", "graph")
    pp.add_drug_embedding(adata, VECTORS * 2, "other")
    drugs = get_drug_table(adata)
    assert drugs.bits is not None
    assert np.array_equal(drugs.embeddings["other"], 2 * drugs.embeddings["graph"])


def test_drugs_without_a_vector(adata):
    with pytest.raises(ValueError, match=r"each of 3 drugs; found none for 1 \(drug_2\)"):
        pp.add_drug_embedding(adata, VECTORS.drop("drug_2"), "graph")
    pp.add_drug_embedding(adata, VECTORS.drop("drug_2"), "graph", missing="mask")
    entry = adata.uns["drugs"]["embeddings"]["graph"]
    assert entry["known"].tolist() == [True, False, True]
    assert entry["values"][1].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("table", "name", "error", "match"),
    [
        (VECTORS.to_numpy(), "x", TypeError, "a DataFrame indexed by drug; found ndarray"),
        ("vectors", "x", KeyError, "`embedding` to name a key"),
        (VECTORS, "a/b", ValueError, "without a slash"),
        (pd.concat([VECTORS, VECTORS]), "x", ValueError, "several for drug_3"),
        (VECTORS.replace(0.5, np.nan), "x", ValueError, "infinite ones for drug_3"),
        (VECTORS.assign(word="a"), "x", ValueError, "numbers only"),
        (VECTORS * 0, "x", ValueError, "zeros for all drugs"),
    ],
)
def test_bad_input(adata, table, name, error, match):
    with pytest.raises(error, match=match):
        pp.add_drug_embedding(adata, table, name)
