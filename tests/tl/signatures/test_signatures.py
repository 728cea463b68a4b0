"""Signature scores against formulas, coverage, and what is refused."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import zscore

from dtp_scvi import tl
from dtp_scvi.train import LSC17_WEIGHTS

GENES = [f"GENE{k:02d}" for k in range(40)]
SETS = {
    "plain": GENES[:10],
    "signed": dict(zip(GENES[5:11], (1, -2, 0.5, -0.1, 3, 1), strict=True)),
}


def make(n: int = 30, genes=GENES, seed: int = 0) -> ad.AnnData:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.lognormal(1, 1, (n, len(genes)))).astype(np.float32)
    names = [f"c{k}" for k in range(n)]
    return ad.AnnData(counts, pd.DataFrame(index=names), pd.DataFrame(index=list(genes)))


def log_of(adata) -> pd.DataFrame:
    total = adata.X.sum(axis=1, keepdims=True)
    return pd.DataFrame(np.log1p(1e4 * adata.X / total), adata.obs_names, adata.var_names)


def test_weighted_sum_is_weight_times_log():
    adata = make()
    tl.signatures(adata, SETS)
    log = log_of(adata)
    scores = adata.obsm["dtp_signatures"]
    assert scores["plain"].to_numpy() == pytest.approx(log[SETS["plain"]].sum(axis=1), rel=1e-4)
    weights = pd.Series(SETS["signed"])
    assert scores["signed"].to_numpy() == pytest.approx(
        (log[weights.index] * weights).sum(axis=1), rel=1e-4, abs=1e-3
    )
    params = adata.uns["dtp_signatures"]["params"]
    assert params["score"] == "sum of weight x expression over the genes found"
    assert params["values"] == "log1p(10,000 x / total)"


def test_mean_zscore_is_the_mean_of_zscores():
    adata = make()
    adata.X[:, 7] = 3.0  # still varies, by the totals
    tl.signatures(adata, SETS, method="mean_zscore")
    z = log_of(adata).apply(zscore)
    scores = adata.obsm["dtp_signatures"]
    assert scores["plain"].to_numpy() == pytest.approx(z[SETS["plain"]].mean(axis=1), abs=1e-4)
    weights = pd.Series(SETS["signed"])
    expected = (z[weights.index] * weights).sum(axis=1) / weights.abs().sum()
    assert scores["signed"].to_numpy() == pytest.approx(expected, abs=1e-4)


def test_a_gene_that_does_not_vary_has_no_zscore():
    adata = make()
    adata.X[:, 0] = 0.0
    with pytest.warns(UserWarning, match="1 signatures have no gene that varies .*: none"):
        table = tl.signatures(adata, {"A": GENES[:3], "none": [GENES[0]]}, method="mean_zscore")
    assert table["scored"].tolist() == [True, False]
    assert table["reason"].tolist() == ["", "none of its genes varies over these rows"]
    z = log_of(adata)[GENES[1:3]].apply(zscore).mean(axis=1)
    assert adata.obsm["dtp_signatures"]["A"].to_numpy() == pytest.approx(z, abs=1e-4)
    assert adata.obsm["dtp_signatures"]["none"].isna().all()


def test_ulm_is_enrichment_in_each_row():
    adata = make()
    tl.signatures(adata, SETS, method="ulm")
    tl.enrichment(adata, SETS)
    pd.testing.assert_frame_equal(adata.obsm["dtp_signatures"], adata.obsm["dtp_enrichment"])


def test_lsc17_is_the_default_under_old_names_and_ids():
    old = {"FAM30A": "KIAA0125", "BEX3": "NGFRAP1", "ADGRG1": "ENSG00000205336.13"}
    names = [old.get(gene, gene) for gene in LSC17_WEIGHTS]
    adata = make(genes=[*names, *GENES])
    table = tl.signatures(adata)
    assert table["source"].tolist() == ["lsc17"]
    assert table["n_found"].tolist() == [17]
    log = log_of(adata).iloc[:, :17].to_numpy()
    expected = log @ np.array(list(LSC17_WEIGHTS.values()))
    assert adata.obsm["dtp_signatures"]["lsc17"].to_numpy() == pytest.approx(expected, abs=1e-4)


def test_low_coverage_is_nan_with_a_reason():
    adata = make()
    net = {"A": GENES[:5], "B": ["GENE00", "KIT", "CD34"], "C": ["KIT"]}
    with pytest.warns(UserWarning, match=r"2 of 3 signatures are not scored.*50% .*: B, C\."):
        table = tl.signatures(adata, net).set_index("source")
    assert table["scored"].tolist() == [True, False, False]
    assert table.loc["B", "reason"] == "1 of 3 genes found, under the floor of 50%"
    assert table.loc["B", "missing"] == "KIT, CD34"
    scores = adata.obsm["dtp_signatures"]
    assert scores["A"].notna().all()
    assert scores[["B", "C"]].isna().all(axis=None)
    with pytest.warns(UserWarning, match="1 of 3 signatures are not scored.*0%"):
        assert tl.signatures(adata, net, min_coverage=0.0)["scored"].tolist() == [
            True,
            True,
            False,
        ]


@settings(max_examples=20)
@given(st.permutations(range(40)), st.permutations(range(30)))
def test_order_and_storage_do_not_matter(genes, rows):
    adata = make()
    tl.signatures(adata, SETS, method="mean_zscore")
    other = adata[rows, genes].copy()
    other.X = sp.csr_matrix(other.X)
    tl.signatures(other, SETS, method="mean_zscore")
    expected = adata.obsm["dtp_signatures"].iloc[rows]
    pd.testing.assert_frame_equal(other.obsm["dtp_signatures"], expected, rtol=1e-5, atol=1e-6)


def test_a_backed_object_is_read_in_blocks(tmp_path):
    adata = make()
    adata.X = sp.csr_matrix(adata.X)
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    for method in ("weighted_sum", "mean_zscore", "ulm"):
        tl.signatures(adata, SETS, method=method)
        tl.signatures(backed, SETS, method=method)
        pd.testing.assert_frame_equal(backed.obsm["dtp_signatures"], adata.obsm["dtp_signatures"])
    backed.file.close()


def test_logarithms_are_not_normalised_again():
    adata = make()
    adata.layers["log2"] = np.log2(adata.X * 3.7 + 0.9)
    tl.signatures(adata, SETS, layer="log2", scale="log2")
    expected = adata.layers["log2"][:, :10].sum(axis=1)
    assert adata.obsm["dtp_signatures"]["plain"].to_numpy() == pytest.approx(expected, rel=1e-4)
    assert adata.uns["dtp_signatures"]["params"]["values"] == "as given (log2)"


def test_the_result_survives_a_file(tmp_path):
    adata = make()
    tl.signatures(adata, {**SETS, "a/b": ["GENE00", "NOSUCH"]})
    adata.write_h5ad(tmp_path / "a.h5ad")
    read = ad.read_h5ad(tmp_path / "a.h5ad")
    pd.testing.assert_frame_equal(read.obsm["dtp_signatures"], adata.obsm["dtp_signatures"])
    assert read.uns["dtp_signatures"]["not_matched"]["original"].tolist() == ["NOSUCH"]
    assert list(read.obsm["dtp_signatures"]) == ["plain", "signed", "a_b"]


def test_bad_input_is_named():
    adata = make()
    with pytest.raises(ValueError, match=r"`method` to be one of 'weighted_sum'.*found 'sum'"):
        tl.signatures(adata, SETS, method="sum")
    with pytest.raises(ValueError, match=r"gene symbols: KIT\) in the data"):
        tl.signatures(adata, {"A": ["KIT"]})
    with pytest.raises(ValueError, match=r"two genes or more \(`method='ulm'`\); found one gene"):
        tl.signatures(adata, {"A": ["GENE00"]}, method="ulm")
    with pytest.raises(ValueError, match=r"`min_coverage` in \[0, 1\]"):
        tl.signatures(adata, SETS, min_coverage=2)
    with pytest.raises(ValueError, match="an AnnData of its own; found a view"):
        tl.signatures(adata[:5], SETS)
