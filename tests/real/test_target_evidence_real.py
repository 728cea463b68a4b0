"""Readers of target evidence on the public tables, and what a dependency summary can tell."""

from __future__ import annotations

import pandas as pd
import pytest

import dtp_scvi as dtp

# Put down by hand, from what is known of the proteins; none of it is taken from the tables.
SURFACE = {
    "CD33": True, "FLT3": True, "IL3RA": True, "CLEC12A": True, "CD47": True,
    "KIT": True, "CD44": True, "CD38": True, "CD34": True, "ITGB1": True,
    "GAPDH": False, "MYC": False, "HBB": False, "TP53": False, "NPM1": False,
    "RUNX1": False, "DNMT3A": False, "TET2": False, "MPO": False, "BCL2": False,
}  # fmt: skip

READERS = {
    "read_hpa": "hpa_gtex/hpaSecretome_proteinatlas_2793genes.csv.gz",
    "read_hpa_subcellular": "hpa_gtex/hpaSubcellularLoc.csv.gz",
    "read_hpa_normal_tissue": "hpa_gtex/hpaNormalTissue_IHC.csv.gz",
    "read_hpa_consensus": "hpa_gtex/rnaConsensusTissue_nTPM_20090genes_54tissues.csv.gz",
    "read_gtex": "hpa_gtex/rnaGtexTissue_TPM_20090genes_37tissues.csv.gz",
    "read_surfaceome": "surfaceome/whole_proteome_catalog.tsv.gz",
    "read_depmap_summary": "depmap/aml_dependencies_ranked_914genes_43lines.csv.gz",
}
CONTROLS = ["FLT3", "CD33", "IL3RA", "CLEC12A", "CD47"]


@pytest.fixture(scope="module")
def read(path_of):
    """Return a function from a reader's name to its table; each file is read once."""
    known = {}

    def table(name):
        if name not in known:
            known[name] = getattr(dtp.datasets, name)(path_of(READERS[name]))
        return known[name]

    return table


@pytest.fixture
def say(capsys):
    """Return a function that prints though pytest captures: these numbers are to be seen."""

    def speak(text):
        with capsys.disabled():
            print(f"\n{text}")  # noqa: T201

    return speak


@pytest.mark.parametrize("name", READERS)
def test_nearly_all_rows_find_their_gene(name, read, say):
    table = read(name)
    report = table.attrs["dtp_report"]
    share = report["matched"] / report["rows"]
    how = ", ".join(f"{n:,} {key}" for key, n in report["how"].items())
    say(
        f"{name}: {report['matched']:,} of {report['rows']:,} rows ({how}); "
        f"{report['genes']:,} genes, {len(report['merged'])} merged"
    )
    assert table.index.is_unique
    assert table.index.name == "gene"
    assert share > 0.98
    assert not report["damaged"]


def test_open_reading_frames_in_capitals_are_matched(path_of, read, say):
    names = pd.read_csv(path_of(READERS["read_depmap_summary"]), usecols=["gene"])["gene"]
    capitals = names[names.str.match(r"^C\d+ORF\d+$")]
    table = read("read_depmap_summary")
    consensus = read("read_hpa_consensus")
    approved = dtp.data.SymbolResolver.bundled().resolve(names)["symbol"]
    found, plain = approved.isin(consensus.index), names.isin(consensus.index)
    say(
        f"{len(capitals)} C..ORF names; in HPA {found.sum()} of {len(names)} names, "
        f"{plain.sum()} as they are spelled"
    )
    assert len(capitals) == 12
    assert set(approved[capitals.index]) <= set(table.index)
    assert found.sum() >= plain.sum() + 12


def test_flags_and_hand_labels_of_twenty_proteins(read, say):
    labels = pd.Series(SURFACE)
    flags = dtp.datasets.hpa_flags(
        read("read_hpa"),
        subcellular=read("read_hpa_subcellular"),
        normal_tissue=read("read_hpa_normal_tissue"),
    ).reindex(labels.index)
    surface = read("read_surfaceome").reindex(labels.index)
    by_hpa = flags["HPA_surface_protein"] == "Yes"
    known = flags["HPA_surface_protein"] != "Not available"
    say(
        f"strict tier agrees with {(surface['strict'] == labels).sum()} of 20, loose with "
        f"{(surface['loose'] == labels).sum()}; HPA's flag with {(by_hpa == labels).sum()}, "
        f"differing in {', '.join(labels.index[by_hpa != labels])}"
    )
    assert (surface["strict"] == labels).all()
    # These pieces of HPA lack the class of most genes. Of FLT3 they know a place inside the cell,
    # of IL3RA and CLEC12A none; GAPDH, HPA has seen at the membrane as well as in the cytosol.
    assert set(labels.index[by_hpa != labels]) == {"FLT3", "IL3RA", "CLEC12A", "GAPDH"}
    assert not known[["IL3RA", "CLEC12A"]].any()
    assert flags.loc["GAPDH", "HPA_surface_evidence"] == "location"
    assert flags.loc["CD33", "HPA_antibody_reliability"] == "Enhanced"
    assert flags.loc["IL3RA", "HPA_antibody_reliability"] == "Uncertain"


def test_known_expression_is_where_it_belongs(read):
    for name in ("read_hpa_consensus", "read_gtex"):
        table = read(name)
        assert table.loc["ALB"].idxmax() == "liver"
        assert table.min(axis=None) >= 0
    assert read("read_hpa_consensus").loc["MPO"].idxmax() == "bone marrow"
    assert read("read_hpa_normal_tissue").loc["MPO", "bone marrow"] == 3


@pytest.mark.parametrize("name", ["BAGEL_essential_v2", "BAGEL_nonEssential", "EssGenes.HISTONES"])
def test_gene_lists(name, path_of):
    report = dtp.datasets.read_gene_list(path_of(f"depmap/{name}.txt")).attrs["dtp_report"]
    assert report["matched"] >= 0.99 * report["rows"]


def test_summary_of_aml_lines_against_its_own_background(read, path_of, say):
    summary = read("read_depmap_summary")
    essential = dtp.datasets.read_gene_list(path_of("depmap/BAGEL_essential_v2.txt"))
    inside = [gene for gene in essential.index if gene in summary.index]
    strong = dtp.tl.essentiality(inside, summary)
    table = dtp.tl.essentiality(CONTROLS, summary, common_essential=essential)
    tests = [t.attrs["dtp_essentiality"]["set"] for t in (strong, table)]
    for word, test in zip(("BAGEL essential genes", "surface controls"), tests, strict=True):
        say(
            f"{word}: n = {test['n']}, mean effect {test['observed']:.3f} against "
            f"{test['expected']:.3f} [{test['low']:.3f}, {test['high']:.3f}], p = {test['p']:.3g}"
        )
    assert tests[0]["p"] < 0.01
    assert tests[0]["matched_on"] == "mean expression"
    assert not tests[1]["selective"]
    assert "914 genes" in tests[1]["background"]
    assert table["difference"].isna().all()
