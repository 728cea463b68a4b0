"""Ask whether genes matter more to one disease than to other lineages."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from dtp_scvi import __version__
from dtp_scvi._constants import ESSENTIALITY_KEY, REPORT_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_positive_int, problem
from dtp_scvi.datasets import read_depmap_effect
from dtp_scvi.stats import matched_set_test, quantile_bins, selective_effect
from dtp_scvi.tl._essentiality_input import (
    as_effect,
    common_genes,
    group_lines,
    is_summary,
    mean_expression,
    resolve_genes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from anndata import AnnData

    from dtp_scvi.tl._essentiality_input import Lines

# A line depends on a gene above this probability, or below this effect where no table of
# probabilities is given.
_DEPENDENT: Final = 0.5
_EFFECT: Final = -0.5
# Without a list: a gene that at least this share of the lines of the mean lineage depends on.
_COMMON_SHARE: Final = 0.9
_EXPRESSION_BINS: Final = 10
_GRID: Final = 5
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


@docs.dedent
def essentiality(
    genes: Iterable[str] | pd.DataFrame | None,
    gene_effect: pd.DataFrame | AnnData | str | Path,
    models: pd.DataFrame | str | Path | None = None,
    *,
    disease: str = "Acute Myeloid Leukemia",
    dependency: pd.DataFrame | str | Path | None = None,
    common_essential: Iterable[str] | pd.DataFrame | str | Path | None = None,
    expression: pd.Series | pd.DataFrame | str | Path | None = None,
    min_lines: int = 3,
    n_boot: int = 1000,
    n_permutations: int = 2000,
    seed: int | None = 0,
) -> pd.DataFrame:
    """
    Test which genes cell lines of one disease depend on more than other lineages do.

    The mean effect in the disease is compared to the mean of the other *lineages*, each of which
    counts once, however many lines it has. Lines of the disease's own lineage with another
    diagnosis (for AML, those of chronic leukaemia) are in neither group. Of the genes together it
    is asked whether they are more selectively essential than random sets of the same size.

    Parameters
    ----------
    genes
        Gene symbols of any vintage, or a table indexed by them; ``None`` takes all genes of
        ``gene_effect``, and then there is no test of the set.
    gene_effect
        What :func:`dtp_scvi.datasets.read_depmap_effect` reads, or what it returned: models x
        genes, negative is a dependency; an AnnData like that, with ``obs["disease"]`` and
        ``obs["lineage"]``; or the table of :func:`dtp_scvi.datasets.read_depmap_summary`.
    models
        DepMap's ``Model.csv``, or what :func:`dtp_scvi.datasets.read_depmap_models` returned.
    disease
        The disease, by equality: ``"Myeloid"`` matches nothing but that.
    dependency
        ``CRISPRGeneDependency.csv``: a line depends on a gene above a probability of 0.5. Without
        it, below an effect of -0.5.
    common_essential
        Genes that all lines need: names, a table of :func:`dtp_scvi.datasets.read_gene_list`, or
        the path of a list. Without it, genes that at least 90 % of the lines of the mean lineage
        depend on.
    expression
        Mean expression by gene (a Series), or lines x genes, of which the disease's lines are
        averaged. Random sets are then matched on its tenths; without it, on fifths of the mean
        effect in the other lineages by fifths of its standard deviation between them.
    min_lines
        Lines with a value that the disease and each lineage has to have for a gene.
    n_boot
        Resamples behind each interval: of the disease's lines, and of whole lineages.
    n_permutations
        Random sets behind the p of the set.
    %(seed)s

    Returns
    -------
    One gene a row, indexed by approved symbol, most selective first:

    ``effect_mean``, ``effect_median``, ``n_lines``
        In the disease.
    ``effect_others``, ``n_other_lines``, ``n_other_lineages``
        Mean over the other lineages of their means, and on how many it rests.
    ``difference``, ``low``, ``high``
        Disease minus others; negative is selective. 95 % bootstrap interval.
    ``p``, ``q``
        Welch's t test of the disease's lines against the lineages' means, two-sided, and
        Benjamini-Hochberg's false discovery rate over the genes tested.
    ``share_dependent``, ``share_dependent_others``
        Share of the disease's lines that depend on the gene; mean of the other lineages' shares.
    ``is_common_essential``
        All lineages need it: look at these apart.
    ``in_set``
        Whether it takes part in the test of the set.
    ``reason``
        Why a gene was not tested, or empty.

    Nothing is written. ``attrs["dtp_essentiality"]`` holds ``"set"``, the test of the set
    (``observed``, ``expected``, ``low``, ``high``, ``p``, ``z``, ``n``, ``n_background``,
    ``fewest_per_member``, ``n_permutations``, ``statistic``, ``background``, ``matched_on``,
    ``selective``, ``note``; empty without one), ``"params"``, and what became of ``genes``:
    ``"missing"``, ``"unmatched"`` and ``"damaged"``.

    Raises
    ------
    ValueError
        When no gene is found, fewer than ``min_lines`` lines have the disease (near matches are
        named), there is nothing to compare them to, or the table lies on its side.

    Notes
    -----
    The set is tested on the mean difference of its genes that are not common essential, against
    sets that take as many genes from each bin of all such genes of ``gene_effect``, one-sided.

    A summary has no other lineages. Its genes get no difference and no p; their set is tested on
    the mean effect in the disease against the table's own genes, which were chosen by somebody
    (``selective`` is false, and ``background`` says what they are).

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> screen = dtp.datasets.simulate_dependencies(200, n_selective=10, n_common=20)
    >>> planted = screen.var_names[screen.var["true_role"] == "selective"]
    >>> table = dtp.tl.essentiality(planted, screen, n_boot=100, n_permutations=200)
    >>> bool((table["q"] < 0.05).all()), table.attrs["dtp_essentiality"]["set"]["p"] < 0.01
    (True, True)
    """
    for number, name in ((min_lines, "min_lines"), (n_boot, "n_boot")):
        check_positive_int(number, name)
    check_positive_int(n_permutations, "n_permutations")
    effect, obs, simulated = as_effect(gene_effect)
    summary = is_summary(effect)
    available = effect.index if summary else effect.columns
    asked = {"there": list(available), "missing": [], "unmatched": [], "damaged": []}
    if genes is not None:
        asked = resolve_genes(genes, available)
    common = common_genes(common_essential, available)
    params: dict[str, Any] = {}
    if summary:
        table, matching = _of_summary(effect, common, expression)
        spread = pd.Series(np.nan, index=available)
    else:
        lines = group_lines(effect, obs if models is None else models, disease, min_lines)
        table, spread = _of_lines(lines, dependency, common, min_lines)
        table[["low", "high"]] = _intervals(lines, asked["there"], min_lines, n_boot, seed)
        matching = mean_expression(expression, lines.inside.index, available)
        params = {
            "n_lines_unknown": lines.unknown,
            "n_lines_same_lineage": lines.same_lineage,
            "compared_with": "other diseases" if lines.by_disease else "other lineages",
            "dependent": "probability > 0.5" if dependency is not None else "effect < -0.5",
        }
    table["in_set"] = table.index.isin(asked["there"]) & (genes is not None)
    usable = ~table["is_common_essential"] & table[_STATISTIC[summary]].notna()
    if matching is not None:
        usable &= matching.notna()
    tested: dict[str, Any] = {}
    if genes is not None:
        bins, matched_on = _bins(table[usable], spread, matching, summary=summary)
        left_out = int((table["in_set"] & ~usable).sum())
        tested = _about(effect, matched_on, left_out, summary=summary)
        tested |= _test_set(table[usable], bins, _STATISTIC[summary], n_permutations, seed)
    table["in_set"] &= usable
    table = table.loc[asked["there"]]
    table["q"] = _false_discovery(table["p"])
    by = "difference" if not summary else "effect_mean"
    table = table.sort_values(by, kind="stable")[list(COLUMNS)]
    table.attrs = {
        ESSENTIALITY_KEY: {
            "set": tested,
            "params": params
            | {
                "disease": disease,
                "summary": summary,
                "min_lines": min_lines,
                "n_boot": n_boot,
                "seed": -1 if seed is None else seed,
                "common_essential": "list" if common is not None else "share of dependent lines",
                "simulated": simulated,
                "file": str(effect.attrs[REPORT_KEY]["file"]),
                "release": str(effect.attrs[REPORT_KEY]["release"]),
                "version": __version__,
            },
            **{name: asked[name] for name in ("missing", "unmatched", "damaged")},
        }
    }
    return table


_STATISTIC: Final = {False: "difference", True: "effect_mean"}


def _of_lines(
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


def _intervals(
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


def _of_summary(
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


def _bins(
    pool: pd.DataFrame, spread: pd.Series, matching: pd.Series | None, *, summary: bool
) -> tuple[np.ndarray, str]:
    """Return the bins within which random sets are drawn, and what they are made of."""
    if matching is not None:
        return quantile_bins([matching[pool.index]], _EXPRESSION_BINS), "mean expression"
    if summary:
        return np.zeros(len(pool), np.intp), "nothing"
    columns = [pool["effect_others"], spread[pool.index]]
    said = "mean effect in other lineages and its standard deviation"
    return quantile_bins(columns, _GRID), said


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
        "statistic": f"mean {_STATISTIC[summary]}",
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


def _false_discovery(p: pd.Series) -> pd.Series:
    known = p.notna()
    q = pd.Series(np.nan, index=p.index)
    if known.any():
        q[known] = false_discovery_control(p[known].to_numpy())
    return q
