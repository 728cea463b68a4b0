"""Attention to genes over independent units, and between two groups of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import ttest_ind

from dtp_scvi._constants import CONTROL_KEY
from dtp_scvi._labels import text_column
from dtp_scvi._validate import check_key, problem, shorten
from dtp_scvi.tl._enrichment_null import false_discovery

if TYPE_CHECKING:
    from anndata import AnnData

# Of fewer units a variance says next to nothing.
_FEWEST: Final = 3
_QUANTILES: Final = {"q10": 0.1, "q25": 0.25, "median": 0.5, "q75": 0.75, "q90": 0.9}


def units_of(adata: AnnData, unit_key: str | None) -> np.ndarray:
    """Return the unit of each row: a column, or which rows share a control profile."""
    if unit_key is not None:
        return text_column(adata.obs, unit_key, "unit_key")
    check_key(adata.obsm, CONTROL_KEY, "adata.obsm", "the paired controls")
    controls = np.ascontiguousarray(adata.obsm[CONTROL_KEY])
    codes = pd.factorize(pd.Series([row.tobytes() for row in controls]))[0]
    return np.array([f"control {code}" for code in codes])


def summary(found: pd.DataFrame, units: np.ndarray) -> pd.DataFrame:
    """Return mean and spread of each gene over units, largest mean first.

    Parameters
    ----------
    found
        Rows x genes.
    units
        Unit of each row.
    """
    means = found.groupby(units).mean().astype(np.float64)
    table = pd.DataFrame({"mean": means.mean(), "sd": means.std()})
    for name, share in _QUANTILES.items():
        table[name] = means.quantile(share)
    return table.sort_values("mean", ascending=False, kind="stable")


def compare_groups(
    found: pd.DataFrame, units: np.ndarray, labels: np.ndarray, groups: tuple[str, str]
) -> tuple[pd.DataFrame, tuple[int, int]]:
    """Return Welch's test of each gene between two groups, corrected, and their units.

    Parameters
    ----------
    found
        Rows x genes.
    units, labels
        Unit and group of each row.
    groups
        The groups, the first against the second.
    """
    means = [found[labels == name].groupby(units[labels == name]).mean() for name in groups]
    both = means[0].index.intersection(means[1].index)
    if len(both):
        msg = problem(
            f"units that are in one of the groups {shorten(groups)}",
            f"{len(both):,} in both ({shorten(both)})",
            "Attention to genes follows from the control alone: groups that share controls can't "
            "be compared.",
        )
        raise ValueError(msg)
    few = [name for name, table in zip(groups, means, strict=True) if len(table) < _FEWEST]
    if few:
        msg = problem(
            f"at least {_FEWEST} units in each group",
            f"fewer in {shorten(few)}",
            "Rows that share a control, or the value of `unit_key`, are one unit.",
        )
        raise ValueError(msg)
    first, second = (table.to_numpy(np.float64) for table in means)
    test = ttest_ind(first, second, equal_var=False)
    table = pd.DataFrame(
        {
            "mean_first": first.mean(axis=0),
            "mean_second": second.mean(axis=0),
            "log2_ratio": np.log2(first.mean(axis=0) / second.mean(axis=0)),
            "t": test.statistic,
            "p": test.pvalue,
            "q": false_discovery(np.asarray(test.pvalue, np.float64)),
        },
        index=found.columns,
    )
    return table, (len(first), len(second))
