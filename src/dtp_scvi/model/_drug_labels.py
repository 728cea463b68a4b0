"""Labels of one drug on bulk lines, checked against the IC50 where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_key, near_matches, problem, shorten

if TYPE_CHECKING:
    from anndata import AnnData

RESISTANT: Final = "resistant"
SENSITIVE: Final = "sensitive"
_NAMES: Final[dict[Any, str]] = {
    RESISTANT: RESISTANT,
    SENSITIVE: SENSITIVE,
    1: RESISTANT,
    0: SENSITIVE,
}
# Medians of fewer lines are single lines.
_FEWEST = 3


@dataclass(frozen=True)
class DrugLabels:
    """Rows with a label of one drug."""

    rows: np.ndarray
    """Positions, ascending."""
    labels: np.ndarray
    """``"resistant"`` or ``"sensitive"``, (n_rows,)."""
    n_unlabelled: int
    """Rows without a label, which are left out."""
    polarity_checked: bool
    """Whether the labels were compared with the IC50."""


def read_drug_labels(
    adata: AnnData, drug: str, labels_key: str, ic50_key: str | None
) -> DrugLabels:
    """Read the labels of a drug; raise where they can't be what they are called.

    Parameters
    ----------
    adata
        Lines in rows.
    drug
        Column of ``adata.obsm[labels_key]``.
    labels_key
        Table of ``"resistant"`` and ``"sensitive"``, or of 1 and 0; NaN where nothing is known.
    ic50_key
        Table of IC50 or of its logarithm, the drug's column of which is looked at if it is there.

    Raises
    ------
    KeyError
        When there is no such table or drug.
    ValueError
        When labels are unknown, of one class, or the wrong way round.
    """
    check_key(adata.obsm, labels_key, "adata.obsm", "labels_key")
    table = adata.obsm[labels_key]
    if not isinstance(table, pd.DataFrame):
        msg = problem(
            f"a data frame of lines x drugs in adata.obsm[{labels_key!r}]",
            type(table).__name__,
            "Name its columns after the drugs.",
        )
        raise ValueError(msg)
    if drug not in table:
        msg = problem(
            f"`drug` to name a column of adata.obsm[{labels_key!r}]",
            repr(drug),
            near_matches(drug, table.columns),
        )
        raise KeyError(msg)
    column = table[drug]
    given = column.notna().to_numpy()
    labels = _named(column[given], drug)
    counts = pd.Series(labels).value_counts()
    if len(counts) < 2:
        found = "no label" if counts.empty else f"{int(counts.iloc[0]):,} {counts.index[0]}"
        msg = problem(
            f"resistant and sensitive lines for {drug}",
            f"{found} and {int((~given).sum()):,} without a label",
            "Choose another drug, or other lines.",
        )
        raise ValueError(msg)
    checked = ic50_key is not None and _check_polarity(adata, drug, given, labels, ic50_key)
    return DrugLabels(np.flatnonzero(given), labels, int((~given).sum()), checked)


def _named(column: pd.Series, drug: str) -> np.ndarray:
    values = column.to_numpy(dtype=object)
    unknown = [value for value in pd.unique(values) if value not in _NAMES]
    if unknown:
        msg = problem(
            f"labels of {drug} to be {RESISTANT!r} or {SENSITIVE!r} (or 1 and 0), NaN where unknown",
            shorten(unknown),
            "Rename them.",
        )
        raise ValueError(msg)
    return np.array([_NAMES[value] for value in values], dtype=object).astype(str)


def _check_polarity(
    adata: AnnData, drug: str, given: np.ndarray, labels: np.ndarray, ic50_key: str
) -> bool:
    """Raise where resistant lines need less of the drug than sensitive ones."""
    table = adata.obsm.get(ic50_key)
    if not isinstance(table, pd.DataFrame) or drug not in table:
        return False
    ic50 = table[drug].to_numpy(dtype=float)[given]
    known = np.isfinite(ic50)
    values = {name: ic50[known & (labels == name)] for name in (RESISTANT, SENSITIVE)}
    if min(map(len, values.values())) < _FEWEST:
        return False
    high, low = (float(np.median(values[name])) for name in (RESISTANT, SENSITIVE))
    if high < low:
        msg = problem(
            f"resistant lines to have the higher IC50 of {drug}",
            f"a median of {high:.3g} in resistant and of {low:.3g} in sensitive lines: the "
            "polarity of the labels is the wrong way round",
            f"Swap the labels, or pass ic50_key=None if adata.obsm[{ic50_key!r}] is at fault.",
        )
        raise ValueError(msg)
    return True
