"""Turn the body of a table into numbers, or say which cell is none."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import problem

# A decimal comma, or commas between thousands: meant as a number, whoever wrote it.
_COMMA: Final = re.compile(r"^\s*[-+]?\d+(,\d+)+(\.\d+)?\s*$")


def is_text(column: pd.Series) -> bool:
    """Tell whether a column holds text and nothing that was meant as a number."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return False
    present = column.dropna()
    if present.empty or pd.to_numeric(present, errors="coerce").notna().any():
        return False
    return not any(_COMMA.match(str(value)) for value in present)


def as_numbers(values: pd.DataFrame, where: str) -> np.ndarray:
    """
    Return a float32 matrix; missing values are NaN.

    Raises
    ------
    ValueError
        If a cell is text or infinite; it is named by row and column.
    """
    if not all(pd.api.types.is_numeric_dtype(dtype) for dtype in values.dtypes):
        # Rows of text that were set aside leave columns of Python objects behind.
        numbers = values.apply(pd.to_numeric, errors="coerce")
        bad = numbers.isna().to_numpy() & values.notna().to_numpy()
        _refuse(values, bad, f"numbers in {where}", "Check the separator and decimal sign.")
        values = numbers
    matrix = values.to_numpy(dtype=np.float64, na_value=np.nan)
    finite = "Replace it by a number, or leave it empty."
    _refuse(values, np.isinf(matrix), f"finite numbers in {where}", finite)
    with np.errstate(over="ignore"):
        small = matrix.astype(np.float32)
    _refuse(values, np.isinf(small), f"numbers below 3.4e38 in {where}", finite)
    return small


def _refuse(values: pd.DataFrame, bad: np.ndarray, expected: str, todo: str) -> None:
    if not bad.any():
        return
    row, column = np.argwhere(bad)[0]
    value = values.iloc[row, column]
    shown = repr(value) if isinstance(value, str) else str(value)
    found = (
        f"{shown} for {values.index[row]}, {values.columns[column]}"
        f" ({int(bad.sum()):,} such values)"
    )
    raise ValueError(problem(expected, found, todo))


def missing_values(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many values are missing in each row and in each column."""
    missing = np.isnan(matrix)
    return missing.sum(axis=1), missing.sum(axis=0)
