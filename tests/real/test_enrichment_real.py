"""Public gene sets on public cohorts; what spreadsheets did to some of them."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp

VENETOCLAX = "venetoclax_auc"


@pytest.fixture
def signature_path(path_of):
    return lambda name: path_of(f"signatures/{name}")


@pytest.fixture
def patients(beataml):
    """BeatAML with the area under the venetoclax curve; high is resistant."""
    adata = beataml.copy()
    adata.obs[VENETOCLAX] = adata.obsm["drug_auc"]["Venetoclax"].to_numpy()
    return adata


def read(path):
    """Read a network whose damage, if any, is not what the test is about."""
    with pytest.warns(UserWarning, match="by a spreadsheet"):
        return dtp.data.read_network(path)


def test_damaged_sets_are_reported_by_name(signature_path):
    path = signature_path("dtp_signatures_barozzi_compiled.gmt")
    with pytest.warns(
        UserWarning, match=r"13 symbols were turned into dates or numbers.*44256 in"
    ):
        net = dtp.data.read_network(path)
    assert net["source"].nunique() == 32
    found = dtp.data.damaged_symbols(net)
    assert len(found) == 13
    by_set = found.groupby("source")["original"].agg(list).to_dict()
    assert by_set["hangauer-2017_DTP-up"] == ["42617", "42705"]
    assert len(by_set) == 5
    named = dict(zip(found["original"], found["symbol"], strict=True))
    # Day 42617 is 4 September 2016; 42705 is 1 December, and DEC1 was the name of two genes.
    assert named["42617"] == "SEPTIN4"
    assert named["42705"] == ""
    assert sum(symbol != "" for symbol in named.values()) == 7


def test_rules_explain_what_a_spreadsheet_does(path_of):
    table = pd.read_csv(path_of("priors/excel_damaged_symbols.csv"), dtype=str)
    resolver = dtp.data.SymbolResolver.bundled()
    found = resolver.resolve(table["mogrified"].tolist(), serials=True)
    approved = resolver.resolve(table["original"].tolist())["symbol"]
    known = approved.notna()
    explained = [
        symbol in candidates
        for symbol, candidates in zip(approved[known], found["candidates"][known], strict=True)
    ]
    assert all(explained)
    assert len(explained) > 200


@pytest.mark.parametrize(
    ("name", "n_sets", "share"),
    [("h.all.v7.0.symbols.gmt", 50, 0.98), ("LSC17_Ng2016.csv", 1, 1.0), ("pLSC6.csv", 1, 1.0)],
)
def test_symbols_of_published_sets_resolve(signature_path, name, n_sets, share):
    net = dtp.data.read_network(signature_path(name))
    assert net["source"].nunique() == n_sets
    assert (~net["how"].isin(["unmatched", "ambiguous"])).mean() >= share


def test_monocytic_sets_go_with_resistance_to_venetoclax(patients, signature_path):
    net = read(signature_path("AMLCellType_Genesets.gmt"))
    start = time.perf_counter()
    table = dtp.tl.enrichment(patients, net, score_key=VENETOCLAX, method="ulm")
    assert time.perf_counter() - start < 60
    params = patients.uns["dtp_enrichment"]["params"]
    assert params["n_donors"] == 329
    assert params["n_background"].tolist() == [493]
    assert table["source"].iloc[0] == "Mono-like-Top250"
    found = table.set_index("source")
    assert found.loc["Mono-like-Top250", "p_donors"] < 0.05
    assert found.loc["LSPC-Primed-Top250", "score"] < 0
    # Genes of a cell type go together, which permuted gene labels take for evidence.
    assert found.loc["Mono-like-Top250", "p"] < 1e-10
    assert (found["q_donors"] < 0.05).sum() < (found["q_permutation"] < 0.05).sum()


def test_hallmarks_of_a_score_on_cells_of_one_patient(fresh, signature_path):
    cells = fresh("vangalen")
    net = dtp.data.read_network(signature_path("h.all.v7.0.symbols.gmt"))
    table = dtp.tl.enrichment(cells, net, scale="counts")
    assert table["tested"].all()
    assert table["share_found"].min() > 0.9
    scores = cells.obsm["dtp_enrichment"]
    assert scores.shape == (1136, 50)
    cycling = scores["HALLMARK_G2M_CHECKPOINT"]
    assert cycling.corr(scores["HALLMARK_E2F_TARGETS"], method="spearman") > 0.5


def test_lsc17_is_higher_in_stem_cells_than_in_mature_ones(fresh, path_of):
    samples = fresh("gse74246")
    table = dtp.tl.signatures(samples, path_of("lsc17"), min_coverage=0.5)
    assert table["n_found"].item() >= 14
    kind = samples.obs_names.to_series().str.upper()
    score = samples.obsm["dtp_signatures"].iloc[:, 0]
    stem, mature = kind.str.contains("HSC|MPP"), kind.str.contains("CD4|CD8|NK|MONO")
    assert min(stem.sum(), mature.sum()) >= 5
    assert score[stem].median() > score[mature].median()


def test_lsc17_on_ensembl_ids(fresh, path_of):
    bulk = fresh("bulk")
    table = dtp.tl.signatures(bulk, path_of("lsc17"), gene_key="ensembl_id")
    assert table["n_found"].item() == 17
    assert bulk.obsm["dtp_signatures"].notna().all(axis=None)


def test_a_panel_that_lacks_a_signature_says_so(patients):
    with pytest.warns(UserWarning, match="1 of 1 signatures are not scored"):
        table = dtp.tl.signatures(patients)
    assert table["reason"].item() == "1 of 17 genes found, under the floor of 50%"
    assert patients.obsm["dtp_signatures"].isna().all(axis=None)


def test_venetoclax_beside_cell_types(patients, signature_path):
    net = read(signature_path("AMLCellType_Genesets.gmt"))
    net = net[net["source"].isin(["Mono-like-Top100", "GMP-like-Top100", "LSPC-Quiescent"])]
    dtp.tl.signatures(patients, net, method="mean_zscore", min_coverage=0.1)
    table = dtp.tl.compare_signatures(
        patients, score_key=VENETOCLAX, given_others=True, n_boot=200
    )
    found = table.set_index("source")
    assert found.loc["Mono-like-Top100", "low"] > 0.5
    assert found.loc["Mono-like-Top100", "partial_low"] > 0.3
    assert found["n_donors"].tolist() == [329] * 3


def test_the_venetoclax_model_rests_on_monocytic_genes(signature_path):
    model = dtp.hub.load("aml-venetoclax")
    net = read(signature_path("AMLCellType_Genesets.gmt"))
    table = dtp.tl.enrichment(model.weights_, net, background=model).set_index("source")
    assert table.index[0] == "Mono-like-Top250"
    assert table["q_permutation"].iloc[0] < 0.05
    assert {"S100A8", "S100A9"} <= set(table["leading"].iloc[0].split(", "))
    top = model.weights_.iloc[:, 0].abs().nlargest(50).index
    listed = dtp.tl.over_representation(top, net, background=model)
    assert listed["source"].iloc[0] == "Mono-like-Top250"
    assert listed["n_background"].iloc[0] == 493


@pytest.mark.slow
def test_random_scores_are_significant_as_often_as_they_should(patients, signature_path):
    net = read(signature_path("AMLCellType_Genesets.gmt"))
    found = []
    for seed in range(40):
        patients.obs["random"] = np.random.default_rng(seed).normal(size=patients.n_obs)
        table = dtp.tl.enrichment(patients, net, score_key="random", n_permutations=99, seed=seed)
        found.append(table.loc[table["tested"], ["p_permutation", "p_donors"]])
    share = (pd.concat(found) <= 0.05).mean()
    assert share["p_donors"] < 0.1
    assert share["p_permutation"] > 0.3
