from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dtp_scvi.data import positive_numbers


def test_numbers_come_back_and_exempt_rows_need_none():
    exempt = np.array([False, True, True, True])
    assert positive_numbers([0.5, 0.0, np.nan, -666.0], exempt).tolist() == [0.5, 0, 0, 0]
    assert positive_numbers([2.0, 5.0], np.array([False, True])).tolist() == [2, 5]


def test_a_categorical_of_numbers_will_do():
    column = pd.Series(pd.Categorical([10, 1, 10]))
    assert positive_numbers(column).tolist() == [10, 1, 10]
    nullable = pd.Series([1.0, None], dtype="Float64")
    assert positive_numbers(nullable, np.array([False, True])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (["10 uM", "1 uM"], r"numbers \(µM\) in 'dose'; found text \('10 uM', '1 uM'\)"),
        (["10"], "found text"),
        (pd.Series(pd.Categorical(["1 uM"])), "found text"),
        ([10.0, 0.0, -1.0], "above 0 µM in every treated row; found 2 rows with 0, -1"),
        ([np.nan], "1 rows with nan"),
        ([np.inf], "1 rows with inf"),
    ],
)
def test_text_and_numbers_not_above_zero_are_refused(values, match):
    with pytest.raises(ValueError, match=match):
        positive_numbers(values)


def test_the_remedy_in_the_message_works():
    adata_obs = pd.DataFrame({"dose": ["10 uM", "0.5 uM"]})
    with pytest.raises(ValueError, match=r"pd\.to_numeric") as error:
        positive_numbers(adata_obs["dose"])
    line = str(error.value).split(": ", 1)[1].rsplit("= ", 1)[1]
    fixed = eval(line, {"pd": pd, "adata": type("A", (), {"obs": adata_obs})})
    assert positive_numbers(fixed).tolist() == [10, 0.5]
