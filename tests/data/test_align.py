from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtp_scvi.data import SymbolResolver, align_genes, gene_names

RESOLVER = SymbolResolver(
    [
        ("NEW1", ("OLD1",), ("NICK1",), "ENSG00000000001"),
        ("NEW2", ("OLD2", "SHARED"), (), "ENSG00000000002"),
        ("NEW3", ("SHARED",), ("NEW2",), "ENSG00000000003"),
    ]
)


def matched(names, targets):
    a = align_genes(names, targets, resolver=RESOLVER)
    return {(names[s], targets[t]) for s, t in zip(a.source, a.target, strict=True)}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("NEW1", "NEW1"),
        ("OLD1", "NEW1"),
        ("NEW1", "OLD1"),
        ("NICK1", "OLD1"),
        ("new1", "NEW1"),
        ("ENSG00000000001.5", "NEW1"),
        ("OLD1", "ENSG00000000001"),
        ("ENSG00000000001.5", "ENSG00000000001.12"),
        ("ENSG00000000009.5", "ENSG00000000009"),  # unknown to the resolver
        ("ac012.3", "AC012.3"),
    ],
)
def test_names_of_one_gene_meet(name, target):
    assert matched([name], [target]) == {(name, target)}


@given(st.permutations(["NEW1", "NEW2", "NEW3", "X", "Y"]))
def test_order_of_the_query_does_not_matter(names):
    targets = ["NEW3", "X", "NEW1", "Z"]
    alignment = align_genes(names, targets, resolver=RESOLVER)
    assert [names[s] for s in alignment.source] == [targets[t] for t in alignment.target]
    assert np.all(np.diff(alignment.source) > 0)
    assert alignment.missing == ("Z",)
    assert alignment.coverage == 0.75


def test_a_model_gene_is_never_taken_by_alias():
    # NEW2 is an alias of NEW3 in the table, but a model gene of its own here.
    assert matched(["NEW2"], ["NEW3", "NEW2"]) == {("NEW2", "NEW2")}


def test_old_and_new_name_together_are_duplicates():
    alignment = align_genes(["OLD1", "X", "NEW1"], ["NEW1", "X"], resolver=RESOLVER)
    assert alignment.duplicated == {"NEW1": ("OLD1", "NEW1")}
    assert alignment.multiplicity.tolist() == [2, 1]
    assert alignment.renamed == {"OLD1": "NEW1"}


def test_an_alias_does_not_add_to_a_gene_that_is_there():
    assert matched(["NICK1", "NEW1"], ["NEW1"]) == {("NEW1", "NEW1")}
    assert matched(["NICK1", "OLD1"], ["NEW1"]) == {("OLD1", "NEW1")}
    assert matched(["NICK1"], ["NEW1"]) == {("NICK1", "NEW1")}


def test_repeated_query_names_all_feed_their_gene():
    alignment = align_genes(["X", "X", "X"], ["X"], resolver=RESOLVER)
    assert alignment.source.tolist() == [0, 1, 2]
    assert alignment.duplicated == {"X": ("X", "X", "X")}


def test_ambiguous_name_is_listed_and_left_out():
    alignment = align_genes(["SHARED"], ["NEW2", "X"], resolver=RESOLVER)
    assert alignment.ambiguous == ("SHARED",)
    assert alignment.source.size == 0
    # An ambiguous name that concerns no model gene is not worth a line.
    assert align_genes(["SHARED"], ["X"], resolver=RESOLVER).ambiguous == ()


def test_two_model_genes_that_are_one_take_only_their_exact_names():
    assert matched(["OLD1", "NICK1"], ["OLD1", "NICK1"]) == {("OLD1", "OLD1"), ("NICK1", "NICK1")}
    alignment = align_genes(["ENSG00000000001"], ["OLD1", "NICK1"], resolver=RESOLVER)
    assert alignment.ambiguous == ("ENSG00000000001",)
    assert matched(["ENSG00000000001"], ["OLD1", "NEW1"]) == {("ENSG00000000001", "NEW1")}


