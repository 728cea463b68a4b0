from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtp_scvi.data import read_gmt
from dtp_scvi.data._damaged import is_serial, original_symbols, serials_are_dates


@pytest.mark.parametrize("name", ["1-Mar", "01-Mar", "Mar-01", "3/1", "03/01", "2001-03-01"])
def test_dates_of_the_first_of_march(name):
    assert {"MARCH1", "MARC1"} <= set(original_symbols(name))


@pytest.mark.parametrize(
    "name", ["CD34", "MATR3-1", "HLA-A", "SEPTIN2", "MARCH1", "1-Foo", "3/41", "7SK", "123456"]
)
def test_ordinary_names_are_not_damaged(name):
    assert original_symbols(name) is None


def test_both_orders_of_day_and_month_count():
    assert {"SEPT3", "MARCH9"} <= set(original_symbols("9/3"))


@given(st.dates(date(2000, 1, 1), date(2035, 12, 30)))
def test_day_number_is_the_day(day):
    serial = str(day.toordinal() - date(1899, 12, 30).toordinal())
    assert is_serial(serial)
    named = original_symbols(f"{day.day}-{day:%b}")
    assert original_symbols(serial) == named


def test_many_five_digit_names_are_identifiers():
    assert serials_are_dates(["42617", "CD34"])
    assert not serials_are_dates([str(number) for number in range(40_000, 40_100)])
    assert original_symbols("42617", serials=False) is None


def test_gmt_is_read_in_order_without_repeats(tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("B\tna\tCD34\tKIT\tCD34\t\n\nA\t\tHBB\n")
    assert read_gmt(path) == {"B": ["CD34", "KIT"], "A": ["HBB"]}


def test_gmt_with_damaged_symbols_warns_and_keeps_them(tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("LSC\tna\tCD34\t42617\t1-Mar\n")
    with pytest.warns(UserWarning, match="2 symbols of sets.gmt .* spreadsheet .* 42617 in LSC"):
        assert read_gmt(path)["LSC"] == ["CD34", "42617", "1-Mar"]


def test_gmt_of_entrez_ids_is_not_damaged(tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("IDS\tna\t" + "\t".join(map(str, range(40_000, 40_100))) + "\n")
    assert len(read_gmt(path)["IDS"]) == 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A\tna\tCD34\nB\tna\n", "2 fields in sets.gmt, line 2"),
        ("A CD34 KIT\n", "1 fields in sets.gmt, line 1"),
        ("\tna\tCD34\n", "3 fields in sets.gmt, line 1"),
        ("A\tna\tCD34\nA\tna\tKIT\n", "'A' again in sets.gmt, line 2"),
        ("\n", "gene sets in sets.gmt; found none"),
    ],
)
def test_bad_gmt_names_the_line(tmp_path, text, message):
    path = tmp_path / "sets.gmt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_gmt(path)
