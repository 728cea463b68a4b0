"""Targets over healthy tissue, surface flags and dependencies, for scored BeatAML patients."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

import dtp_scvi as dtp

FILES = {
    "HPA": "hpa_gtex/rnaConsensusTissue_nTPM_20090genes_54tissues.csv.gz",
    "GTEx": "hpa_gtex/rnaGtexTissue_TPM_20090genes_37tissues.csv.gz",
    "surface": "surfaceome/whole_proteome_catalog.tsv.gz",
    "dependency": "depmap/aml_dependencies_ranked_914genes_43lines.csv.gz",
    "location": "hpa_gtex/hpaSubcellularLoc.csv.gz",
    "staining": "hpa_gtex/hpaNormalTissue_IHC.csv.gz",
}
SHOWN = [
    *("test", "value", "value_low", "value_high", "expected", "null_low", "null_high"),
    *("p", "p_low", "p_high", "n_controls", "n_genes"),
]


@pytest.fixture
def say(capsys):
    """Return a function that prints though pytest captures: these numbers are to be seen."""

    def speak(text):
        with capsys.disabled():
            print(f"\n{text}")  # noqa: T201

    return speak


@pytest.fixture(scope="module")
def read(path_of):
    """Evidence from the files, and the seconds that reading took."""
    path = {name: path_of(file) for name, file in FILES.items()}
    started = time.perf_counter()
    data = dtp.datasets
    tables = {
        "normal": {
            "HPA": data.read_hpa_consensus(path["HPA"]),
            "GTEx": data.read_gtex(path["GTEx"]),
        },
        "surface": data.read_surfaceome(path["surface"]),
        "dependency": data.read_depmap_summary(path["dependency"]),
        "hpa": data.hpa_flags(
            subcellular=data.read_hpa_subcellular(path["location"]),
            normal_tissue=data.read_hpa_normal_tissue(path["staining"]),
        ),
    }
    return tables, time.perf_counter() - started


@pytest.fixture(scope="module")
def evidence(read):
    return read[0]


@pytest.fixture(scope="module")
def scored(beataml):
    adata = beataml.copy()
    dtp.tl.score(adata, dtp.hub.load("aml-venetoclax"))
    return adata


@pytest.fixture(scope="module")
def ranked(scored, read):
    """The table, and the seconds from the files to it."""
    evidence, reading = read
    started = time.perf_counter()
    table = dtp.tl.rank_targets(scored, score_key="dtp_score", **evidence)
    return table, reading + time.perf_counter() - started


def record(found, name, record_property):
    """Put p, its interval and the value's into the report of the run."""
    for row in found["table"].dropna(subset="p").itertuples():
        for column in ("value", "value_low", "value_high", "p", "p_low", "p_high"):
            number = float(getattr(row, column))
            if np.isfinite(number):
                record_property(f"{name} {row.test} {column}", round(number, 4))


def test_the_table_comes_out_in_time(ranked, say, record_property):
    table, seconds = ranked
    record_property("seconds, files to table", round(seconds, 1))
    about = table.attrs["dtp_targets"]
    params = about["params"]
    say(
        f"{params['n_candidates']} candidates of {params['n_genes']} genes, "
        f"{params['n_donors']} patients, {seconds:.1f} s; critical tissues absent: "
        f"{params['critical_tissues_absent']}"
    )
    for part in ("filters", "components", "leave_one_out"):
        say(pd.DataFrame(about[part]).to_string(index=False))
    shown = ["rank", "rank_low", "rank_high", "rra_rank", "association", "abundance"]
    shown += ["log2_ratio_max", "normal_max_tissue", "dependency", "HPA_antibody_reliability"]
    say(table.head(15)[shown].round(2).to_string())
    assert seconds < 60
    assert params["critical_tissues_absent"] == []
    assert not params["dependency_selective"]
    assert table.loc[["FLT3", "IL3RA", "CLEC12A"], "surface_strict"].all()
    assert table.loc[["LYZ", "BCL2A1"], "removed_by"].tolist() == ["surface", "surface"]
    # Monocytic genes go up with predicted resistance to venetoclax, FLT3 goes down.
    assert table.loc["ITGAM", "association_low"] > 0.5
    assert table.loc["FLT3", "association"] < -0.2


def test_recovery_of_known_targets(ranked, scored, say, record_property):
    for by in ("rra_rank", "rank_without_association", "quantile_association", "rank"):
        found = dtp.tl.target_recovery(scored, by=by, key_added=f"recovery_{by}")
        record(found, by, record_property)
        say(f"by {by}\n{found['table'][SHOWN].round(3).to_string(index=False)}")
        assert found["table"]["p"].dropna().between(0, 1).all()
    say(found["controls"].round(2).to_string(index=False))


def test_whole_transcriptomes_by_ensembl_id(fresh, read, say, record_property):
    """All known targets are in these samples; of the score only ranks are warranted, if that."""
    bulk = fresh("bulk")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Transfer check:")
        dtp.tl.score(bulk, dtp.hub.load("aml-venetoclax"))
    evidence, reading = read
    started = time.perf_counter()
    table = dtp.tl.rank_targets(bulk, score_key="dtp_score", **evidence)
    seconds = reading + time.perf_counter() - started
    found = dtp.tl.target_recovery(bulk)
    record_property("seconds, files to table", round(seconds, 1))
    record(found, "rank", record_property)
    about = table.attrs["dtp_targets"]
    say(
        f"{bulk.n_vars:,} rows, {len(table):,} genes, {about['params']['n_candidates']:,} "
        f"candidates, {seconds:.1f} s; not in HGNC: {len(about['names']['unmatched']):,}"
    )
    say(pd.DataFrame(about["filters"]).to_string(index=False))
    say(found["table"][SHOWN].round(3).to_string(index=False))
    say(found["controls"].round(2).to_string(index=False))
    assert seconds < 60
    assert (found["controls"]["status"] == "ranked").sum() == 9
    known = found["controls"].set_index("gene")
    assert known.loc["LILRB4", "status"] == "removed by the filter 'surface'"


@pytest.mark.slow
def test_shuffled_scores_recover_nothing(scored, evidence, say):
    """Genes go together, so only the p against shuffled scores is uniform; print both."""
    rng = np.random.default_rng(0)
    p = {"matched_genes": [], "shuffled_score": []}
    adata = scored.copy()
    options = {"surface": evidence["surface"], "weights": {"abundance": 0, "surface": 0}}
    for seed in range(100):
        adata.obs["shuffled"] = rng.permutation(adata.obs["dtp_score"].to_numpy())
        draws = {"n_boot": 1, "n_shuffles": 99, "seed": seed}
        dtp.tl.rank_targets(adata, score_key="shuffled", **draws, **options)
        found = dtp.tl.target_recovery(adata, n_random=199, seed=seed)["table"]
        for name, values in p.items():
            values.append(found.set_index("test").loc[name, "p"])
    for name, values in p.items():
        share, test = np.mean(np.array(values) <= 0.05), kstest(values, "uniform")
        say(f"{name}: p <= 0.05 in {share:.0%} of 100 shuffles, KS p = {test.pvalue:.2g}")
    assert kstest(p["shuffled_score"], "uniform").pvalue > 0.01
