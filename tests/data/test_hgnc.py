from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import pytest

from dtp_scvi.data import SymbolResolver
from dtp_scvi.data._hgnc import read_hgnc

ROOT = Path(__file__).resolve().parents[2]
COMPLETE = (
    "hgnc_id\tsymbol\tlocus_group\tlocus_type\tstatus\talias_symbol\tprev_symbol\tensembl_gene_id\n"
    'HGNC:1\tZZZ1\tprotein-coding gene\tgene with protein product\tApproved\t"N1|N2"\tO1\tENSG00000000001\n'
    "HGNC:2\tAAA1\tpseudogene\tpseudogene\tApproved\t\t\t\n"
    "HGNC:3\tGONE\twithdrawn\t\tEntry Withdrawn\t\t\t\n"
    "HGNC:4\tDISEASE\tphenotype\tphenotype only\tApproved\t\t\t\n"
)
CUSTOM = (
    "HGNC ID\tApproved symbol\tStatus\tAlias symbols\tPrevious symbols\tEnsembl gene ID\tLocus type\n"
    "HGNC:1\tZZZ1\tApproved\tN1, N2\tO1\tENSG00000000001\tgene with protein product\n"
    "HGNC:2\tAAA1\tApproved\t\t\t\tpseudogene\n"
)
ROWS = [("AAA1", (), (), ""), ("ZZZ1", ("O1",), ("N1", "N2"), "ENSG00000000001")]


@pytest.fixture
def builder():
    path = ROOT / "scripts" / "build_symbol_table.py"
    spec = importlib.util.spec_from_file_location("build_symbol_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("text", [COMPLETE, CUSTOM], ids=["complete set", "custom download"])
def test_both_layouts_give_the_same_rows(tmp_path, text):
    path = tmp_path / "hgnc.txt"
    path.write_text(text)
    assert read_hgnc(path) == ROWS


def test_resolver_reads_the_complete_set(tmp_path):
    path = tmp_path / "hgnc_complete_set.txt.gz"
    path.write_bytes(gzip.compress(COMPLETE.encode()))
    table = SymbolResolver.from_hgnc(path).resolve(["O1", "N2", "GONE", "DISEASE"])
    assert table["symbol"].tolist() == ["ZZZ1", "ZZZ1", None, None]


def test_missing_column_is_named(tmp_path):
    path = tmp_path / "hgnc.txt"
    path.write_text(COMPLETE.replace("prev_symbol", "old"))
    with pytest.raises(ValueError, match=r"hgnc_complete_set.txt; found no column prev_symbol"):
        SymbolResolver.from_hgnc(path)


def test_file_without_approved_genes(tmp_path):
    path = tmp_path / "hgnc.txt"
    path.write_text(COMPLETE.splitlines()[0] + "\n")
    with pytest.raises(ValueError, match=r"approved genes in hgnc.txt; found none"):
        SymbolResolver.from_hgnc(path)


def test_built_table_is_deterministic_and_compact(tmp_path, builder):
    source, first, second = (tmp_path / name for name in ("hgnc.txt", "a.gz", "b.gz"))
    source.write_text(COMPLETE)
    assert builder.build(source, first) == builder.build(source, second)
    lines = gzip.decompress(first.read_bytes()).decode().splitlines()
    assert lines == [
        "symbol\tprevious\talias\tensembl",
        "AAA1\t\t\t",
        "ZZZ1\tO1\tN1|N2\tENSG00000000001",
    ]


def test_shipped_table_is_small_and_carries_no_time_stamp(builder):
    content = builder.OUTPUT.read_bytes()
    assert len(content) < 1_200_000
    assert content[4:8] == b"\0\0\0\0"
