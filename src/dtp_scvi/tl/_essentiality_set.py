"""Whether a set of genes is more essential than random sets of the same make-up."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi._constants import REPORT_KEY
from dtp_scvi.stats import matched_set_test, matching_bins

if TYPE_CHECKING:
    import pandas as pd

# Of two columns, fifths of each; of one, the tenths that are the default.
_GRID: Final = 5
# What is averaged over the set: of lines, and of a summary.
STATISTIC: Final = {False: "difference", True: "effect_mean"}


def usable_genes(table: pd.DataFrame, matching: pd.Series | None, *, summary: bool) -> pd.Series:
    """Tell which genes random sets are drawn from."""
    usable = ~table["is_common_essential"] & table[STATISTIC[summary]].notna()
    return usable if matching is None else usable & matching.notna()


def compare_set(
    table: pd.DataFrame,
    spread: pd.Series,
    matching: pd.Series | None,
    effect: pd.DataFrame,
    *,
    summary: bool,
    n_permutations: int,
    seed: int | None,
) -> dict[str, Any]:
    """Compare the genes ``in_set`` with matched random sets, and say what with."""
    usable = usable_genes(table, matching, summary=summary)
    pool = table[usable]
    bins, matched_on = _bins(pool, spread, matching, summary=summary)
    left_out = int((table["in_set"] & ~usable).sum())
    about = _about(effect, matched_on, left_out, summary=summary)
    return about | _test_set(pool, bins, STATISTIC[summary], n_permutations, seed)


def _bins(
    pool: pd.DataFrame, spread: pd.Series, matching: pd.Series | None, *, summary: bool
) -> tuple[np.ndarray, str]:
    """Return the bins within which random sets are drawn, and what they are made of."""
    if matching is not None:
        return matching_bins([matching[pool.index]]), "mean expression"
    if summary:
        return np.zeros(len(pool), np.intp), "nothing"
    columns = [pool["effect_others"], spread[pool.index]]
    said = "mean effect in other lineages and its standard deviation"
    return matching_bins(columns, most=_GRID), said


def _about(
    effect: pd.DataFrame, matched_on: str, left_out: int, *, summary: bool
) -> dict[str, Any]:
    """Say what the set's test is about."""
    notes = []
    if left_out:
        notes.append(
            f"{left_out} of the set's genes left out: common essential, or without a value"
        )
    background = "the genes of gene_effect that were tested"
    if summary:
        background = str(effect.attrs[REPORT_KEY].get("background", "the table's own genes"))
        notes.append("effect in the disease, not selectivity: there are no other lineages")
    return {
        "statistic": f"mean {STATISTIC[summary]}",
        "background": f"{background}, without common essential ones",
        "matched_on": matched_on,
        "selective": not summary,
        "alternative": "less",
        "note": "; ".join(notes),
    }


def _test_set(
    pool: pd.DataFrame, bins: np.ndarray, statistic: str, n_permutations: int, seed: int | None
) -> dict[str, Any]:
    """Compare the set with matched random sets."""
    if not pool["in_set"].any():
        return {"n": 0, "p": float("nan"), "note": "no gene of the set can be tested"}
    test = matched_set_test(
        pool[statistic], pool["in_set"], bins, n_permutations=n_permutations, seed=seed
    )
    found: dict[str, Any] = asdict(test)
    if test.n == 1:
        found["note"] = "a set of one gene: the test is the gene's place in its bin"
    return found
