"""All metrics of one set of predictions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dtp_scvi import stats

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dtp_scvi.tl._perturbation_part import Part

FAMILIES: Final = (
    "r2",
    "pearson_delta",
    "pearson_centred",
    "spearman_delta",
    "error",
    "gene_r2",
    "precision",
    "retrieval",
    "mmd",
    "deg",
)


class Row(NamedTuple):
    """One metric of one set of predictions."""

    metric: str
    grouping: str
    control: str
    value: float
    low: float
    high: float
    n_groups: int
    n_constant: int
    values: NDArray[np.float64] | None = None
    """What the metric is the mean of, one a group of rows, where it is a mean."""
    units: NDArray[Any] | None = None
    """What is resampled, one a group; ``None`` where a group belongs to several."""


NO_CONTROL: Final = "none"
TRAINING_MEAN: Final = "training_mean"
_TOP_K: Final = (10, 20, 50, 100)
_N_TOP = 100
_SMALL_PANEL = 500


@dataclass(frozen=True)
class Resampling:
    """How intervals are made."""

    unit: str
    n_boot: int
    seed: int | None

    def mean(self, values: NDArray[Any], units: NDArray[Any] | None) -> tuple[float, float, float]:
        """Mean with an interval over units; no interval where a value belongs to several."""
        if units is None or not len(values):
            return (float(np.mean(values)) if len(values) else math.nan), math.nan, math.nan
        return stats.cluster_mean(values, units, n_boot=self.n_boot, seed=self.seed)

    def of_rows(self, part: Part) -> NDArray[Any]:
        """The resampled unit of each row."""
        return part.drug if self.unit == "drug" else part.cell

    def of_groups(self, part: Part, rows: NDArray[Any], codes: NDArray[Any]) -> Any:
        """The unit of each group, in sorted order; ``None`` where a group has several."""
        units = self.of_rows(part)[rows].astype(str)
        _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
        return units[first] if (units[first][inverse] == units).all() else None


def metric_rows(
    part: Part,
    predicted: NDArray[np.float64],
    controls: Sequence[str],
    families: Sequence[str],
    how: Resampling,
) -> Iterator[Row]:
    """Yield every metric of these predictions but the check on marker genes."""
    everyone = np.arange(len(part.truth))
    if "r2" in families:
        for grouping, codes in part.groups.items():
            y, p = (stats.group_profiles(x, codes)[0] for x in (part.truth, predicted))
            values = stats.profile_r2(y, p)
            yield _mean_row(
                "r2", grouping, NO_CONTROL, values, how.of_groups(part, everyone, codes), how
            )
    if "error" in families:
        yield from _errors(part, predicted, how)
    if "gene_r2" in families:
        yield _gene_row("gene_r2", NO_CONTROL, part.truth, predicted, everyone, part, how)
    if "mmd" in families:
        value = float(stats.gene_mmd(part.truth, predicted).mean())
        n_genes = part.truth.shape[1]
        yield Row("mmd", "per_gene", NO_CONTROL, value, math.nan, math.nan, n_genes, 0)
    if "pearson_centred" in families:
        rows = np.flatnonzero(np.isfinite(part.centre_truth[:, 0]))
        y, p = part.truth[rows] - part.centre_truth[rows], predicted[rows]
        centred = p - part.centre_predicted[rows]
        yield from _correlations("pearson_centred", TRAINING_MEAN, part, y, centred, rows, how)
    for control in controls:
        y, p, rows = part.changes(predicted, control)
        if not len(rows):
            continue
        if "pearson_delta" in families:
            yield from _correlations("pearson_delta", control, part, y, p, rows, how)
        if "spearman_delta" in families:
            found, constant = stats.profile_correlation(y, p, ranks=True)
            units = how.of_rows(part)[rows]
            name = "spearman_delta"
            yield _mean_row(name, "per_sample", control, found, units, how, int(constant.sum()))
        if "gene_r2" in families:
            yield _gene_row("gene_r2_delta", control, y, p, rows, part, how)
        if "precision" in families:
            yield from _precision(control, part, y, p, rows, how)
        if "retrieval" in families:
            yield from _retrieval(control, part, y, p, rows, how)


def _mean_row(
    metric: str,
    grouping: str,
    control: str,
    values: NDArray[np.float64],
    units: NDArray[Any] | None,
    how: Resampling,
    n_constant: int = 0,
) -> Row:
    known = np.isfinite(values)
    value = how.mean(values[known], None if units is None else units[known])
    return Row(metric, grouping, control, *value, int(known.sum()), n_constant, values, units)


def _correlations(
    metric: str,
    control: str,
    part: Part,
    y: NDArray[np.float64],
    p: NDArray[np.float64],
    rows: NDArray[Any],
    how: Resampling,
) -> Iterator[Row]:
    for grouping, codes in part.groups.items():
        here = codes[rows]
        means = (stats.group_profiles(x, here)[0] for x in (y, p))
        found, constant = stats.profile_correlation(*means)
        units = how.of_groups(part, rows, here)
        yield _mean_row(metric, grouping, control, found, units, how, int(constant.sum()))


def _errors(part: Part, predicted: NDArray[np.float64], how: Resampling) -> Iterator[Row]:
    gap, units = predicted - part.truth, how.of_rows(part)
    squared = _mean_row("mse", "per_sample", NO_CONTROL, (gap**2).mean(axis=1), units, how)
    yield squared
    root, low, high = (math.sqrt(x) for x in (squared.value, squared.low, squared.high))
    yield Row("rmse", "per_sample", NO_CONTROL, root, low, high, squared.n_groups, 0)
    yield _mean_row("mae", "per_sample", NO_CONTROL, np.abs(gap).mean(axis=1), units, how)


def _gene_row(
    metric: str,
    control: str,
    y: NDArray[np.float64],
    p: NDArray[np.float64],
    rows: NDArray[Any],
    part: Part,
    how: Resampling,
) -> Row:
    units = how.of_rows(part)[rows]
    known = np.isfinite(stats.gene_r2(y, p))
    if len(set(units.tolist())) < 2 or not known.any():
        value = float(stats.gene_r2(y, p)[known].mean()) if known.any() else math.nan
        ends = (value, math.nan, math.nan)
    else:
        y, p = y[:, known], p[:, known]
        ends = stats.gene_r2_interval(y, p, units, n_boot=how.n_boot, seed=how.seed)
    return Row(metric, "per_gene", control, *ends, int(known.sum()), 0)


def _precision(
    control: str,
    part: Part,
    y: NDArray[np.float64],
    p: NDArray[np.float64],
    rows: NDArray[Any],
    how: Resampling,
) -> Iterator[Row]:
    n_genes = y.shape[1]
    # The published 100 are a tenth of the landmark genes; of a small panel they would be most.
    n_top = _N_TOP if n_genes >= _SMALL_PANEL else max(1, n_genes // 10)
    for k in [k for k in _TOP_K if k <= n_top] or [n_top]:
        for way, values in zip(
            ("up", "down"), stats.precision_at_k(y, p, k, n_top=n_top), strict=True
        ):
            name = f"precision_{way}_{k}"
            yield _mean_row(name, "per_sample", control, values, how.of_rows(part)[rows], how)


_RETRIEVALS: Final = (
    ("discrimination_l1", "l1", "truth"),
    ("centroid_rank", "l2", "truth"),
    ("retrieval_rank", "cosine", "predicted"),
)


def _retrieval(
    control: str,
    part: Part,
    y: NDArray[np.float64],
    p: NDArray[np.float64],
    rows: NDArray[Any],
    how: Resampling,
) -> Iterator[Row]:
    """Ranks among the drugs of one cell line, over all cell lines that have two."""
    found: dict[str, list[NDArray[Any]]] = {name: [] for name, *_ in _RETRIEVALS}
    drugs: list[NDArray[Any]] = []
    cells: list[NDArray[Any]] = []
    for cell in dict.fromkeys(part.cell[rows].tolist()):
        at = np.flatnonzero(part.cell[rows] == cell)
        truth, names, _ = stats.group_profiles(y[at], part.drug[rows][at].astype(str))
        if len(names) < 2:
            continue
        predicted = stats.group_profiles(p[at], part.drug[rows][at].astype(str))[0]
        for name, metric, among in _RETRIEVALS:
            rank = stats.retrieval_rank(truth, predicted, metric=metric, among=among)  # type: ignore[arg-type]
            found[name].append(rank)
        drugs.append(names)
        cells.append(np.full(len(names), cell, object))
    if not drugs:
        return
    units = np.concatenate(drugs if how.unit == "drug" else cells)
    for name, ranks in found.items():
        yield _mean_row(name, "cov_drug", control, np.concatenate(ranks), units, how)


def ceiling_rows(part: Part, how: Resampling) -> Iterator[Row]:
    """Yield what replicates say of each other, where a condition has two."""
    # By name, so that random halves do not depend on the order of rows.
    rows = np.argsort(part.names, kind="stable")
    rows = rows[np.isfinite(part.scoring[rows, 0])]
    y = part.truth[rows]
    own, other = y - part.control[rows], y - part.scoring[rows]
    codes = part.condition[rows]
    found = stats.replicate_ceiling(own, other, codes, seed=how.seed)
    if not len(found.groups):
        return
    units = how.of_groups(part, rows, codes)
    kept = np.isin(np.unique(codes), found.groups.astype(codes.dtype))
    units = None if units is None else units[kept]
    pair, share = how.mean(found.pairs, units), how.mean(found.shares, units)
    n = len(found.groups)
    yield Row("replicate_pair", "condition", "independent", *pair, n, 0)
    for name, value in (("replicate_half", found.half), ("replicate_full", found.full)):
        yield Row(name, "condition", "independent", value, math.nan, math.nan, n, 0)
    value, low, high = (x if math.isnan(x) else math.sqrt(max(x, 0.0)) for x in share)
    yield Row("pearson_delta", "per_sample", "independent", value, low, high, n, 0)
    if "cov_drug_dose" in part.groups:
        mean = found.ceiling_mean
        ends = (math.nan, math.nan)
        yield Row("pearson_delta", "cov_drug_dose", "independent", mean, *ends, n, 0)
