from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dtp_scvi.data._gene_files import names_digest, read_gene_names, read_gene_values

GENES = ["CD34", "KIT", "A1BG"]


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize(
    "text",
    [
        "CD34\nKIT\nA1BG\n",
        "# a list\n\nCD34\nKIT\n\nA1BG",
        "gene_name\tindex\nCD34\t0\nKIT\t1\nA1BG\t2\n",
        'Gene Symbol,x\n"CD34",0\n"KIT",1\n"A1BG",2\n',
        "\ufeffCD34\r\nKIT\r\nA1BG\r\n",
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_names_in_the_order_of_the_file(tmp_path, text, zipped):
    path = tmp_path / "genes.txt"
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    assert read_gene_names(path) == read_gene_names(str(path)) == GENES


def test_names_as_given():
    assert read_gene_names(np.array(GENES)) == read_gene_names(pd.Index(GENES)) == GENES


def test_values_of_every_kind(tmp_path):
    given = {"CD34": 1.5, "KIT": 2.0}
    (tmp_path / "a.json").write_text(json.dumps(given))
    (tmp_path / "a.csv").write_text("gene,median\nCD34,1.5\nKIT,2.0\n")
    (tmp_path / "a.tsv").write_text("CD34\t1.5\nKIT\t2.0\n")
    with gzip.open(tmp_path / "a.json.gz", "wt") as handle:
        json.dump(given, handle)
    sources = [given, pd.Series(given), *sorted(tmp_path.iterdir())]
    for source in sources:
        got = read_gene_values(source, "medians")
        assert {gene: float(value) for gene, value in got.items()} == given


@pytest.mark.parametrize("name", ["a.pkl", "a.pickle", "a.PKL"])
def test_a_pickle_is_not_opened(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match=r"(?s)medians as text.*a pickle.*json.dumps"):
        read_gene_values(tmp_path / name, "medians")
    with pytest.raises(ValueError, match="a list of genes, one a line as text"):
        read_gene_names(tmp_path / name)


def test_the_conversion_that_the_message_shows_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("medians.pkl").write_bytes(pickle.dumps({"CD34": np.float64(1.5)}))
    with pytest.raises(ValueError, match="a pickle") as caught:
        read_gene_values("medians.pkl", "medians")
    lines = [line for line in str(caught.value).splitlines() if "Path(" in line]
    exec("\n".join(lines), {"pickle": pickle, "json": json, "Path": Path})
    assert read_gene_values("medians.json", "medians") == {"CD34": 1.5}


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.json", "{", "to be JSON"),
        ("a.json", "[1]", "a JSON object"),
        ("a.csv", "CD34\n", "1 lines without, such as CD34"),
        ("a.csv", "CD34,1\nCD34,2\n", "repeats of CD34"),
        ("a.csv", "\n", "no line"),
    ],
)
def test_what_is_no_table(tmp_path, name, text, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=match):
        read_gene_values(tmp_path / name, "medians")


def test_what_is_no_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"a.csv \(medians\) to be text"):
        read_gene_values(tmp_path / "a.csv", "medians")


def test_what_is_no_source(tmp_path):
    with pytest.raises(TypeError, match="medians as a mapping or the path"):
        read_gene_values(3, "medians")
    with pytest.raises(FileNotFoundError, match="medians at"):
        read_gene_values(tmp_path / "none.csv", "medians")


def test_the_first_of_repeats_counts_where_they_are_allowed():
    series = pd.Series([1, 2, 3], index=["a", "b", "a"])
    assert read_gene_values(series, "x", repeats=True) == {"a": 1, "b": 2}


def test_a_digest_knows_the_order():
    assert names_digest(GENES) == names_digest(pd.Index(GENES))
    assert names_digest(GENES) != names_digest(GENES[::-1])
    assert names_digest(["ab", "c"]) != names_digest(["a", "bc"])
