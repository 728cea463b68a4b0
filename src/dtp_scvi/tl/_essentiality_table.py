"""Effects gene by gene, of lines and of summaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi._constants import REPORT_KEY
from dtp_scvi._validate import problem
from dtp_scvi.datasets import read_depmap_effect
from dtp_scvi.stats import selective_effect
from dtp_scvi.tl._essentiality_input import mean_expression

if TYPE_CHECKING:
    from dtp_scvi.tl._essentiality_input import Lines

# A line depends on a gene above this probability, or below this effect where no table of
# probabilities is given.
_DEPENDENT: Final = 0.5
_EFFECT: Final = -0.5
# Without a list: a gene that at least this share of the lines of the mean lineage depends on.
_COMMON_SHARE: Final = 0.9
COLUMNS: Final = (
    "effect_mean",
    "effect_median",
    "n_lines",
    "effect_others",
    "n_other_lines",
    "n_other_lineages",
    "difference",
    "low",
    "high",
    "p",
    "q",
    "share_dependent",
    "share_dependent_others",
    "is_common_essential",
    "in_set",
    "reason",
)


def of_lines(
    lines: Lines, dependency: Any, common: set[str] | None, min_lines: int
) -> tuple[pd.DataFrame, pd.Series]:
    """Return the table of all genes, and the spread between lineages for the matching."""
    genes = lines.inside.columns
    found = selective_effect(
        lines.inside, lines.others, lines.lineage, min_lines=min_lines, n_boot=0
    ).set_index(genes)
    table = found.rename(
        columns={
            "mean": "effect_mean",
            "median": "effect_median",
            "n": "n_lines",
            "others": "effect_others",
            "n_others": "n_other_lines",
            "n_lineages": "n_other_lineages",
        }
    )
    inside, others = _dependent(lines.inside, dependency), _dependent(lines.others, dependency)
    table["share_dependent"] = inside.mean()
    table["share_dependent_others"] = others.groupby(lines.lineage).mean().mean()
    table["is_common_essential"] = _common(table["share_dependent_others"], common)
    few = table["difference"].isna()
    table["reason"] = np.where(few, "too few lines or lineages with a value", "")
    return table, table["others_sd"]


def intervals(
    lines: Lines, genes: list[str], min_lines: int, n_boot: int, seed: int | None
) -> pd.DataFrame:
    """Return intervals of the genes that were asked for; the background needs none."""
    found = selective_effect(
        lines.inside[genes],
        lines.others[genes],
        lines.lineage,
        min_lines=min_lines,
        n_boot=n_boot,
        seed=seed,
    ).set_index(pd.Index(genes))
    return found[["low", "high"]].reindex(lines.inside.columns)


def _dependent(effect: pd.DataFrame, dependency: Any) -> pd.DataFrame:
    """Return 1, 0 or NaN by line and gene."""
    if dependency is None:
        return (effect < _EFFECT).astype(np.float64).where(effect.notna())
    kind = ""
    if isinstance(dependency, pd.DataFrame):
        kind = str(dependency.attrs.get(REPORT_KEY, {}).get("kind", ""))
    table = dependency if kind == "depmap_dependency" else read_depmap_effect(dependency)
    if table.attrs[REPORT_KEY]["kind"] != "depmap_dependency":
        low, high = float(np.nanmin(table.to_numpy())), float(np.nanmax(table.to_numpy()))
        msg = problem(
            "`dependency` to hold probabilities",
            f"values from {low:.3g} to {high:.3g}",
            "Pass CRISPRGeneDependency.csv; gene effects are not probabilities.",
        )
        raise ValueError(msg)
    table = table.reindex(index=effect.index, columns=effect.columns)
    return (table > _DEPENDENT).astype(np.float64).where(table.notna())


def _common(share: pd.Series, common: set[str] | None) -> np.ndarray:
    if common is None:
        return (share >= _COMMON_SHARE).to_numpy()
    return np.asarray(share.index.isin(list(common)))


def of_summary(
    effect: pd.DataFrame, common: set[str] | None, expression: Any
) -> tuple[pd.DataFrame, pd.Series | None]:
    """Return what a summary can tell, and the expression to match on."""
    table = pd.DataFrame(np.nan, index=effect.index, columns=list(COLUMNS[:13]))
    for name in ("effect_mean", "effect_median", "n_lines", "share_dependent"):
        if name in effect:
            table[name] = effect[name]
    if "effect_mean" not in effect:
        table["effect_mean"] = table["effect_median"]
    if "share_dependent" not in effect and "share_below_minus_half" in effect:
        table["share_dependent"] = effect["share_below_minus_half"]
    table["n_other_lines"] = table["n_other_lineages"] = 0
    table["is_common_essential"] = table.index.isin(list(common or ()))
    table["reason"] = "a summary of one disease: nothing to compare it to"
    matching = mean_expression(expression, pd.Index([]), effect.index)
    if matching is None and "expression_mean" in effect:
        matching = effect["expression_mean"]
    return table, matching
