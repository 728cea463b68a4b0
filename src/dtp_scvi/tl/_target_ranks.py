"""From evidence to ranks: components, their geometric mean, resamples, shuffles, leaving out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from dtp_scvi._validate import near_matches, problem
from dtp_scvi.stats import (
    GeneAssociations,
    cluster_bootstrap_weights,
    interval,
    robust_rank_aggregation,
    weighted_geometric_mean,
    within_list_quantiles,
)
from dtp_scvi.tl._target_evidence import RELIABILITY, log2_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from dtp_scvi.tl._target_samples import Samples

    Array = NDArray[np.float64]

# Component -> column of the table that it ranks.
COMPONENTS: Final = {
    "association": "association",
    "abundance": "abundance",
    "contrast": "log2_ratio_max",
    "cells": "log2_ratio_cells",
    "dependency": "dependency",
    "surface": "surface_sources",
    "antibody": "HPA_antibody_reliability",
}
_EVEN: Final = 0.5
# Draws times genes that are ranked at a time.
_BATCH: Final = 1_000_000


def component_values(table: pd.DataFrame) -> dict[str, Array]:
    """Return each component that some gene has evidence for, higher is better, NaN is unknown."""
    found: dict[str, Array] = {}
    for name, column in COMPONENTS.items():
        if column not in table:
            continue
        values = table[column]
        if name == "antibody":
            values = values.map(RELIABILITY)
        elif name == "dependency":
            # Losing a common essential gene harms every cell: that tells nothing of selectivity.
            common = table["is_common_essential"].fillna(False).astype(bool)  # noqa: FBT003
            values = -values.where(~common)
        numbers = values.to_numpy(dtype=np.float64)
        if not np.isnan(numbers).all():
            found[name] = numbers
    return found


def check_weights(
    weights: Mapping[str, float] | None, available: Mapping[str, Array]
) -> dict[str, float]:
    """Return a weight for each component, 1 unless given; refuse unknown names."""
    given = dict(weights or {})
    for name, weight in given.items():
        if name not in COMPONENTS:
            msg = problem(
                "`weights` to name components", repr(name), near_matches(name, COMPONENTS)
            )
            raise KeyError(msg)
        if name not in available and weight > 0:
            msg = problem(
                f"evidence for the component {name!r}, which has a weight",
                f"none; there is some for {', '.join(available)}",
                f"Pass its table, or leave {name!r} out of `weights`.",
            )
            raise ValueError(msg)
        if not (np.isfinite(weight) and weight >= 0):
            msg = problem(f"a weight of {name!r} of 0 or more", f"{weight}", "Mend `weights`.")
            raise ValueError(msg)
    used = {name: float(given.get(name, 1.0)) for name in available}
    if not any(used.values()):
        msg = problem("a component with a weight above 0", "none", "Mend `weights`.")
        raise ValueError(msg)
    return {name: weight for name, weight in used.items() if weight > 0}


def filled_quantiles(values: Array) -> Array:
    """
    Return quantiles along the last axis; what is unknown is neither good nor bad.

    It gets the geometric mean of the known quantiles (about 1/e), for the score is a geometric
    mean: with the median, genes without evidence would on average beat those with it.
    """
    quantiles = within_list_quantiles(values)
    unknown = np.isnan(quantiles)
    n = (~unknown).sum(axis=-1, keepdims=True)
    logs = np.log(np.where(unknown, 1.0, quantiles)).sum(axis=-1, keepdims=True)
    neutral = np.where(n > 0, np.exp(logs / np.maximum(n, 1)), _EVEN)
    return np.where(unknown, neutral, quantiles)


def combine(values: Mapping[str, Array], weights: Mapping[str, float]) -> Array:
    """Weighted geometric mean of the quantiles; arrays (..., genes) of one shape or (genes,)."""
    parts = np.broadcast_arrays(*(filled_quantiles(values[name]) for name in weights))
    return weighted_geometric_mean(np.stack(parts, axis=-1), list(weights.values()))


def ranks_of(score: Array) -> Array:
    """Ranks along the last axis, 1 is the highest score; ties share the best."""
    # Sums in another order differ in the last digits.
    return np.asarray(rankdata(-np.round(score, 12), method="min", axis=-1), dtype=np.float64)


def aggregate(values: Mapping[str, Array], weights: Mapping[str, float]) -> pd.DataFrame:
    """Robust rank aggregation of the components that count, each as one list."""
    lists = []
    for name in weights:
        known = ~np.isnan(values[name])
        # The worst rank of tied genes: a share t of them at the top has p = t, not t / 2.
        ranks = rankdata(-np.where(known, values[name], -np.inf), method="max")
        lists.append(np.where(known, ranks / max(known.sum(), 1), np.nan))
    rho, p = robust_rank_aggregation(np.column_stack(lists))
    order = rankdata(np.round(np.nan_to_num(rho, nan=2.0), 15), method="min")
    return pd.DataFrame({"rra_rho": rho, "rra_p": p, "rra_rank": order.astype(np.int64)})


def leave_one_out(
    values: Mapping[str, Array], weights: Mapping[str, float], genes: pd.Index
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return ranks without each component, and how far the ranking rests on it."""
    full = ranks_of(combine(values, weights))
    columns, record = {}, []
    for name in weights if len(weights) > 1 else ():
        rest = {key: weight for key, weight in weights.items() if key != name}
        ranks = ranks_of(combine(values, rest))
        shift = np.abs(ranks - full)
        columns[f"rank_without_{name}"] = ranks.astype(np.int64)
        record.append(
            {
                "component": name,
                "spearman": _spearman(full, ranks),
                "max_shift": int(shift.max()),
                "gene": str(genes[int(shift.argmax())]),
            }
        )
    table = pd.DataFrame(columns, index=genes)
    if columns:
        table["max_rank_shift"] = table.sub(full, axis=0).abs().max(axis=1).astype(np.int64)
    return table, pd.DataFrame(record, columns=["component", "spearman", "max_shift", "gene"])


