"""Collect what was lost on the way, and why, in a table that a file can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

_COLUMNS = ("table", "id", "rows", "outcome", "reason")


class Report:
    """Rows that were dropped, or kept with a remark; one line each, in the order of reading."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, str, int, str, str]] = []

    def add(
        self,
        table: str,
        ids: Iterable[object],
        reason: str,
        *,
        outcome: Literal["dropped", "kept"] = "dropped",
    ) -> None:
        """Note ``reason`` for each of ``ids``; rows that share an id are counted."""
        counts: dict[str, int] = {}
        for name in map(str, ids):
            counts[name] = counts.get(name, 0) + 1
        self._lines += [(table, name, n, outcome, reason) for name, n in counts.items()]

    def extend(self, frame: pd.DataFrame) -> None:
        """Take over the lines of another report."""
        self._lines += list(frame.loc[:, list(_COLUMNS)].itertuples(index=False, name=None))

    def frame(self) -> pd.DataFrame:
        """Return ``table``, ``id``, ``rows``, ``outcome`` and ``reason``, a line a row."""
        lines = pd.DataFrame(self._lines, columns=list(_COLUMNS))
        lines = lines.astype({name: object for name in _COLUMNS if name != "rows"})
        return lines.astype({"rows": "int64"}).set_index(lines.index.astype(str))
