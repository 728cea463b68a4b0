"""Hard filters of targets, each with how many genes it took and how many it knew nothing of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._validate import problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# A gene, its evidence, and whether that is known.
Step = tuple[str, str, "NDArray[np.bool_]", "NDArray[np.bool_]"]


@dataclass(frozen=True)
class Limits:
    """What a gene has to meet to be ranked; ``None`` asks for nothing."""

    surface_tier: str | None
    min_detected: float | None
    min_abundance: float | None
    max_normal: float | None

    def numbers(self) -> dict[str, float | None]:
        """The limits that are numbers, by name."""
        return {name: value for name, value in vars(self).items() if name != "surface_tier"}


def apply_filters(table: pd.DataFrame, limits: Limits) -> tuple[NDArray[np.object_], pd.DataFrame]:
    """
    Return, for each gene, the first filter that removed it (empty where none), and a record.

    A filter asks for evidence: a gene that a table does not know is removed as well, and counted
    apart as ``unknown``.
    """
    removed_by = np.full(len(table), "", dtype=object)
    record = []
    for name, rule, passes, known in _steps(table, limits):
        left = removed_by == ""
        fails = left & ~(passes & known)
        removed_by[fails] = name
        record.append(
            {
                "filter": name,
                "rule": rule,
                "removed": int(fails.sum()),
                "unknown": int((fails & ~known).sum()),
                "left": int((removed_by == "").sum()),
            }
        )
    frame = pd.DataFrame(record, columns=["filter", "rule", "removed", "unknown", "left"])
    if not (removed_by == "").any():
        took = "; ".join(f"{row['filter']} removed {row['removed']:,}" for row in record)
        msg = problem(
            "a gene that passes the filters", f"none of {len(table):,} ({took})", "Loosen one."
        )
        raise ValueError(msg)
    return removed_by, frame


def _steps(table: pd.DataFrame, limits: Limits) -> Iterator[Step]:
    if limits.surface_tier is not None:
        column = table[f"surface_{limits.surface_tier}"]
        passes = column.fillna(False).to_numpy(dtype=bool)  # noqa: FBT003
        yield "surface", f"{limits.surface_tier} tier", passes, column.notna().to_numpy()
    for name, least, column in (
        ("detected", limits.min_detected, table["share_detected"]),
        ("abundance", limits.min_abundance, table["abundance"]),
    ):
        if least is not None and column.notna().any():
            yield name, f"{column.name} >= {least:g}", *_known(column >= least, column)
    if limits.max_normal is not None:
        column = table["normal_max"]
        rule = f"normal_max <= {limits.max_normal:g}"
        yield "normal", rule, *_known(column <= limits.max_normal, column)


def _known(
    passes: pd.Series[Any], column: pd.Series[Any]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return passes.to_numpy(dtype=bool), column.notna().to_numpy()
