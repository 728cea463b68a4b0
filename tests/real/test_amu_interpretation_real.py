"""Gene vectors of AMU on the published panel, against STRING."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp


@pytest.fixture(scope="module")
def trained(path_of):
    with pytest.warns(UserWarning, match="the row sum alone tells responders"):
        adata = dtp.datasets.read_amu(
            path_of("amu/four_columns_fixed.csv"),
            annotation=path_of("amu/amu_row_annotation.csv"),
        )
    adata = adata[adata.obs["response"].notna()].copy()
    adata.obs["word"] = np.where(adata.obs["response"].astype(float) == 1, "R", "N")
    keys = {"donor_key": "patient", "batch_key": "study", "scale": "normalized"}
    with pytest.warns(UserWarning, match="has rows of one class only"):
        dtp.model.AMU.setup_anndata(adata, "word", positive="R", **keys)
    model = dtp.model.AMU(adata, n_blocks=1)
    model.train(5, verbose=False)
    return model


def string(path_of, least):
    path = path_of("priors/string_v11_ppi_dualgcn.tsv.gz")
    table = pd.read_csv(path, sep="\t", header=None, names=["a", "b", "score"])
    return table[table["score"] >= least]


def test_gene_vectors_lie_as_they_lay_before_training(trained, path_of):
    table = dtp.tl.embedding_vs_network(trained, string(path_of, 700)).set_index("statistic")
    record = table.attrs["dtp_embedding_network"]
    assert (record["n_genes"], record["n_edges"]) == (28, 75)
    # A random start may lie outside of the permutations by chance, and the trained vectors with it.
    auroc = table.loc["auroc"]
    assert abs(auroc["difference"]) < 0.03
    assert auroc["difference_low"] < 0 < auroc["difference_high"]


def test_a_file_without_header_is_told(trained, path_of):
    path = path_of("priors/string_v11_ppi_dualgcn.tsv.gz")
    with pytest.raises(ValueError, match="The file has no header"):
        dtp.tl.embedding_vs_network(trained, pd.read_csv(path, sep="\t"))


def test_contributions_sum_up_on_the_published_table(trained):
    found = trained.attribute(max_cells=6)
    assert found.record["completeness"]["overall"] < 0.01
