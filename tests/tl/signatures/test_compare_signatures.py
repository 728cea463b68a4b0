"""Correlation of a score with signatures against scipy and pingouin."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pingouin as pg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, spearmanr

from dtp_scvi import tl


@pytest.fixture
def bulk() -> ad.AnnData:
    rng = np.random.default_rng(0)
    shared = rng.normal(size=60)
    table = pd.DataFrame(
        {
            "same": shared + 0.1 * rng.normal(size=60),
            "copy": shared + 0.5 * rng.normal(size=60),
            "other": rng.normal(size=60),
            "unscored": np.nan,
        },
        index=[f"p{k}" for k in range(60)],
    )
    obs = pd.DataFrame({"score": shared, "donor": [f"d{k // 2}" for k in range(60)]}, table.index)
    adata = ad.AnnData(np.zeros((60, 1), np.float32), obs=obs)
    adata.obsm["sigs"] = table
    return adata


def compare(adata, **options):
    options = {"score_key": "score", "signatures_key": "sigs", "n_boot": 60} | options
    return tl.compare_signatures(adata, **options).set_index("source")


def test_rho_and_p_are_scipys(bulk):
    table = compare(bulk)
    for name in ("same", "copy", "other"):
        expected = spearmanr(bulk.obs["score"], bulk.obsm["sigs"][name])
        assert table.loc[name, "rho"] == pytest.approx(expected.statistic)
        assert table.loc[name, "p"] == pytest.approx(expected.pvalue)
        assert table.loc[name, "low"] < table.loc[name, "rho"] < table.loc[name, "high"]
    assert table["q"].iloc[:3].to_numpy() == pytest.approx(
        false_discovery_control(table["p"].iloc[:3])
    )
    assert table.index.tolist() == ["same", "copy", "other", "unscored"]
    assert table["n_donors"].tolist() == [60, 60, 60, 0]
    assert table["partial_rho"].isna().all()


def test_partial_is_pingouins(bulk):
    table = compare(bulk, given_others=True)
    frame = bulk.obsm["sigs"].drop(columns="unscored").assign(score=bulk.obs["score"])
    for name in ("same", "copy", "other"):
        others = [other for other in ("same", "copy", "other") if other != name]
        expected = pg.partial_corr(frame, "score", name, others, method="spearman")
        assert table.loc[name, "partial_rho"] == pytest.approx(expected["r"].item(), abs=1e-6)
    # What only copies the first says little beside it.
    assert abs(table.loc["copy", "partial_rho"]) < 0.5 * table.loc["copy", "rho"]


def test_donors_are_resampled_together(bulk):
    alone, together = compare(bulk), compare(bulk, donor_key="donor")
    assert together["n_donors"].iloc[:3].tolist() == [30, 30, 30]
    assert together["n"].iloc[:3].tolist() == [60, 60, 60]
    assert together["rho"].equals(alone["rho"])
    assert not np.allclose(together["low"].iloc[:3], alone["low"].iloc[:3])


@settings(max_examples=10)
@given(st.permutations(range(60)))
def test_the_order_of_rows_does_not_matter(rows):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(60, 2))
    obs = pd.DataFrame({"score": values[:, 0]}, index=[f"p{k}" for k in range(60)])
    adata = ad.AnnData(np.zeros((60, 1), np.float32), obs=obs)
    adata.obsm["sigs"] = pd.DataFrame(values[:, [1]], adata.obs_names, ["one"])
    first, second = compare(adata, n_boot=5), compare(adata[rows].copy(), n_boot=5)
    assert first.loc["one", "rho"] == pytest.approx(second.loc["one", "rho"])
    assert first.loc["one", "p"] == pytest.approx(second.loc["one", "p"])


def test_rows_without_a_score_are_left_out(bulk):
    bulk.obs.loc[bulk.obs_names[:20], "score"] = np.nan
    assert compare(bulk)["n"].iloc[:3].tolist() == [40, 40, 40]


def test_the_result_survives_a_file(bulk, tmp_path):
    compare(bulk, given_others=True)
    bulk.write_h5ad(tmp_path / "b.h5ad")
    read = ad.read_h5ad(tmp_path / "b.h5ad").uns["dtp_signature_comparison"]
    pd.testing.assert_frame_equal(
        read["table"], bulk.uns["dtp_signature_comparison"]["table"], check_dtype=False
    )
    assert str(read["params"]["score_key"]) == "score"


def test_bad_input_is_named(bulk):
    with pytest.raises(KeyError, match=r"run dtp\.tl\.signatures first\); found 'dtp_sig"):
        compare(bulk, signatures_key="dtp_signatures")
    with pytest.raises(
        KeyError, match=r"`score_key` to name a key .*'scores'. Did you mean score"
    ):
        compare(bulk, score_key="scores")
    with pytest.raises(TypeError, match=r"numbers in adata\.obs\['donor'\]"):
        compare(bulk, score_key="donor")
    with pytest.raises(ValueError, match="at least 5 donors with a score; found 4"):
        compare(bulk[:8].copy(), donor_key="donor")
    bulk.obsm["array"] = np.zeros((60, 2))
    with pytest.raises(TypeError, match=r"a table with named columns .*found ndarray"):
        compare(bulk, signatures_key="array")
    many = ad.AnnData(np.zeros((20_001, 1), np.float32))
    many.obs["score"] = np.arange(20_001.0)
    many.obsm["sigs"] = pd.DataFrame({"one": many.obs["score"]})
    with pytest.raises(ValueError, match=r"at most 20,000 rows .*pp\.pseudobulk"):
        compare(many)
