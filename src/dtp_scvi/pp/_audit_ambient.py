"""A note on genes of one class that leak at a constant low level into the cells of the other.

RNA that floats in the suspension is counted in every droplet, in proportion to the mix of the
batch. A marker of one class then appears in the other class (i) in as many cells as a constant
share of their counts predicts, and (ii) at a level that follows its abundance in the batch. Both
are the idea of SoupX (Young and Behjati 2020, GigaScience 9:giaa151), which estimates the
contamination from genes a cell type does not express; here the mix of the batch stands in for the
empty droplets, which a filtered matrix no longer has. A gene that both classes truly express, one
four times less, looks the same: hence a note, never more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.stats import rankdata

from dtp_scvi.pp._audit_rows import blocks_of
from dtp_scvi.pp._audit_table import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dtp_scvi.pp._audit_input import AuditInput
    from dtp_scvi.pp._audit_rows import RowSummary

SCALES: Final = ("counts", "corrected_counts")
MIN_ROWS: Final = 20
MIN_MARKERS: Final = 10
# A droplet holds fewer counts; bulk samples and plate-based cells, which share no soup, hold more.
MAX_DEPTH: Final = 200_000
_MAX_STRATA = 20
_MAX_MARKERS = 50
_FOLD = 4.0
_MIN_MEAN = 0.2
# Seen in at least this share of the cells that a constant level predicts.
_SPREAD = 0.8
_LEAST_LEVEL = 0.01
_FOLLOWS = 0.7
_COLUMNS = ("stratum", "marks", "n_markers", "n_ambient", "level", "follows")


class _Sums(NamedTuple):
    """Per group of rows: counts and detections per gene, number of rows."""

    counts: np.ndarray
    detected: np.ndarray
    n: np.ndarray


def ambient_table(given: AuditInput, rows: RowSummary) -> pd.DataFrame:
    """
    Measure, per batch and class, how its markers appear in the other class.

    Returns
    -------
    Columns stratum, marks (class whose markers are looked at), n_markers, n_ambient (those
    spread over the other class as a constant level is), level (their median level in the other
    class over that in the batch), follows (Spearman correlation of the two over the markers).
    Empty unless the values are counts of droplets and a batch holds both classes.
    """
    names, code = _strata(given) if _why_not(given, rows) is None else ([], np.zeros(0))
    found = []
    if len(names):
        sums = _sum_groups(given, code, len(names))
        for i, name in enumerate(names):
            for marks in (0, 1):
                mark, other = 2 * i + marks, 2 * i + 1 - marks
                depth = rows.total[code == other]
                label = given.positive if marks else f"not {given.positive}"
                found.append((name, label, *_compare(sums, mark, other, depth)))
    table = pd.DataFrame(found, columns=list(_COLUMNS))
    table.index = table.index.astype(str)
    return table


def ambient_findings(
    given: AuditInput, rows: RowSummary, table: pd.DataFrame
) -> Iterator[Finding]:
    """Word what the table says, one row per class."""
    if table.empty:
        reason = _why_not(given, rows) or f"no batch has {MIN_ROWS} rows of either class"
        text = f"Ambient RNA was not looked for: {reason}."
        yield Finding("ambient_genes", "all", np.nan, 0, "note", text)
        return
    for name, part in table.groupby("marks", sort=True):
        n, n_ambient = int(part["n_markers"].sum()), int(part["n_ambient"].sum())
        share = n_ambient / n if n else 0.0
        seen = part[(part["follows"] >= _FOLLOWS) & (part["n_ambient"] >= MIN_MARKERS)]
        verdict: Verdict = "note" if len(seen) and share >= 0.5 else "ok"
        text = f"{n_ambient:,} of {n:,} genes that mark {name!r} lie evenly over the other cells"
        if verdict == "note":
            level = float(seen["level"].median())
            text += (
                f", at {level:.0%} of their level in the batch and in step with it, as ambient "
                "RNA does. Such genes tell batches apart rather than cells."
            )
        yield Finding("ambient_genes", str(name), share, n, verdict, text.rstrip(".") + ".")


def _why_not(given: AuditInput, rows: RowSummary) -> str | None:
    if given.scale not in SCALES:
        return f"it needs counts, and these are {given.scale}"
    depth = float(np.median(rows.total))
    if depth > MAX_DEPTH:
        return f"with a median of {depth:,.0f} counts rows look like bulk, not droplets"
    return None


def _strata(given: AuditInput) -> tuple[list[str], np.ndarray]:
    """Return batches with both classes, and 2 x batch + class of each row, -1 for the others."""
    code = np.full(given.n, -1, np.int64)
    columns = given.batches or given.columns
    levels = pd.Series([" / ".join(parts) for parts in zip(*columns.values(), strict=True)])
    if not columns:
        levels = pd.Series(np.full(given.n, "all rows"))
    counts = pd.crosstab(levels, given.is_positive)
    usable = counts[(counts >= MIN_ROWS).all(axis=1)].sum(axis=1)
    names = list(usable.sort_values(ascending=False, kind="stable").index[:_MAX_STRATA])
    place = pd.Index(names).get_indexer(levels)
    code[place >= 0] = 2 * place[place >= 0] + given.is_positive[place >= 0]
    return [str(name) for name in names], code


def _sum_groups(given: AuditInput, code: np.ndarray, n_strata: int) -> _Sums:
    shape = (2 * n_strata, int(given.matrix.shape[1]))
    counts, detected = np.zeros(shape), np.zeros(shape)
    start = 0
    for block in blocks_of(given):
        here = code[start : start + block.shape[0]]
        start += block.shape[0]
        use = np.flatnonzero(here >= 0)
        belongs = sp.csr_matrix((np.ones(use.size), (here[use], use)), (shape[0], len(here)))
        counts += (belongs @ block).toarray()
        detected += (belongs @ (block > 0)).toarray()
    return _Sums(counts, detected, np.bincount(code[code >= 0], minlength=shape[0]))


def _compare(
    sums: _Sums, mark: int, other: int, depth: np.ndarray
) -> tuple[int, int, float, float]:
    """Return markers, those that look ambient, their level, and how it follows the batch."""
    own = sums.counts[mark] / max(1.0, sums.counts[mark].sum())
    level = sums.counts[other] / max(1.0, sums.counts[other].sum())
    batch = (sums.counts[mark] + sums.counts[other]) / sums.counts[[mark, other]].sum()
    marking = (own > _FOLD * level) & (sums.counts[mark] > _MIN_MEAN * sums.n[mark])
    markers = np.flatnonzero(marking)
    markers = markers[np.argsort(level[markers] - own[markers], kind="stable")][:_MAX_MARKERS]
    if not markers.size:
        return 0, 0, np.nan, np.nan
    # Evenly spaced quantiles stand for the cells, so that memory is bounded.
    depths = np.quantile(depth, (np.arange(200) + 0.5) / 200)
    expected = 1 - np.exp(-np.outer(level[markers], depths)).mean(axis=1)
    observed = sums.detected[other, markers] / sums.n[other]
    ratio = level[markers] / batch[markers]
    even = (observed >= _SPREAD * expected) & (ratio >= _LEAST_LEVEL)
    n_even = int(even.sum())
    if n_even < MIN_MARKERS:
        return len(markers), n_even, np.nan, np.nan
    ranks = [rankdata(values[markers[even]]) for values in (level, batch)]
    spread = min(np.ptp(rank) for rank in ranks)
    follows = float(np.corrcoef(*ranks)[0, 1]) if spread > 0 else np.nan
    return len(markers), n_even, float(np.median(ratio[even])), follows
