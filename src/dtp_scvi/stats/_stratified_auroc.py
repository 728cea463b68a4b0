"""AUROC over pairs of one stratum (study): of one score, and of several with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi._docs import docs
from dtp_scvi._validate import problem
from dtp_scvi.stats._auroc import RankedRows, auroc
from dtp_scvi.stats._bootstrap import cluster_counts, interval
from dtp_scvi.stats._check import as_codes, as_labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from dtp_scvi.stats._check import Columns

ALL_STRATA: Final = "(all)"


@docs.dedent
def stratified_auroc(
    labels: ArrayLike, scores: ArrayLike, strata: ArrayLike, *, weights: ArrayLike | None = None
) -> float:
    """
    Share of pairs within a stratum that a score ranks right.

    Where strata (studies) differ in the share of positives, a score that knows nothing but the
    stratum has an AUROC above one half. Here only a positive and a negative row of one stratum
    make a pair, so such a score gets 0.5: every pair is a tie. Strata count by their number of
    pairs.

    Parameters
    ----------
    %(labels)s
    scores
        Any real numbers; ties count as half.
    strata
        Stratum of each row.
    weights
        Non-negative weights, one per row; a pair counts the product of its two.

    Returns
    -------
    In [0, 1]; NaN where no stratum holds both classes. With one stratum the plain AUROC.

    Raises
    ------
    ValueError
        One class, unequal lengths or missing values.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> labels, study = [1, 1, 0, 1, 0, 0], ["a", "a", "a", "b", "b", "b"]
    >>> share = [2 / 3, 2 / 3, 2 / 3, 1 / 3, 1 / 3, 1 / 3]
    >>> round(stats.auroc(labels, share), 3), stats.stratified_auroc(labels, share, study)
    (0.667, 0.5)
    """
    return auroc(labels, scores, strata=strata, sample_weight=weights)


@docs.dedent
def stratified_auroc_table(
    labels: ArrayLike,
    scores: Columns,
    strata: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    n_boot: int = 200,
    seed: int | None = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """
    AUROC within strata of several scores, in all and stratum by stratum, with intervals.

    The resamples are those of :func:`bootstrap_metrics` for the same groups and seed, so the
    intervals stand beside its own. They draw groups of all strata at once.

    Parameters
    ----------
    %(labels)s
    scores
        One column of real numbers per model.
    strata
        Stratum (study) of each row.
    groups
        Donor of each row; ``None`` draws single rows.
    n_boot
        Number of resamples.
    seed
        Seed of the resamples.
    level
        Coverage of the percentile interval, widened as a t distribution is for few groups.

    Returns
    -------
    Columns model, stratum (``"(all)"``: all pairs of one stratum together), value, low, high,
    n_boot (resamples with such a pair), n_positive, n_negative, n_pairs. Value and interval are
    NaN where a stratum holds one class.

    Raises
    ------
    ValueError
        One class, no score, unequal lengths, missing values, or fewer than two groups.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> table = stats.stratified_auroc_table(
    ...     [0, 1, 0, 1], {"m": [1, 2, 4, 3]}, ["a", "a", "b", "b"]
    ... )
    >>> table.set_index("stratum")["value"].to_dict()
    {'(all)': 0.5, 'a': 1.0, 'b': 0.0}
    """
    truth = as_labels(labels)
    names = np.asarray(strata)
    codes = as_codes(strata, len(truth), "strata")
    kept = list(_parts(names, codes))
    rows = []
    clusters, drawn = cluster_counts(groups, n_boot, seed=seed, n_rows=len(truth))
    weights = [count[clusters] for count in drawn]
    for model in scores:
        for stratum, part in kept:
            about = _sizes(truth, codes, part)
            ranked = _ranked(truth, np.asarray(scores[model])[part], codes, part)
            numbers = _numbers(ranked, weights, part, clusters, level)
            rows.append({"model": str(model), "stratum": stratum, **numbers, **about})
    if not rows:
        msg = problem("at least one model in `scores`", "none", "Pass one column per model.")
        raise ValueError(msg)
    return pd.DataFrame(rows)


def _parts(names: NDArray[Any], codes: NDArray[np.intp]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    yield ALL_STRATA, np.arange(len(codes))
    for code in range(int(codes.max()) + 1):
        part = np.flatnonzero(codes == code)
        yield str(names[part[0]]), part


def _sizes(
    truth: NDArray[np.bool_], codes: NDArray[np.intp], part: NDArray[np.intp]
) -> dict[str, int]:
    positive = np.bincount(codes[part][truth[part]], minlength=int(codes.max()) + 1)
    negative = np.bincount(codes[part][~truth[part]], minlength=int(codes.max()) + 1)
    return {
        "n_positive": int(positive.sum()),
        "n_negative": int(negative.sum()),
        "n_pairs": int(positive @ negative),
    }


def _ranked(
    truth: NDArray[np.bool_],
    score: NDArray[Any],
    codes: NDArray[np.intp],
    part: NDArray[np.intp],
) -> RankedRows | None:
    here = truth[part]
    return None if here.all() or not here.any() else RankedRows(here, score, codes[part])


def _numbers(
    ranked: RankedRows | None,
    weights: list[NDArray[np.float64]],
    part: NDArray[np.intp],
    clusters: NDArray[np.intp],
    level: float,
) -> dict[str, float | int]:
    if ranked is None:
        return {"value": np.nan, "low": np.nan, "high": np.nan, "n_boot": 0}
    draws = np.array([ranked.value(weight[part]) for weight in weights])
    n_clusters = len(np.unique(clusters[part]))
    low, high = interval(draws, level, n_clusters=n_clusters if n_clusters > 1 else None)
    return {
        "value": ranked.value(np.ones(len(part))),
        "low": float(low),
        "high": float(high),
        "n_boot": int(np.isfinite(draws).sum()),
    }
