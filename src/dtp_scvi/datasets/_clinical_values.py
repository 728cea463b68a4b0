"""Identifiers, numbers, times and events as clinical tables spell them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import near_matches, problem, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dtp_scvi.datasets._report import Report

DAYS_PER_MONTH: Final = 365.25 / 12
_MISSING: Final = frozenset(
    {"", "na", "n/a", "nan", "none", "null", "unknown", "not available", "not applicable"}
    | {"not reported", "not evaluated", "n.d.", "nd", "."}
)
_HAPPENED: Final = frozenset(
    {"1", "1.0", "true", "deceased", "dead", "died", "event", "recurred", "progressed"}
    | {"recurred/progressed", "progression", "relapsed", "dead with tumor"}
)
_CENSORED: Final = frozenset(
    {"0", "0.0", "false", "living", "alive", "censored", "diseasefree", "disease free"}
    | {"no event", "alive or dead tumor free"}
)
_CODED: Final = re.compile(r"^\s*([01])\s*:")


def is_missing(value: object) -> bool:
    """Tell whether ``value`` is one of the spellings of a missing value."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return True
    return str(value).strip().strip("[]").strip().lower() in _MISSING


def identifiers(values: pd.Series) -> pd.Series:
    """Return identifiers as text: no spaces around, no ``.0`` of a number, missing ones empty."""

    def one(value: object) -> str:
        if is_missing(value):
            return ""
        if isinstance(value, float | np.floating) and float(value).is_integer():
            return str(int(value))
        return str(value).strip()

    return values.map(one).astype(object)


def column_of(
    frame: pd.DataFrame, options: Sequence[str], what: str, where: str, *, needed: bool = True
) -> str | None:
    """Return the first of ``options`` that is a column, in any case and punctuation."""

    def plain(name: object) -> str:
        return re.sub(r"[^a-z0-9]", "", str(name).lower())

    present = {plain(name): str(name) for name in reversed(frame.columns)}
    found = next((present[plain(name)] for name in options if plain(name) in present), None)
    if found is None and needed:
        msg = problem(
            f"a column {' or '.join(options)} with {what} in {where}",
            "no such column",
            near_matches(options[0], frame.columns),
        )
        raise KeyError(msg)
    return found


def category(values: pd.Series) -> pd.Series:
    """Return text as a categorical whose missing values are missing."""
    text = values.map(lambda value: np.nan if is_missing(value) else str(value).strip())
    return text.astype(object).astype("category")


def lenient_numbers(values: pd.Series, name: str, table: str, report: Report) -> pd.Series:
    """Return float64; what is text ("rare", "<1") becomes missing, and the report says so."""
    numbers = pd.to_numeric(values, errors="coerce").astype(np.float64)
    for row in np.flatnonzero(numbers.isna().to_numpy()):
        value = values.iloc[row]
        if not is_missing(value):
            reason = f"{name}: {str(value).strip()!r} is no number; read as missing"
            report.add(table, [values.index[row]], reason, outcome="kept")
    return numbers


def times(values: pd.Series, name: str, where: str) -> pd.Series:
    """
    Return follow-up times as float64, missing ones NaN.

    Raises
    ------
    ValueError
        If a time is no number, or negative.
    """
    present = ~values.map(is_missing)
    numbers = pd.to_numeric(values.where(present), errors="coerce").astype(np.float64)
    _refuse(values[present & numbers.isna()], name, where, "numbers", "Mend or empty these cells.")
    todo = "Times count from diagnosis; mend these, or leave them empty."
    _refuse(numbers[numbers < 0], name, where, "no negative times", todo)
    _refuse(numbers[np.isinf(numbers)], name, where, "finite times", todo)
    return numbers


def events(values: pd.Series, name: str, where: str) -> pd.Series:
    """
    Return events as float64: 1 happened, 0 censored, NaN missing.

    Known are 0 and 1, text that starts with ``0:`` or ``1:`` (cBioPortal), and plain words such
    as ``DECEASED``, ``LIVING``, ``Recurred/Progressed``.

    Raises
    ------
    ValueError
        For anything else.
    """

    def one(value: object) -> float:
        if is_missing(value):
            return np.nan
        coded = _CODED.match(str(value))
        word = coded[1] if coded else str(value).strip().lower()
        return 1.0 if word in _HAPPENED else 0.0 if word in _CENSORED else -1.0

    found = values.map(one).astype(np.float64)
    todo = "Write 1 where the event happened and 0 where follow-up ended without it."
    _refuse(values[found == -1], name, where, "events 0 or 1", todo)
    return found


def _refuse(bad: pd.Series, name: str, where: str, expected: str, todo: str) -> None:
    if len(bad):
        shown = shorten([f"{value!r} for {row}" for row, value in bad.items()], 3)
        msg = problem(f"{expected} in column {name!r} of {where}", shown, todo)
        raise ValueError(msg)
