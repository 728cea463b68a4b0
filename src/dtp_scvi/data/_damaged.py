"""Recognise gene symbols that a spreadsheet turned into dates or numbers."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Ziemann, Eren, El-Osta. Gene name errors are widespread in the scientific literature.
# Genome Biology 17:177 (2016). Prefixes of symbols, old and new, that read as a month.
_PREFIXES = {
    2: ("FEB",),
    3: ("MARCH", "MARC", "MAR"),
    4: ("APR", "APR-"),
    5: ("MAY",),
    6: ("JUN",),
    8: ("AUG",),
    9: ("SEPT", "SEP"),
    10: ("OCT",),
    11: ("NOV",),
    12: ("DEC",),
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAMED = re.compile(r"^(?:(\d{1,2})-([A-Za-z]{3})|([A-Za-z]{3})-(\d{1,2}))$")
_NUMERIC = re.compile(r"^(\d{1,2})[/-](\d{1,2})(?:[/-](?:\d{2}|\d{4}))?$")
_ISO = re.compile(r"^\d{4}-(\d{2})-(\d{2})(?: 00:00:00)?$")
# A day of the years 2000 to 2035, counted as spreadsheets do.
_SERIAL = re.compile(r"^\d{5}$")
_FIRST_SERIAL, _LAST_SERIAL = 36526, 49674
# RIKEN clone ids such as 2310009E13.
_SCIENTIFIC = re.compile(r"^\d(?:[.,]\d+)?E[+-]?\d+$", re.IGNORECASE)


# Above this number and share of five-digit names, they are identifiers rather than dates.
_MAX_SERIALS, _MAX_SERIAL_SHARE = 50, 0.05


def is_serial(name: str) -> bool:
    """Whether ``name`` could be a date stored as a spreadsheet's day number."""
    return _SERIAL.match(name) is not None and _FIRST_SERIAL <= int(name) <= _LAST_SERIAL


def serials_are_dates(names: Sequence[str], n_names: int | None = None) -> bool:
    """Whether the five-digit numbers among ``names`` are few enough to be damaged symbols.

    ``n_names`` counts all names where ``names`` are only those that may be numbers.
    """
    n_serial = sum(map(is_serial, names))
    n_names = len(names) if n_names is None else n_names
    return n_serial <= _MAX_SERIALS or n_serial <= _MAX_SERIAL_SHARE * n_names


def _month_days(name: str, *, serials: bool) -> list[tuple[int, int]]:
    if found := _NAMED.match(name):
        day, month = found[1] or found[4], (found[2] or found[3]).upper()
        return [(_MONTHS.index(month) + 1, int(day))] if month in _MONTHS else []
    if found := _ISO.match(name):
        return [(int(found[1]), int(found[2]))]
    if found := _NUMERIC.match(name):
        # Both orders are in use, so 9/3 may stand for the third of September or the ninth of March.
        first, second = int(found[1]), int(found[2])
        return sorted({(first, second), (second, first)})
    if serials and is_serial(name):
        day_zero = date(1899, 12, 30)
        when = day_zero + timedelta(days=int(name))
        return [(when.month, when.day)]
    return []


def original_symbols(name: str, *, serials: bool = True) -> list[str] | None:
    """
    List symbols that a spreadsheet may have turned into ``name``.

    Parameters
    ----------
    name
        A gene name as found in a file.
    serials
        Whether a five-digit number may be a date. Switch off where names are Entrez ids.

    Returns
    -------
    Spellings to look up, possibly none, or ``None`` when ``name`` does not look damaged.
    """
    dates = _month_days(name, serials=serials)
    dates = [(month, day) for month, day in dates if 1 <= month <= 12 and 1 <= day <= 31]
    if dates:
        return [f"{prefix}{day}" for month, day in dates for prefix in _PREFIXES.get(month, ())]
    return [] if _SCIENTIFIC.match(name) else None
