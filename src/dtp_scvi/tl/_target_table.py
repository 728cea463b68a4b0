"""All evidence on all genes in one table, and the ranking of those that are left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._validate import problem
from dtp_scvi.stats import GeneAssociations, interval, within_list_quantiles
from dtp_scvi.tl import _target_ranks as ranking
from dtp_scvi.tl._target_evidence import (
    cell_evidence,
    dependency_evidence,
    hpa_evidence,
    log2_ratio,
    normal_evidence,
    surface_evidence,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dtp_scvi.tl._target_evidence import Tables
    from dtp_scvi.tl._target_samples import Samples


def collect(
    samples: Samples,
    normal: Tables | None,
    critical: Sequence[str] | None,
    normal_cells: pd.DataFrame | None,
    dependency: pd.DataFrame | None,
    surface: pd.DataFrame | None,
    hpa: pd.DataFrame | None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return all evidence on all genes, and what it was taken from."""
    genes = samples.genes.table.index
    about: dict[str, Any] = {}
    table = samples.genes.table.copy()
    if len(samples.values):
        found = GeneAssociations(samples.values, samples.score)
        table["association"], table["abundance"] = found.values(), samples.values.mean(axis=0)
    else:
        table["association"], table["abundance"] = samples.association, samples.abundance
    table["share_detected"] = samples.detected
    level = samples.log2_level(table["abundance"].to_numpy(dtype=np.float64))
    if normal is not None:
        part, said = normal_evidence(normal, genes, critical)
        table, about = table.join(part), about | said
        for name in ("max", "mean"):
            table[f"log2_ratio_{name}"] = log2_ratio(level, table[f"normal_{name}"])
    if normal_cells is not None:
        table = table.join(cell_evidence(normal_cells, genes))
        table["log2_ratio_cells"] = log2_ratio(level, table["normal_cells_max"])
    if dependency is not None:
        part, said = dependency_evidence(dependency, genes)
        table, about = table.join(part), about | said
    if surface is not None:
        table = table.join(surface_evidence(surface, genes))
    if hpa is not None:
        table = table.join(hpa_evidence(hpa, genes))
    return table, about


def exclude(
    table: pd.DataFrame, filters: pd.DataFrame, weights: Mapping[str, float] | None
) -> pd.DataFrame:
    """Remove candidates that lack evidence in a component that counts."""
    values = ranking.component_values(table[table["removed_by"] == ""])
    used = ranking.check_weights(weights, values)
    lacks = np.zeros(len(table), dtype=bool)
    lacks[table["removed_by"] == ""] = np.isnan([values[name] for name in used]).any(axis=0)
    table.loc[lacks, "removed_by"] = "missing"
    left = int((table["removed_by"] == "").sum())
    if not left:
        msg = problem(
            "a candidate with evidence in every component",
            f"none of {int(lacks.sum()):,}",
            'Pass missing="neutral", or give components without evidence a weight of 0.',
        )
        raise ValueError(msg)
    n = int(lacks.sum())
    row = {"filter": "missing", "rule": f"evidence in {', '.join(used)}", "removed": n}
    return pd.concat([filters, pd.DataFrame([row | {"unknown": n, "left": left}])]).reset_index(
        drop=True
    )


def rank(
    samples: Samples,
    table: pd.DataFrame,
    weights: Mapping[str, float] | None,
    n_boot: int,
    n_shuffles: int,
    seed: int | None,
) -> dict[str, Any]:
    """Rank the candidates, and do it again on resamples and shuffles."""
    places = np.flatnonzero(table["removed_by"] == "")
    listed = table.iloc[places]
    values = ranking.component_values(listed)
    used = ranking.check_weights(weights, values)
    score = ranking.combine(values, used)
    columns = pd.DataFrame(
        {"rank": ranking.ranks_of(score), "score": score}, index=listed.index
    ).join(ranking.aggregate(values, used).set_index(listed.index))
    without, rests = ranking.leave_one_out(values, used, listed.index)
    drawn: dict[str, Any] = {}
    if len(samples.values):
        redo = ranking.Redo(samples, places, listed, values, used)
        again, rho = redo.resampled(n_boot, seed)
        n_donors = len(samples.score)
        columns = columns.join(ranking.rank_intervals(again, n_donors).set_index(listed.index))
        low, high = interval(rho, axis=0, n_clusters=n_donors)
        columns["association_low"], columns["association_high"] = low, high
        shuffled = redo.shuffled(n_shuffles, seed)
        for name, scores in (("resampled", again), ("shuffled", shuffled)):
            drawn[name] = _percentiles(scores, listed.index)
    for name, column in values.items():
        columns[f"quantile_{name}"] = within_list_quantiles(column)
    whole = table.join(columns.join(without))
    whole = whole.sort_values(["rank", "removed_by"], kind="stable", na_position="last")
    first = ["rank", "rank_low", "rank_high", "rank_median", "score", "rra_rank", "rra_p"]
    first = [name for name in first if name in whole]
    components = [
        {
            "component": name,
            "column": ranking.COMPONENTS[name],
            "weight": used.get(name, 0.0),
            "n_missing": int(np.isnan(values[name]).sum()),
        }
        for name in values
    ]
    return {
        "table": whole[[*first, *(name for name in whole if name not in first)]],
        "components": pd.DataFrame(components),
        "leave_one_out": rests,
        **drawn,
    }


def _percentiles(scores: Any, genes: pd.Index) -> pd.DataFrame:
    places = within_list_quantiles(np.round(scores, 12)).astype(np.float32)
    return pd.DataFrame(places.T, index=genes, columns=[str(k) for k in range(len(places))])


def plain(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what fits ``attrs``: lists and plain values, which copies and JSON keep."""
    frames = ("filters", "components", "leave_one_out")
    return {name: result[name].to_dict("records") for name in frames} | {
        "names": result["names"],
        "params": result["params"],
    }


def storable(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``uns`` and h5ad can hold: arrays of text instead of lists."""
    return {**result, **{name: _arrays(result[name]) for name in ("names", "params")}}


def _arrays(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _arrays(part) for name, part in value.items()}
    return np.array(value, dtype=object) if isinstance(value, list | tuple) else value
