"""Ask whether a ranking finds targets that are known from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi import __version__
from dtp_scvi._constants import TARGET_RECOVERY_KEY, TARGETS_KEY, TARGETS_RESEARCH_USE
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_key, check_positive_int, problem, shorten
from dtp_scvi.data import SymbolResolver
from dtp_scvi.stats import matched_draws, matching_bins, within_list_quantiles
from dtp_scvi.tl._target_ranks import ranks_of
from dtp_scvi.tl._target_tests import curve, matched, top_list, with_draws

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Surface proteins that antibodies or engineered cells were aimed at in trials of AML. Fixed before
# any ranking was looked at, and read by nothing but the recovery test.
CONTROLS: Final = (
    "FLT3",
    "CD33",
    "IL3RA",
    "CLEC12A",
    "CD47",
    "CD38",
    "CD70",
    "HAVCR2",
    "IL1RAP",
    "LILRB4",
)
RANKED: Final = "ranked"
_HIGH_IS_GOOD: Final = ("quantile_", "score", "association", "abundance", "log2_ratio_")
_COLUMNS: Final = (
    *("test", "k", "value", "value_low", "value_high", "expected", "null_low", "null_high"),
    *("p", "p_low", "p_high", "n_controls", "n_genes", "note"),
)


@docs.dedent
def target_recovery(
    adata: AnnData | pd.DataFrame,
    *,
    controls: Iterable[str] = CONTROLS,
    universe: Iterable[str] | None = None,
    match_on: Sequence[str] = ("abundance",),
    by: str = "rank",
    top: Sequence[int] = (10, 25, 50, 100),
    n_random: int = 2000,
    min_controls: int = 3,
    seed: int | None = 0,
    key: str = TARGETS_KEY,
    key_added: str = TARGET_RECOVERY_KEY,
) -> dict[str, Any]:
    """
    Test whether known targets are ranked higher than matched random genes.

    Parameters
    ----------
    adata
        AnnData that :func:`~dtp_scvi.tl.rank_targets` wrote to, or the table that it returned.
    controls
        Names of known targets, of any vintage; by default FLT3, CD33, IL3RA (CD123), CLEC12A,
        CD47, CD38, CD70, HAVCR2 (TIM-3), IL1RAP and LILRB4, at which antibodies or engineered
        cells were aimed in trials of AML.
    universe
        Genes to rank among, such as those of a panel; by default all candidates.
    match_on
        Columns of the table that random genes share with the controls, by quantile; empty for
        plain random genes.
    by
        Column that ranks: ``"rank"``, ``"rra_rank"``, ``"rank_without_<component>"``
        or ``"quantile_<component>"``. Genes without a value there are left out.
    top
        Lengths of the top lists. Fix them before you look: their p are not adjusted.
    n_random
        Number of matched random sets.
    min_controls
        Controls that have to be ranked; with fewer nothing is tested.
    %(seed)s
    key
        The ``key_added`` of :func:`~dtp_scvi.tl.rank_targets`.
    key_added
        Key of ``adata.uns`` under which the result is written, where an AnnData is given.

    Returns
    -------
    A dictionary of

    ``"table"``
        One test a row. ``matched_genes``: ``value``, the mean percentile of the controls (1 is the
        top, 0.5 is chance), against sets of genes matched on ``match_on``. ``shuffled_score``: the
        same against rankings with shuffled scores (with an AnnData, and ``by="rank"``).
        ``top_<k>``: how many controls are among the first ``k``, hypergeometric. With
        ``expected``, the middle 95 % of the null (``null_low``, ``null_high``), one-sided ``p``
        and, where it is counted, the 95 % interval of it (``p_low``, ``p_high``); ``value_low``
        and ``value_high`` are the 95 % interval of the value over resamples of donors.
    ``"controls"``
        One control a row: ``name``, ``gene``, ``status`` (``"ranked"``, or why not), ``rank``,
        ``percentile``.
    ``"curve"``
        Controls found up to each rank, and the mean and middle 95 % of the matched random sets.
    ``"params"``
        What was done.

    Raises
    ------
    ValueError
        Fewer than ``min_controls`` controls are ranked; the message says what became of each.
    KeyError
        A column or the stored result is missing.

    Notes
    -----
    ``matched_genes`` asks whether the *ranking* favours the controls, for whatever reason: known
    targets are surface proteins, low in healthy organs and well studied, so evidence other than
    the score may well suffice. It takes genes for independent; where controls go up and down
    together, its p is too small. ``shuffled_score`` asks what the *score* adds, keeps all other
    evidence and the correlation between genes, and is uniform if the score is noise.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> bulk = dtp.datasets.simulate_cohort(60, n_genes=300, n_drugs=4)
    >>> options = {"surface_tier": None, "n_boot": 50, "n_shuffles": 50}
    >>> _ = dtp.tl.rank_targets(bulk, score_key="true_persister_fraction", **options)
    >>> found = dtp.tl.target_recovery(bulk, controls=["CCN1", "CYR61", "CCN2", "NECTIN2"])
    >>> found["controls"]["status"].tolist()
    ['ranked', 'named twice', 'ranked', 'ranked']
    """
    check_positive_int(n_random, "n_random")
    check_positive_int(min_controls, "min_controls")
    for length in top:
        check_positive_int(length, "top")
    table, drawn = _stored(adata, key)
    ranks, whole = _ranking(table, by, universe)
    listed = _controls(controls, ranks, whole, by)
    places = np.flatnonzero(ranks.index.isin(listed.loc[listed["status"] == RANKED, "gene"]))
    if len(places) < min_controls:
        fate = "; ".join(f"{row['name']}: {row['status']}" for _, row in listed.iterrows())
        msg = problem(
            f"at least {min_controls} controls among {len(ranks):,} ranked genes",
            f"{len(places)} ({fate})",
            "Name other controls, loosen the filters, or rank more genes.",
        )
        raise ValueError(msg)
    for name in match_on:
        check_key(whole, name, "the table of targets", "match_on")
    bins = np.zeros(len(ranks), np.intp)
    if len(match_on):
        bins = matching_bins([whole.loc[ranks.index, name] for name in match_on])
    sets = matched_draws(places, bins, n_random, seed=seed)
    percentile = within_list_quantiles(-ranks.to_numpy())
    rows = [matched(percentile, places, sets)]
    if by == "rank" and universe is None and drawn:
        rows = with_draws(rows, drawn, ranks.index[places], len(ranks))
    rows += [top_list(ranks.to_numpy(), places, length) for length in top]
    tests = pd.DataFrame(rows, columns=list(_COLUMNS))
    tests["n_controls"], tests["n_genes"] = len(places), len(ranks)
    tests["note"] = tests["note"].fillna("")
    listed["rank"] = ranks.reindex(listed["gene"]).to_numpy()
    listed["percentile"] = pd.Series(percentile, ranks.index).reindex(listed["gene"]).to_numpy()
    listed.loc[listed["status"] != RANKED, ["rank", "percentile"]] = np.nan
    result = {
        "table": tests,
        "controls": listed,
        "curve": curve(ranks.to_numpy(), places, sets),
        "params": _params(adata, table, key, by, match_on, bins, n_random, seed),
    }
    if isinstance(adata, AnnData):
        adata.uns[key_added] = result
    return result


def _params(
    adata: Any,
    table: pd.DataFrame,
    key: str,
    by: str,
    match_on: Sequence[str],
    bins: NDArray[np.intp],
    n_random: int,
    seed: int | None,
) -> dict[str, Any]:
    about = adata.uns[key] if isinstance(adata, AnnData) else table.attrs.get(TARGETS_KEY, {})
    return {
        "by": by,
        "match_on": ", ".join(match_on) or "nothing",
        "n_bins": len(np.unique(bins)),
        "n_random": n_random,
        "seed": -1 if seed is None else seed,
        "simulated": bool(about.get("params", {}).get("simulated", False)),
        "version": __version__,
        "research_use": TARGETS_RESEARCH_USE,
    }


def _stored(adata: Any, key: str) -> tuple[pd.DataFrame, Mapping[str, pd.DataFrame]]:
    """Return the table of targets, and percentiles in resamples and shuffles where they are."""
    if isinstance(adata, pd.DataFrame):
        return adata, {}
    if not isinstance(adata, AnnData):
        msg = problem(
            "an AnnData or a table of targets", type(adata).__name__, "Run dtp.tl.rank_targets."
        )
        raise TypeError(msg)
    if key not in adata.uns:
        found = f"no such key ({shorten(adata.uns)})"
        msg = problem(f"`adata.uns[{key!r}]`", found, "Run dtp.tl.rank_targets first.")
        raise KeyError(msg)
    stored = adata.uns[key]
    return stored["table"], {k: stored[k] for k in ("resampled", "shuffled") if k in stored}


def _ranking(
    table: pd.DataFrame, by: str, universe: Iterable[str] | None
) -> tuple[pd.Series[float], pd.DataFrame]:
    """Return ranks by gene, in alphabetical order, and the table in that order."""
    check_key(table, by, "the table of targets", "by")
    whole = table.sort_index()
    ranked = whole[whole[by].notna()]
    if "removed_by" in whole:
        ranked = ranked[ranked["removed_by"] == ""]
    if universe is not None:
        names = SymbolResolver.bundled().resolve(list(universe))
        inside = set(names["symbol"].fillna(names["name"]))
        kept = ranked[ranked.index.isin(list(inside))]
        if kept.empty:
            msg = problem(
                f"genes of `universe` among those that are ranked ({shorten(ranked.index, 4)})",
                f"none ({shorten(sorted(inside), 4)})",
                "Pass approved symbols.",
            )
            raise ValueError(msg)
        ranked = kept
    values = ranked[by].to_numpy(dtype=np.float64)
    high = by.startswith(_HIGH_IS_GOOD)
    return pd.Series(ranks_of(values if high else -values), ranked.index), whole


def _controls(
    controls: Iterable[str], ranks: pd.Series[float], whole: pd.DataFrame, by: str
) -> pd.DataFrame:
    """Say of each control which gene it is and whether it is ranked."""
    if isinstance(controls, str):
        msg = problem("`controls` as a list", repr(controls), f"Pass [{controls!r}].")
        raise TypeError(msg)
    found = SymbolResolver.bundled().resolve(list(controls))
    rows: list[dict[str, str]] = []
    for name, symbol, how in zip(found["name"], found["symbol"], found["how"], strict=True):
        gene = str(symbol or name)
        if any(row["gene"] == gene for row in rows):
            status = "named twice"
        elif gene in ranks.index:
            status = RANKED
        elif gene not in whole.index:
            status = "not in the data" if symbol else f"not in the data ({how} name)"
        elif str(whole.loc[gene].get("removed_by", "")):
            status = f"removed by the filter {whole.loc[gene, 'removed_by']!r}"
        else:
            status = f"no {by}" if pd.isna(whole.loc[gene, by]) else "not in the universe"
        rows.append({"name": str(name), "gene": gene, "status": status})
    return pd.DataFrame(rows, columns=["name", "gene", "status"])
