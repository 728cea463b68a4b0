from __future__ import annotations

import gzip
import time

import pytest

from dtp_scvi.data import SymbolResolver

RENAMED = {
    "KIAA0125": "FAM30A",
    "NGFRAP1": "BEX3",
    "GPR56": "ADGRG1",
    "C19orf77": "SMIM24",
    "C19ORF77": "SMIM24",
}


@pytest.fixture(scope="module")
def resolver():
    return SymbolResolver.bundled()


@pytest.fixture
def small():
    return SymbolResolver(
        [
            ("AAA1", ("OLD1", "SHARED"), ("NICK", "TWO"), "ENSG00000000001"),
            ("BBB2", ("SHARED",), ("TWO", "OLD1", "AAA1"), "ENSG00000000002"),
            ("C1orf9", (), (), ""),
        ]
    )


def one(resolver, name):
    return tuple(resolver.resolve([name]).loc[0, ["symbol", "how", "candidates"]])


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_old_and_new_symbols_meet(resolver, old, new):
    assert one(resolver, old)[0] == new
    assert one(resolver, new) == (new, "exact", (new,))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AAA1", ("AAA1", "exact", ("AAA1",))),  # although it is an alias of BBB2
        ("aaa1", ("AAA1", "case", ("AAA1",))),
        ("C1ORF9", ("C1orf9", "case", ("C1orf9",))),
        ("OLD1", ("AAA1", "previous", ("AAA1",))),  # although it is an alias of BBB2
        ("nick", ("AAA1", "alias", ("AAA1",))),
        ("SHARED", (None, "ambiguous", ("AAA1", "BBB2"))),
        ("TWO", (None, "ambiguous", ("AAA1", "BBB2"))),
        ("ENSG00000000002", ("BBB2", "ensembl", ("BBB2",))),
        ("ENSG00000000002.17", ("BBB2", "ensembl", ("BBB2",))),
        ("ENSG00000000002.17_PAR_Y", ("BBB2", "ensembl", ("BBB2",))),
        ("ENSG00000000003.1", (None, "unmatched", ())),
        ("AAA1-1", (None, "unmatched", ())),
        ("RP11-34P13.3", (None, "unmatched", ())),
    ],
)
def test_first_rule_that_knows_a_name_decides(small, name, expected):
    assert one(small, name) == expected


@pytest.mark.parametrize("missing", ["", "nan", "NaN", "NA", "None"])
def test_missing_names_are_no_gene(resolver, missing):
    # HGNC lists "NaN" as an alias of SCN11A.
    assert one(resolver, missing)[:2] == (None, "unmatched")


def test_damaged_names_are_named_and_resolved_only_when_one_gene_explains_them(resolver):
    table = resolver.resolve(["1-Mar", "2-Sep", "15-Sep", "42617", "2.31E+19"]).set_index("name")
    assert set(table["how"]) == {"spreadsheet"}
    assert {"MARCHF1", "MTARC1"} <= set(table.loc["1-Mar", "candidates"])
    assert table.loc["1-Mar", "symbol"] is None
    assert "SEPTIN2" in table.loc["2-Sep", "candidates"]
    assert table.loc["15-Sep", "symbol"] == "SELENOF"
    assert table.loc["42617", "symbol"] == "SEPTIN4"  # 4 September 2016
    assert table.loc["2.31E+19", "candidates"] == ()


def test_rows_keep_the_order_and_repeats_of_the_names(small):
    table = small.resolve(["OLD1", "AAA1", "OLD1"])
    assert table["name"].tolist() == ["OLD1", "AAA1", "OLD1"]
    assert table.index.tolist() == [0, 1, 2]
    assert list(small.resolve([]).columns) == ["name", "symbol", "how", "candidates"]


NAMES = ["OLD1", "aaa1", "SHARED", "ENSG00000000002.17", "2-Sep", "nothing", "OLD1", "NaN"]


def test_look_up_is_resolve_without_the_table(small, resolver):
    for table in (small, resolver):
        found = table.look_up(NAMES)
        rows = table.resolve(NAMES)
        assert found == list(zip(rows["symbol"], rows["how"], rows["candidates"], strict=True))
    assert small.look_up(NAMES) == [
        ("AAA1", "previous", ("AAA1",)),
        ("AAA1", "case", ("AAA1",)),
        (None, "ambiguous", ("AAA1", "BBB2")),
        ("BBB2", "ensembl", ("BBB2",)),
        (None, "spreadsheet", ()),
        (None, "unmatched", ()),
        ("AAA1", "previous", ("AAA1",)),
        (None, "unmatched", ()),
    ]
    assert small.look_up([]) == []


def test_look_up_takes_five_digits_for_dates_only_where_that_is_said(resolver):
    few, many = ["42617", *(f"gene{i}" for i in range(400))], [str(i) for i in range(42600, 42700)]
    assert resolver.look_up(few)[0][:2] == ("SEPTIN4", "spreadsheet")
    assert resolver.look_up(few, serials=False)[0][1] == "unmatched"
    # A column of such numbers is one of Entrez ids.
    assert resolver.look_up(many)[17][1] == "unmatched"
    assert resolver.look_up(many, serials=True)[17][:2] == ("SEPTIN4", "spreadsheet")


def test_a_resolver_contains_approved_symbols_exactly(small, resolver):
    assert [name in small for name in ("AAA1", "BBB2", "C1orf9")] == [True] * 3
    others = ["aaa1", "C1ORF9", "OLD1", "NICK", "ENSG00000000001", "", "nothing"]
    assert not [name for name in others if name in small]
    assert "ADGRG1" in resolver
    assert "GPR56" not in resolver


def test_sixty_thousand_names_take_under_a_second(resolver):
    names = [f"ENSG{i:011d}.{i % 20}" for i in range(30_000)] + [f"LOC{i}" for i in range(30_000)]
    start = time.process_time()
    table = resolver.resolve(names)
    assert time.process_time() - start < 1.0
    assert len(table) == 60_000


def test_bundled_table_is_read_once(resolver):
    assert SymbolResolver.bundled() is resolver
    assert len(resolver) > 40_000
    assert repr(resolver).startswith("SymbolResolver(4")


def test_pairs_of_symbols(tmp_path):
    path = tmp_path / "pairs.tsv.gz"
    lines = ["Symbol\tApproved.Symbol\tchromosome", "NEW\tNEW\t1", "OLD\tNEW\t1", "OLD\tTWO\t2"]
    lines += ["TWO\tTWO\t2", "ONCE\tTWO\t2", "GONE\tNA\t3"]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    table = SymbolResolver.from_pairs(path).resolve(["NEW", "ONCE", "OLD", "GONE"])
    assert table["symbol"].tolist() == ["NEW", "TWO", None, None]
    assert table["how"].tolist() == ["exact", "previous", "ambiguous", "unmatched"]


def test_pairs_without_their_columns(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("symbol\tapproved\nA\tB\n")
    with pytest.raises(ValueError, match=r"columns Symbol and Approved.Symbol; found no column"):
        SymbolResolver.from_pairs(path)
