"""Read doses and durations, which must be numbers above zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi._validate import problem, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence


def positive_numbers(
    values: pd.Series | Sequence[object] | np.ndarray,
    exempt: np.ndarray | None = None,
    *,
    name: str = "dose",
    unit: str = "µM",
) -> np.ndarray:
    """
    Return a column of doses or times as numbers, and refuse text and values not above zero.

    Parameters
    ----------
    values
        One value per row; a categorical of numbers will do.
    exempt
        True for rows that need none, as controls: they get what they have, or 0 where that is
        missing or negative.
    name
        What to call the column in messages.
    unit
        Unit of the numbers, for messages.

    Returns
    -------
    float64, one per row.

    Raises
    ------
    ValueError
        Text, even if it spells a number; values that are missing, infinite, zero or negative in
        rows that are not exempt.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi.data import positive_numbers
    >>> positive_numbers([10.0, np.nan], np.array([False, True])).tolist()
    [10.0, 0.0]
    """
    column = pd.Series(np.asarray(values)) if not isinstance(values, pd.Series) else values
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    text = [value for value in column.unique() if isinstance(value, str | bytes)]
    if text:
        msg = problem(
            f"numbers ({unit}) in {name!r}",
            f"text ({shorten(map(repr, text))})",
            f"Strip the unit, convert to {unit} and make it a number: "
            f'adata.obs[{name!r}] = pd.to_numeric(adata.obs[{name!r}].str.extract(r"([\\d.]+)")[0])',
        )
        raise ValueError(msg)
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    free = np.zeros(len(numbers), bool) if exempt is None else np.asarray(exempt, bool)
    bad = ~(np.isfinite(numbers) & (numbers > 0))
    if (bad & ~free).any():
        found = pd.unique(numbers[bad & ~free])
        msg = problem(
            f"{name!r} above 0 {unit} in every treated row",
            f"{int((bad & ~free).sum()):,} rows with {shorten(f'{x:g}' for x in found)}",
            "Drop these rows, correct them, or mark them as controls.",
        )
        raise ValueError(msg)
    return np.where(bad, 0.0, numbers)