def test_damaged_names_are_listed():
    alignment = align_genes(["1-Mar", "X"], ["X"], resolver=RESOLVER)
    assert alignment.damaged == ("1-Mar",)
    assert alignment.unmatched == ("1-Mar",)


def test_identity_is_recognised():
    assert align_genes(["X", "Y"], ["X", "Y"], resolver=RESOLVER).is_identity
    assert not align_genes(["Y", "X"], ["X", "Y"], resolver=RESOLVER).is_identity
    assert not align_genes(["X", "Y", "Z"], ["X", "Y"], resolver=RESOLVER).is_identity


def test_weighted_coverage_counts_absolute_weights():
    alignment = align_genes(["X"], ["X", "Y"], resolver=RESOLVER)
    assert alignment.weighted_coverage(np.array([-3.0, 1.0])) == 0.75
    assert alignment.weighted_coverage(np.zeros(2)) == 0.5
    with pytest.raises(ValueError, match=r"each of 2 model genes; found an array of shape \(3,\)"):
        alignment.weighted_coverage(np.ones(3))


def test_report_is_plain_and_says_what_happened():
    alignment = align_genes(["OLD1", "NEW1", "SHARED"], ["NEW1", "NEW2"], resolver=RESOLVER)
    report = json.loads(json.dumps(alignment.report()))
    assert report["n_found"] == 1
    assert report["renamed"] == ["OLD1 -> NEW1"]
    assert report["duplicated"] == ["OLD1, NEW1 -> NEW1"]
    assert report["ambiguous"] == ["SHARED"]
    assert report["missing"] == ["NEW2"]


def test_floor_names_both_sides():
    names = [f"ENSMUSG{i:011d}" for i in range(10)]
    alignment = align_genes(names, ["CD34", "KIT", "GATA2", "HBB"])
    message = (
        r"0 of 4 model genes found \(coverage 0%, 10 query genes\); floor is 50%\. First missing: "
        r"CD34, KIT, GATA2, HBB\. Your names look like mouse Ensembl ids: ENSMUSG00000000000, .* "
        r"and 5 more\. The model's look like gene symbols: CD34, .*orthologues"
    )
    with pytest.raises(ValueError, match=message):
        alignment.check(0.5)


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["0", "1", "2"], "integers are not matched"),
        (["ENST00000000001", "ENST00000000002"], "Sum transcripts to genes"),
        (["Cd99l", "Gm1000"], "Map mouse genes"),
        (["ENSG00000999991", "ENSG00000999992"], 'Pass gene_key="..."'),
        (["FOO1", "FOO2"], "same organism"),
        (["FOO1", "FOO2", "1-Mar"], "Damaged by a spreadsheet: 1-Mar"),
    ],
)
def test_floor_hints_at_the_cause(names, hint):
    with pytest.raises(ValueError, match=hint):
        align_genes(names, ["CD34", "KIT"]).check(0.5)


def test_floor_passes_above_and_needs_one_gene_at_zero():
    align_genes(["CD34", "X"], ["CD34", "KIT"], resolver=RESOLVER).check(0.5)
    with pytest.raises(ValueError, match="0 of 1 model genes"):
        align_genes(["X"], ["CD34"], resolver=RESOLVER).check(0.0)


@pytest.mark.parametrize(
    ("targets", "message"),
    [([], "at least one model gene; found none"), (["A", "B", "A"], "found repeats of A")],
)
def test_bad_targets(targets, message):
    with pytest.raises(ValueError, match=message):
        align_genes(["A"], targets)


def test_gene_names_from_a_column_with_gaps():
    var = pd.DataFrame({"symbol": ["CD34", None]}, index=["ENSG1", "ENSG2"])
    adata = ad.AnnData(np.ones((1, 2), np.float32), var=var)
    assert gene_names(adata).tolist() == ["ENSG1", "ENSG2"]
    assert gene_names(adata, "symbol").tolist() == ["CD34", ""]
    # Nothing is matched by an empty name.
    assert align_genes(gene_names(adata, "symbol"), ["CD34", "KIT"]).coverage == 0.5
    with pytest.raises(KeyError, match=r"`gene_key`.*'symbols'.*Did you mean symbol"):
        gene_names(adata, "symbols")
