"""Ask whether genes matter more to one disease than to other lineages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from dtp_scvi import __version__
from dtp_scvi._constants import ESSENTIALITY_KEY, REPORT_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_positive_int
from dtp_scvi.tl._essentiality_input import (
    as_effect,
    common_genes,
    group_lines,
    is_summary,
    mean_expression,
    resolve_genes,
)
from dtp_scvi.tl._essentiality_set import STATISTIC, compare_set, usable_genes
from dtp_scvi.tl._essentiality_table import COLUMNS, intervals, of_lines, of_summary

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from anndata import AnnData

    from dtp_scvi.tl._essentiality_input import Lines


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
        effect in the other lineages by fifths of its standard deviation between them (fewer
        where genes are few: :func:`dtp_scvi.stats.matching_bins`).
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
    numbers = {"min_lines": min_lines, "n_boot": n_boot, "n_permutations": n_permutations}
    for name, number in numbers.items():
        check_positive_int(number, name)
    effect, obs, simulated = as_effect(gene_effect)
    summary = is_summary(effect)
    available = effect.index if summary else effect.columns
    asked = {"there": list(available), "missing": [], "unmatched": [], "damaged": []}
    if genes is not None:
        asked = resolve_genes(genes, available)
    common = common_genes(common_essential, available)
    params: dict[str, Any] = {}
    if summary:
        table, matching = of_summary(effect, common, expression)
        spread = pd.Series(np.nan, index=available)
    else:
        lines = group_lines(effect, obs if models is None else models, disease, min_lines)
        table, spread = of_lines(lines, dependency, common, min_lines)
        table[["low", "high"]] = intervals(lines, asked["there"], min_lines, n_boot, seed)
        matching = mean_expression(expression, lines.inside.index, available)
        params = _about_lines(lines, dependency)
    table["in_set"] = table.index.isin(asked["there"]) & (genes is not None)
    tested: dict[str, Any] = {}
    if genes is not None:
        pool = (table, spread, matching, effect)
        tested = compare_set(*pool, summary=summary, n_permutations=n_permutations, seed=seed)
    table["in_set"] &= usable_genes(table, matching, summary=summary)
    table = table.loc[asked["there"]]
    table["q"] = _false_discovery(table["p"])
    table = table.sort_values(STATISTIC[summary], kind="stable")[list(COLUMNS)]
    params |= {
        "disease": disease,
        "summary": summary,
        "min_lines": min_lines,
        "n_boot": n_boot,
        "seed": -1 if seed is None else seed,
        "common_essential": "list" if common is not None else "share of dependent lines",
        "simulated": simulated,
    }
    lost = {name: asked[name] for name in ("missing", "unmatched", "damaged")}
    table.attrs = {ESSENTIALITY_KEY: {"set": tested, "params": params | _origin(effect), **lost}}
    return table


def _origin(effect: pd.DataFrame) -> dict[str, str]:
    report = effect.attrs[REPORT_KEY]
    return {
        "file": str(report["file"]),
        "release": str(report["release"]),
        "version": __version__,
    }


def _about_lines(lines: Lines, dependency: Any) -> dict[str, Any]:
    return {
        "n_lines_unknown": lines.unknown,
        "n_lines_same_lineage": lines.same_lineage,
        "compared_with": "other diseases" if lines.by_disease else "other lineages",
        "dependent": "probability > 0.5" if dependency is not None else "effect < -0.5",
    }


def _false_discovery(p: pd.Series) -> pd.Series:
    known = p.notna()
    q = pd.Series(np.nan, index=p.index)
    if known.any():
        q[known] = false_discovery_control(p[known].to_numpy())
    return q
