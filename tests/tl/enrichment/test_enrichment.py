"""What is tested, against which background, and what is refused."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import spearmanr

from dtp_scvi import tl
from dtp_scvi.tl import _enrichment_net as net_module

GENES = [f"GENE{k:03d}" for k in range(200)]
SETS = {f"S{k}": GENES[25 * k : 25 * k + 25] for k in range(4)}
FAST = {"n_permutations": 19}


def log_donors(cells):
    """Log CP10k of the sums of each donor, and its mean score, by name."""
    sums = pd.DataFrame(cells.X, columns=GENES).groupby(cells.obs["donor"].to_numpy()).sum()
    return np.log1p(1e4 * sums.div(sums.sum(axis=1), axis=0)), cells.obs.groupby("donor")[
        "score"
    ].mean()


def test_association_is_spearmans_over_donors(cells):
    table = tl.enrichment(
        cells, SETS, score_key="score", donor_key="donor", method="waggr", **FAST
    )
    bulk, score = log_donors(cells)
    rho = pd.Series({gene: spearmanr(bulk[gene], score).statistic for gene in GENES})
    found = table.set_index("source")["score"]
    for name, genes in SETS.items():
        assert found[name] == pytest.approx(rho[genes].mean(), abs=1e-6)
    params = cells.uns["dtp_enrichment"]["params"]
    assert params["n_donors"] == 12
    assert params["values"] == "log1p(10,000 x / total) of donor sums"


def test_p_of_permuted_donors_is_that_by_hand(cells):
    n = 19
    options = {"score_key": "score", "donor_key": "donor", "method": "waggr"}
    table = tl.enrichment(cells, SETS, n_permutations=n, seed=3, **options).set_index("source")
    bulk, score = log_donors(cells)
    rng = np.random.default_rng(3)
    rng.permuted(np.zeros((n, 200)), axis=1)  # the gene labels come first
    ranks = score.rank().to_numpy()
    null = [
        spearmanr(order, bulk).statistic[0, 1:]
        for order in rng.permuted(np.tile(ranks, (n, 1)), axis=1)
    ]
    for name in SETS:
        reach = abs(table.loc[name, "score"]) - 1e-6
        means = [abs(pd.Series(rho, GENES)[SETS[name]].mean()) for rho in null]
        assert table.loc[name, "p_donors"] == (1 + np.sum(np.array(means) >= reach)) / (1 + n)


def test_the_planted_set_comes_first(cells):
    table = tl.enrichment(cells, SETS, score_key="score", donor_key="donor", n_permutations=199)
    assert table["source"].iloc[0] == "S0"
    assert table.set_index("source").loc["S0", "p_donors"] < 0.02
    assert set(table["leading"].iloc[0].split(", ")) <= set(SETS["S0"])


def test_permuted_donors_keep_genes_together():
    # Genes of a set share a factor that has nothing to do with the score.
    rng = np.random.default_rng(0)
    own, gene = [], []
    for _ in range(40):
        X = rng.normal(size=(15, 200)) + np.repeat(rng.normal(size=(15, 8)), 25, axis=1)
        bulk = ad.AnnData(np.exp(X).astype(np.float32), var=pd.DataFrame(index=GENES))
        bulk.obs["score"] = rng.normal(size=15)
        table = tl.enrichment(
            bulk, {"A": GENES[:25]}, score_key="score", scale="corrected_counts", n_permutations=39
        )
        own.append(table["p_donors"].item())
        gene.append(table["p_permutation"].item())
    # Of 40 at 5 %, one to five are to be expected; gene labels say so many times more often.
    assert np.mean(np.array(own) <= 0.05) <= 0.125
    assert np.mean(np.array(gene) <= 0.05) >= 0.3


def test_rows_without_donors_are_samples(cells):
    bulk = cells[:40].copy()
    tl.enrichment(bulk, SETS, score_key="score", **FAST)
    params = bulk.uns["dtp_enrichment"]["params"]
    assert params["n_donors"] == 40
    assert params["values"] == "log1p(10,000 x / total)"


def test_logarithms_are_taken_as_they_are(cells):
    bulk = cells[:40].copy()
    bulk.X = np.log2(np.random.default_rng(0).lognormal(3, 1, bulk.shape)).astype(np.float32)
    table = tl.enrichment(
        bulk, SETS, score_key="score", scale="log2", method="waggr", **FAST
    ).set_index("source")
    rho = spearmanr(bulk.obs["score"], bulk.X).statistic[0, 1:]
    assert table.loc["S2", "score"] == pytest.approx(rho[50:75].mean(), abs=1e-5)
    assert bulk.uns["dtp_enrichment"]["params"]["values"] == "as given (log2)"


def test_a_row_scores_as_decoupler_scores_it(cells):
    table = tl.enrichment(cells, SETS)
    scores = cells.obsm["dtp_enrichment"]
    log = np.log1p(1e4 * cells.X / cells.X.sum(axis=1, keepdims=True))
    one = tl.enrichment(pd.Series(log[7].astype(float), GENES), SETS, n_permutations=0)
    assert scores.iloc[7][one["source"]].to_numpy() == pytest.approx(one["score"], abs=1e-4)
    assert table["tested"].all()
    assert cells.uns["dtp_enrichment"]["params"]["background"] == "all genes of adata"


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csc_matrix])
def test_storage_and_order_do_not_matter(cells, form):
    other = cells[:, np.random.default_rng(0).permutation(200)].copy()
    other.X = form(other.X)
    keys = {"score_key": "score", "donor_key": "donor"}
    first, second = (tl.enrichment(x, SETS, **keys, **FAST) for x in (cells, other))
    pd.testing.assert_frame_equal(first, second)
    for x in (cells, other):
        tl.enrichment(x, SETS, method="zscore", key_added="rows")
    pd.testing.assert_frame_equal(cells.obsm["rows"], other.obsm["rows"])


def test_every_column_of_varm_is_a_contrast(cells):
    values = np.random.default_rng(0).normal(size=(200, 2))
    cells.varm["attribution"] = pd.DataFrame(values, cells.var_names, ["teacher", "student"])
    table = tl.enrichment(cells, SETS, statistic="attribution", **FAST)
    assert table["contrast"].value_counts().to_dict() == {"teacher": 4, "student": 4}
    single = tl.enrichment(pd.Series(values[:, 1], GENES, name="student"), SETS, **FAST)
    part = table[table["contrast"] == "student"].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, single, check_like=True)
    cells.var["one"] = values[:, 0]
    assert set(tl.enrichment(cells, SETS, statistic="one", **FAST)["contrast"]) == {"one"}


def test_genes_without_a_statistic_are_no_background(statistic):
    some = statistic.copy()
    some.iloc[10:120] = np.nan
    table = tl.enrichment(some, SETS, **FAST).set_index("source")
    assert table.attrs["params"]["n_background"].tolist() == [90]
    assert table["n_found"].to_dict() == {"S0": 10, "S1": 0, "S2": 0, "S3": 0}
    assert table.loc["S2", "reason"] == "0 of 25 genes found, fewer than 5"
    direct = tl.enrichment(some.dropna(), SETS, **FAST).set_index("source")
    assert table.loc["S0", "score"] == direct.loc["S0", "score"]


def test_a_background_may_be_a_list_or_a_model(statistic):
    seen = GENES[:120]
    model = SimpleNamespace(genes_=np.array([*seen, "NOT_HERE"]))
    first = tl.enrichment(statistic, SETS, background=seen, **FAST)
    second = tl.enrichment(statistic, SETS, background=model, **FAST)
    pd.testing.assert_frame_equal(first, second)
    assert second.attrs["params"]["background"] == "genes given"
    assert second.attrs["params"]["n_background"].tolist() == [120]
    assert second.attrs["params"]["n_background_lacking"].tolist() == [1]


def test_old_names_and_duplicates_are_one_gene(statistic):
    values = pd.concat([statistic, pd.Series({"GPR56": 4.0, "ADGRG1": 2.0})])
    table = tl.enrichment(
        values, {"A": ["ADGRG1", "GENE001"]}, method="waggr", min_overlap=2, **FAST
    )
    assert table["score"].item() == pytest.approx((3.0 + statistic["GENE001"]) / 2)
    assert table.attrs["params"]["n_background"].tolist() == [201]


def test_the_result_survives_a_file(cells, tmp_path):
    net = {**SETS, "a/b": GENES[100:120], "one": ["GENE003"], "odd": [*GENES[:9], "PD1", "NOSUCH"]}
    cells.varm["x"] = np.random.default_rng(0).normal(size=(200, 1))
    tl.enrichment(cells, net, statistic="x", **FAST)
    tl.enrichment(cells, net, key_added="rows")
    cells.write_h5ad(tmp_path / "c.h5ad")
    read = ad.read_h5ad(tmp_path / "c.h5ad")
    for key in ("dtp_enrichment", "rows"):
        before, after = cells.uns[key], read.uns[key]
        pd.testing.assert_frame_equal(before["table"], after["table"], check_dtype=False)
        assert after["not_matched"]["original"].tolist() == ["PD1", "NOSUCH"]
        assert str(after["params"]["method"]) == "ulm"
    assert "a_b" in read.obsm["rows"]


def test_the_overlap_of_every_set_is_logged(statistic, caplog):
    with caplog.at_level(logging.INFO, logger="dtp_scvi"):
        tl.enrichment(statistic, {"A": [*GENES[:6], "KIT"]}, **FAST)
    assert "(200). Found of each set: A 6/7" in caplog.text


def test_only_the_declared_fields_change(cells):
    before = cells.copy()
    tl.enrichment(cells, SETS, score_key="score", donor_key="donor", **FAST)
    assert set(cells.uns) == {"dtp_enrichment"}
    assert not cells.obsm
    pd.testing.assert_frame_equal(cells.obs, before.obs)
    assert (before.X == cells.X).all()


def test_a_network_by_name_is_fetched_only_when_asked(statistic, monkeypatch):
    fetched = pd.DataFrame({"source": "H", "target": GENES[:20]})
    fake = SimpleNamespace(op=SimpleNamespace(hallmark=lambda: fetched))
    monkeypatch.setattr(net_module, "decoupler", lambda: fake)
    with pytest.raises(
        ValueError, match=r"found the name 'hallmark'. Pass download=True.*local GMT"
    ):
        tl.enrichment(statistic, "hallmark", **FAST)
    assert tl.enrichment(statistic, "hallmark", download=True, **FAST)["n_found"].item() == 20
    with pytest.raises(ValueError, match=r"found 'halmark'. Did you mean hallmark"):
        tl.enrichment(statistic, "halmark", download=True)


def test_without_decoupler_the_extra_is_named(statistic, monkeypatch):
    monkeypatch.setitem(sys.modules, "decoupler", None)
    with pytest.raises(ImportError, match=r"pip install 'dtp-scvi\[mechanism\]'"):
        tl.enrichment(statistic, SETS)
    assert len(tl.enrichment(statistic, SETS, method="ora", **FAST)) == 4


def test_a_file_of_sets_is_read(statistic, tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("\n".join("\t".join([name, "na", *genes]) for name, genes in SETS.items()))
    first, second = (tl.enrichment(statistic, x, **FAST) for x in (path, str(path)))
    pd.testing.assert_frame_equal(first, second)
    pd.testing.assert_frame_equal(first, tl.enrichment(statistic, SETS, **FAST))


@pytest.mark.parametrize(
    ("net", "options", "message"),
    [
        ({"A": ["KIT", "CD34"]}, {}, r"gene symbols: KIT, CD34\) in the data; found none among"),
        ({"A": ["GENE000"]}, {}, "A set of one gene is that gene: read its own statistic"),
        ({"A": GENES[:3]}, {}, r"none \(A: 3 of 3\). Lower `min_overlap`"),
        (SETS, {"min_overlap": 1}, "`min_overlap` of 2 or more; found 1. A set of one gene"),
        (SETS, {"background": ["KIT"]}, r"background \(KIT\) in the data"),
    ],
)
def test_sets_that_cannot_be_tested(statistic, net, options, message):
    with pytest.raises(ValueError, match=message):
        tl.enrichment(statistic, net, **options)


def test_a_set_of_one_gene_among_others_is_listed(statistic):
    table = tl.enrichment(statistic, {**SETS, "one": ["GENE000"]}, **FAST).set_index("source")
    assert not table.loc["one", "tested"]
    assert table.loc["one", "reason"] == "a set of one gene is that gene"
    assert np.isnan(table.loc["one", "score"])


def test_bad_statistics_are_named(statistic, cells):
    with pytest.raises(ValueError, match="that varies over genes; found 1 value"):
        tl.enrichment(statistic * 0, SETS)
    with pytest.raises(
        ValueError, match="finite numbers in 'attribution'; found infinity for GENE"
    ):
        tl.enrichment(statistic / 0.0, SETS)
    table = pd.DataFrame({"mean": statistic, "gene": "x"})
    with pytest.raises(
        TypeError, match=r"one number a gene; found .* in 'gene'.*`statistic`: mean"
    ):
        tl.enrichment(table, SETS)
    with pytest.raises(
        KeyError, match=r"adata.varm or a column of adata.var; found 'x'. Both are"
    ):
        tl.enrichment(cells, SETS, statistic="x")
    with pytest.raises(TypeError, match="an AnnData, or a table of gene statistics; found list"):
        tl.enrichment([1.0], SETS)
    with pytest.raises(TypeError, match="where `score_key` or `donor_key` is given; found Series"):
        tl.enrichment(statistic, SETS, score_key="score")
    with pytest.raises(TypeError, match=r"`background` as gene names or a model.*found str"):
        tl.enrichment(statistic, SETS, background="KIT")


def test_bad_scores_and_donors_are_named(cells):
    with pytest.raises(
        KeyError, match=r"`score_key` to name a key of adata\.obs; found 'scor'. Did"
    ):
        tl.enrichment(cells, SETS, score_key="scor", donor_key="donor")
    with pytest.raises(ValueError, match="`score_key` beside `donor_key`; found none"):
        tl.enrichment(cells, SETS, donor_key="donor")
    with pytest.raises(ValueError, match="`statistic` or `score_key`; found both"):
        tl.enrichment(cells, SETS, statistic="x", score_key="score")
    few = cells[cells.obs["donor"].isin(["d0", "d1", "d2", "d3"])].copy()
    with pytest.raises(ValueError, match="at least 5 donors with 10 scored cells; found 4"):
        tl.enrichment(few, SETS, score_key="score", donor_key="donor")
    cells.obs["same"] = 1.0
    with pytest.raises(ValueError, match="a score that varies over donors"):
        tl.enrichment(cells, SETS, score_key="same", donor_key="donor")
    many = ad.AnnData(
        sp.csr_matrix((5001, 200), dtype=np.float32),
        obs=pd.DataFrame({"score": np.arange(5001.0)}, index=[f"c{k}" for k in range(5001)]),
        var=pd.DataFrame(index=GENES),
    )
    with pytest.raises(ValueError, match=r"at most 5,000 samples.*found 5,001.*`donor_key`"):
        tl.enrichment(many, SETS, score_key="score", scale="counts")


def test_a_constant_row_scores_nan(cells):
    cells.X[3] = 1.0
    tl.enrichment(cells, SETS)
    scores = cells.obsm["dtp_enrichment"]
    assert scores.iloc[3].isna().all()
    assert scores.drop(index="c3").notna().all(axis=None)
