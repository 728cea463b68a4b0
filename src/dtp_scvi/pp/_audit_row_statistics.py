"""Does one plain number of a row, such as its sum, give the label away?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi.pp._audit_table import Finding, grade
from dtp_scvi.stats import auroc, auroc_interval, standardised_difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dtp_scvi.pp._audit_input import AuditInput
    from dtp_scvi.pp._audit_rows import RowSummary

# Distance of an AUROC from 0.5: 0.75 deserves a look, 0.9 is a leak until shown otherwise.
GAP_NOTE, GAP_WARN = 0.25, 0.4
# Sums that agree to so many digits are the same; beyond them lies rounding of float32.
_DIGITS = 6
# Half of the rows sum to the same, to a thousandth: compositions, TPM, normalised counts.
_COMPOSITION = 1e-3

WORDS = {
    "total": "row sum",
    "linear_total": "row sum without the logarithm",
    "n_genes": "number of values above zero",
    "zero_share": "share of zeros",
    "sum_deviation": "distance of the row sum from its median",
    "linear_sum_deviation": "distance of the row sum without the logarithm from its median",
}


def row_statistics(rows: RowSummary, n_vars: int) -> dict[str, np.ndarray]:
    """Return numbers that any model can read off a row, by name, each (n_obs,)."""
    found = {"total": _rounded(rows.total)}
    if rows.linear_total is not None:
        found["linear_total"] = _rounded(rows.linear_total)
    found |= {"n_genes": rows.n_genes.astype(float), "zero_share": 1 - rows.n_genes / n_vars}
    for name, out in (("total", "sum_deviation"), ("linear_total", "linear_sum_deviation")):
        if name in found and _is_composition(found[name]):
            found[out] = np.abs(found[name] - np.median(found[name]))
    return found


def _rounded(total: np.ndarray) -> np.ndarray:
    unit = float(np.median(np.abs(total)))
    return total if unit == 0 else np.round(total / unit, _DIGITS) * unit


def _is_composition(total: np.ndarray) -> bool:
    low, middle, high = np.quantile(total, [0.25, 0.5, 0.75])
    return bool(middle > 0 and high - low < _COMPOSITION * middle and np.ptp(total) > 0)


def statistic_findings(
    given: AuditInput, found: Mapping[str, np.ndarray], *, n_boot: int, seed: int | None
) -> Iterator[Finding]:
    """Judge each statistic alone, over all rows."""
    for name, values in found.items():
        value, low, high = auroc_interval(
            given.is_positive, values, given.clusters, n_boot=n_boot, seed=seed
        )
        verdict = grade(abs(value - 0.5), GAP_NOTE, GAP_WARN)
        text = f"The {WORDS[name]} alone tells {given.positive!r} from the rest with AUROC {value:.3f}."
        if verdict == "warn":
            text += " A model can read the label off it; find out where it comes from."
        yield Finding("row_statistic", name, value, given.n, verdict, text, low, high)
    for name, values in found.items():
        gap = standardised_difference(given.is_positive, values)
        text = f"The {WORDS[name]} of {given.positive!r} differs by {gap:.2f} standard deviations."
        yield Finding("standardised_difference", name, gap, given.n, "ok", text)


def within_findings(
    given: AuditInput, found: Mapping[str, np.ndarray], *, n_boot: int, seed: int | None
) -> Iterator[Finding]:
    """Judge the strongest statistic among rows of the same batch."""
    for column, levels in given.batches.items():
        usable = pd.Series(given.is_positive).groupby(levels).transform("nunique") == 2
        n = int(usable.sum())
        if n == 0:
            text = f"No level of {column!r} holds both classes: nothing can be compared within."
            yield Finding("within_batch_auroc", column, np.nan, 0, "note", text)
            continue
        each = {
            name: auroc(given.is_positive, values, strata=levels) for name, values in found.items()
        }
        best = max(each, key=lambda name: abs(each[name] - 0.5))
        value, low, high = auroc_interval(
            given.is_positive,
            found[best],
            given.clusters,
            strata=levels,
            n_boot=n_boot,
            seed=seed,
        )
        verdict = grade(abs(value - 0.5), GAP_NOTE, GAP_WARN)
        text = (
            f"Within {column!r} ({n:,} rows in levels with both classes) the strongest plain "
            f"number is the {WORDS[best]}: AUROC {value:.3f}."
        )
        yield Finding("within_batch_auroc", column, value, n, verdict, text, low, high)


def within_levels(given: AuditInput, found: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the AUROC of each statistic in each level that holds both classes."""
    rows = []
    for column, levels in given.batches.items():
        for level, at in pd.Series(np.arange(given.n)).groupby(levels):
            which = at.to_numpy()
            positive = given.is_positive[which]
            if positive.all() or not positive.any():
                continue
            rows += [
                (
                    column,
                    level,
                    name,
                    int(positive.sum()),
                    int((~positive).sum()),
                    auroc(positive, values[which]),
                )
                for name, values in found.items()
            ]
    names = ["column", "level", "statistic", "n_positive", "n_other", "auroc"]
    table = pd.DataFrame(rows, columns=names)
    table.index = table.index.astype(str)
    return table
