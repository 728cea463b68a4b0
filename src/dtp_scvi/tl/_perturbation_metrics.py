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


@dataclass(frozen=True)
class Compared:
    """Truth beside predictions, in the rows of a part that have what is subtracted."""

    part: Part
    how: Resampling
    control: str
    """What was subtracted from both."""
    truth: NDArray[np.float64]
    predicted: NDArray[np.float64]
    rows: NDArray[Any]
    """Positions in the part."""

    @property
    def units(self) -> NDArray[Any]:
        """The resampled unit of each row."""
        return self.how.of_rows(self.part)[self.rows]

    def mean(
        self,
        metric: str,
        grouping: str,
        values: NDArray[np.float64],
        units: NDArray[Any] | None,
        n_constant: int = 0,
    ) -> Row:
        """Return the mean of one value a group; groups without one are left out."""
        known = np.isfinite(values)
        value = self.how.mean(values[known], None if units is None else units[known])
        n = int(known.sum())
        return Row(metric, grouping, self.control, *value, n, n_constant, values, units)


def metric_rows(
    part: Part,
    predicted: NDArray[np.float64],
    controls: Sequence[str],
    families: Sequence[str],
    how: Resampling,
) -> Iterator[Row]:
    """Yield every metric of these predictions but the check on marker genes."""
    everyone = np.arange(len(part.truth))
    profiles = Compared(part, how, NO_CONTROL, part.truth, predicted, everyone)
    if "r2" in families:
        yield from _profile_r2(profiles)
    if "error" in families:
        yield from _errors(profiles)
    if "gene_r2" in families:
        yield _gene_row("gene_r2", profiles)
    if "mmd" in families:
        value = float(stats.gene_mmd(part.truth, predicted).mean())
        n_genes = part.truth.shape[1]
        yield Row("mmd", "per_gene", NO_CONTROL, value, math.nan, math.nan, n_genes, 0)
    if "pearson_centred" in families:
        rows = np.flatnonzero(np.isfinite(part.centre_truth[:, 0]))
        y = part.truth[rows] - part.centre_truth[rows]
        p = predicted[rows] - part.centre_predicted[rows]
        yield from _correlations("pearson_centred", Compared(part, how, TRAINING_MEAN, y, p, rows))
    for control in controls:
        y, p, rows = part.changes(predicted, control)
        if len(rows):
            yield from _of_changes(Compared(part, how, control, y, p, rows), families)


def _of_changes(changes: Compared, families: Sequence[str]) -> Iterator[Row]:
    if "pearson_delta" in families:
        yield from _correlations("pearson_delta", changes)
    if "spearman_delta" in families:
        found, constant = stats.profile_correlation(changes.truth, changes.predicted, ranks=True)
        n_constant = int(constant.sum())
        yield changes.mean("spearman_delta", "per_sample", found, changes.units, n_constant)
    if "gene_r2" in families:
        yield _gene_row("gene_r2_delta", changes)
    if "precision" in families:
        yield from _precision(changes)
    if "retrieval" in families:
        yield from _retrieval(changes)


def _grouped(compared: Compared) -> Iterator[tuple[str, NDArray[Any], NDArray[Any], Any]]:
    """Yield each grouping with its mean true and predicted profiles and their units."""
    for grouping, codes in compared.part.groups.items():
        here = codes[compared.rows]
        y, p = (stats.group_profiles(x, here)[0] for x in (compared.truth, compared.predicted))
        yield grouping, y, p, compared.how.of_groups(compared.part, compared.rows, here)


def _profile_r2(profiles: Compared) -> Iterator[Row]:
    for grouping, y, p, units in _grouped(profiles):
        yield profiles.mean("r2", grouping, stats.profile_r2(y, p), units)


def _correlations(metric: str, changes: Compared) -> Iterator[Row]:
    for grouping, y, p, units in _grouped(changes):
        found, constant = stats.profile_correlation(y, p)
        yield changes.mean(metric, grouping, found, units, int(constant.sum()))


def _errors(profiles: Compared) -> Iterator[Row]:
    gap, units = profiles.predicted - profiles.truth, profiles.units
    squared = profiles.mean("mse", "per_sample", (gap**2).mean(axis=1), units)
    yield squared
    root, low, high = (math.sqrt(x) for x in (squared.value, squared.low, squared.high))
    yield Row("rmse", "per_sample", NO_CONTROL, root, low, high, squared.n_groups, 0)
    yield profiles.mean("mae", "per_sample", np.abs(gap).mean(axis=1), units)


def _gene_row(metric: str, compared: Compared) -> Row:
    y, p, units, how = compared.truth, compared.predicted, compared.units, compared.how
    by_gene = stats.gene_r2(y, p)
    known = np.isfinite(by_gene)
    if len(set(units.tolist())) < 2 or not known.any():
        value = float(by_gene[known].mean()) if known.any() else math.nan
        ends = (value, math.nan, math.nan)
    else:
        y, p = y[:, known], p[:, known]
        ends = stats.gene_r2_interval(y, p, units, n_boot=how.n_boot, seed=how.seed)
    return Row(metric, "per_gene", compared.control, *ends, int(known.sum()), 0)


def _precision(changes: Compared) -> Iterator[Row]:
    y, p, units = changes.truth, changes.predicted, changes.units
    n_genes = y.shape[1]
    # The published 100 are a tenth of the landmark genes; of a small panel they would be most.
    n_top = _N_TOP if n_genes >= _SMALL_PANEL else max(1, n_genes // 10)
    for k in [k for k in _TOP_K if k <= n_top] or [n_top]:
        both = stats.precision_at_k(y, p, k, n_top=n_top)
        for way, values in zip(("up", "down"), both, strict=True):
            yield changes.mean(f"precision_{way}_{k}", "per_sample", values, units)


_RETRIEVALS: Final = (
    ("discrimination_l1", "l1", "truth"),
    ("centroid_rank", "l2", "truth"),
    ("retrieval_rank", "cosine", "predicted"),
)


def _retrieval(changes: Compared) -> Iterator[Row]:
    """Ranks among the drugs of one cell line, over all cell lines that have two."""
    found: dict[str, list[NDArray[Any]]] = {name: [] for name, *_ in _RETRIEVALS}
    all_drugs, all_cells = changes.part.drug[changes.rows], changes.part.cell[changes.rows]
    drugs: list[NDArray[Any]] = []
    cells: list[NDArray[Any]] = []
    for cell in dict.fromkeys(all_cells.tolist()):
        at = np.flatnonzero(all_cells == cell)
        here = all_drugs[at].astype(str)
        truth, names, _ = stats.group_profiles(changes.truth[at], here)
        if len(names) < 2:
            continue
        predicted = stats.group_profiles(changes.predicted[at], here)[0]
        for name, metric, among in _RETRIEVALS:
            rank = stats.retrieval_rank(truth, predicted, metric=metric, among=among)  # type: ignore[arg-type]
            found[name].append(rank)
        drugs.append(names)
        cells.append(np.full(len(names), cell, object))
    if not drugs:
        return
    units = np.concatenate(drugs if changes.how.unit == "drug" else cells)
    for name, ranks in found.items():
        yield changes.mean(name, "cov_drug", np.concatenate(ranks), units)


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