def _spearman(first: Array, second: Array) -> float:
    ranks = np.stack([rankdata(first), rankdata(second)])
    return float(np.corrcoef(ranks)[0, 1]) if (np.ptp(ranks, axis=1) > 0).all() else float("nan")


class Redo:
    """The ranking of candidates, done again on resampled donors or shuffled scores."""

    def __init__(
        self,
        samples: Samples,
        places: NDArray[np.intp],
        table: pd.DataFrame,
        values: Mapping[str, Array],
        weights: Mapping[str, float],
    ) -> None:
        self._expression = samples.values[:, places]
        self._found = GeneAssociations(self._expression, samples.score)
        self._samples, self._table = samples, table
        self._values, self._weights = dict(values), weights

    def resampled(self, n_boot: int, seed: int | None) -> tuple[Array, Array]:
        """Return scores and associations in resamples of donors, (resamples, genes)."""
        n = len(self._expression)
        drawn = np.stack(list(cluster_bootstrap_weights(None, n_boot, seed=seed, n_rows=n)))
        rho = self._found.resampled(drawn)
        return self._batches(rho, lambda rows: self._anew(drawn[rows], rho[rows])), rho

    def _anew(self, drawn: Array, rho: Array) -> dict[str, Array]:
        abundance = drawn @ self._expression / len(self._expression)
        level = self._samples.log2_level(abundance)
        anew = {"association": rho, "abundance": abundance}
        for name, column in (("contrast", "normal_max"), ("cells", "normal_cells_max")):
            if name in self._values:
                anew[name] = log2_ratio(level, self._table[column])
        return anew

    def shuffled(self, n_shuffles: int, seed: int | None) -> Array:
        """Return scores after the donors' scores changed places, (shuffles, genes)."""
        rho = self._found.shuffled(n_shuffles, seed=seed)
        return self._batches(rho, lambda rows: {"association": rho[rows]})

    def _batches(self, rho: Array, anew: Callable[[slice], dict[str, Array]]) -> Array:
        """Rank some draws at a time: each takes a number per gene and component."""
        scores = np.empty(rho.shape)
        step = max(1, _BATCH // max(1, rho.shape[1]))
        for start in range(0, len(rho), step):
            rows = slice(start, start + step)
            scores[rows] = combine(self._values | anew(rows), self._weights)
        return scores


def rank_intervals(scores: Array, n_donors: int) -> pd.DataFrame:
    """Return median and 95 % percentile interval of the ranks in resamples."""
    ranks = ranks_of(scores)
    low, high = interval(ranks, axis=0, n_clusters=n_donors)
    middle = np.median(ranks, axis=0)
    return pd.DataFrame({"rank_low": low, "rank_high": high, "rank_median": middle})
