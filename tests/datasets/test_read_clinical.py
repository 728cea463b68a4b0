from __future__ import annotations

import math
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtp_scvi.datasets import read_clinical

FILE = """#Patient Identifier\tOverall Survival Status\tOverall Survival (Months)\tDFS\tDFS status\tSex
#Identifier\tstatus\tmonths\tmonths\tstatus\tsex
#STRING\tSTRING\tNUMBER\tNUMBER\tSTRING\tSTRING
#1\t1\t1\t1\t1\t1
PATIENT_ID\tOS_STATUS\tOS_MONTHS\tDFS_MONTHS\tDFS_STATUS\tSEX
P-01\t1:DECEASED\t12\t3.5\t1:Recurred/Progressed\tMale
P-02\t0:LIVING\t100.5\t100.5\t0:DiseaseFree\tFemale
P-03\t[Not Available]\t[Not Available]\t\t\tFemale
"""


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "PATIENT_ID": ["a", "b", "c"],
            "OS_MONTHS": [1.0, 2.0, 0.0],
            "OS_STATUS": ["1:DECEASED", "0:LIVING", "DECEASED"],
        }
    )


@pytest.fixture
def path(tmp_path):
    (tmp_path / "data_clinical_patient.txt").write_text(FILE)
    return tmp_path / "data_clinical_patient.txt"


def test_the_file_layout_is_read_after_its_comments(path):
    found = read_clinical(path)
    assert found.index.tolist() == found["patient"].tolist() == ["P-01", "P-02", "P-03"]
    np.testing.assert_allclose(found["time"], [12 * 30.4375, 100.5 * 30.4375, np.nan])
    np.testing.assert_array_equal(found["event"], [1, 0, np.nan])
    assert found["SEX"].tolist() == ["Male", "Female", "Female"]
    assert found.attrs == {"time_unit": "days", "endpoint": "os"}


def test_other_endpoints_and_units(path):
    found = read_clinical(path, endpoint="dfs", time_unit="months")
    np.testing.assert_allclose(found["time"], [3.5, 100.5, np.nan])
    np.testing.assert_array_equal(found["event"], [1, 0, np.nan])
    with pytest.raises(KeyError, match=r"PFS MONTHS or .* follow-up times"):
        read_clinical(path, endpoint="pfs")
    with pytest.raises(ValueError, match="`endpoint` to be one of"):
        read_clinical(path, endpoint="xyz")
    with pytest.raises(ValueError, match="`time_unit` to be one of"):
        read_clinical(path, time_unit="years")


def test_the_layout_of_the_web_page_has_samples():
    page = pd.DataFrame(
        {
            "Patient ID": ["p", "p", "q"],
            "Sample ID": ["p-1", "p-2", "q-1"],
            "Overall Survival (Months)": [2.0, 2.0, 7.0],
            "Overall Survival Status": ["1:DECEASED", "1:DECEASED", "0:LIVING"],
        }
    )
    found = read_clinical(page)
    assert found.index.tolist() == ["p-1", "p-2", "q-1"]
    assert found["patient"].tolist() == ["p", "p", "q"]
    page.loc[1, "Overall Survival (Months)"] = 3.0
    with pytest.raises(ValueError, match=r"one time and event a patient .* several for p"):
        read_clinical(page)


def test_plain_tables_are_in_days():
    plain = pd.DataFrame({"PatientID": [1.0, 2.0], "Time": [365.0, 0.0], "Dead": [1.0, 0.0]})
    found = read_clinical(plain)
    assert found.index.tolist() == ["1", "2"]
    assert found["time"].tolist() == [365.0, 0.0]
    months = read_clinical(plain, time_unit="months")["time"]
    assert math.isclose(months.iloc[0], 365 / 30.4375)


def test_a_workbook_is_read_as_its_text(tmp_path, table):
    table.to_excel(tmp_path / "x.xlsx", index=False)
    found = read_clinical(tmp_path / "x.xlsx")
    # A workbook does not tell 1 from 1.0.
    pd.testing.assert_frame_equal(found, read_clinical(table), check_dtype=False)
    assert found["time"].dtype == found["event"].dtype == np.float64


def test_without_openpyxl_the_extra_is_named(tmp_path, table, monkeypatch):
    table.to_excel(tmp_path / "x.xlsx", index=False)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ImportError, match=r"`openpyxl` .* pip install 'dtp-scvi\[cohort\]'"):
        read_clinical(tmp_path / "x.xlsx")


def test_what_is_no_workbook_is_named(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.xlsx", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(ValueError, match=r"x\.xlsx to be a table"):
        read_clinical(tmp_path / "x.xlsx")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("OS_MONTHS", [1.0, -2.0, 3.0], r"no negative times in column 'OS_MONTHS'.*-2\.0 for b"),
        ("OS_MONTHS", ["1", "two", "3"], "numbers in column 'OS_MONTHS'.*'two' for b"),
        ("OS_MONTHS", [1.0, np.inf, 3.0], "finite times in column 'OS_MONTHS'"),
        ("OS_STATUS", [0, 2, 1], "events 0 or 1 in column 'OS_STATUS'.* 2 for b.* Write 1"),
        ("OS_STATUS", ["1:DECEASED", "2:LOST", "0:LIVING"], "events 0 or 1 .*'2:LOST' for b"),
        ("PATIENT_ID", ["a", "a", "c"], "every name of DataFrame once; found 1 twice or more: a"),
        ("PATIENT_ID", ["a", None, "c"], "a patient in every row of DataFrame; found none in 1"),
    ],
)
def test_bad_tables_are_refused(table, column, values, message):
    table[column] = values
    with pytest.raises(ValueError, match=message):
        read_clinical(table)


@pytest.mark.parametrize("column", ["PATIENT_ID", "OS_MONTHS", "OS_STATUS"])
def test_missing_columns_are_named(table, column):
    with pytest.raises(KeyError, match=column.replace("_", ".")):
        read_clinical(table.drop(columns=column))


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(3)), st.permutations(range(3)))
def test_order_does_not_matter(rows, columns):
    table = pd.DataFrame(
        {"PATIENT_ID": ["a", "b", "c"], "OS_MONTHS": [1.0, 2.0, 0.5], "OS_STATUS": [1, 0, 1]}
    )
    mixed = read_clinical(table.iloc[list(rows), list(columns)])
    pd.testing.assert_frame_equal(mixed, read_clinical(table), check_like=True)


@pytest.mark.parametrize(
    ("spelling", "meaning"),
    [("Dead", 1), ("alive", 0), ("1:PROGRESSION", 1), ("0:CENSORED", 0), (True, 1), ("Unknown", None),
     ("", None), (None, None), ("n.d.", None), (0.0, 0), ("0:ALIVE OR DEAD TUMOR FREE", 0)],
)  # fmt: skip
def test_spellings_of_events(table, spelling, meaning):
    table["OS_STATUS"] = pd.Series([spelling, 0, 1], dtype=object)
    found = read_clinical(table)["event"].iloc[0]
    assert (math.isnan(found)) if meaning is None else found == meaning
