"""What is hidden in simulated cells: design, programme activities, and the planted label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit

from dtp_scvi.datasets._programmes import INTERACTIONS

CELL_TYPES: Final = ("stem-like", "progenitor", "monocytic", "lymphoid", "erythroid")
_TYPE_SHARES: Final = np.array([0.25, 0.3, 0.2, 0.15, 0.1])
# Programme that marks each cell type, in the order of CELL_TYPES.
_TYPE_MARKERS: Final = ("stemness", "progenitor", "monocytic", "lymphoid", "erythroid")
_PROBABILITY_FLOOR: Final = 1e-6


@dataclass(frozen=True)
class Design:
    """Who each cell comes from; codes index donors, tissues, platforms, cell types."""

    donor: np.ndarray
    cell_type: np.ndarray
    donor_tissue: np.ndarray
    donor_platform: np.ndarray
    donor_is_female: np.ndarray

    @property
    def positive_group(self) -> np.ndarray:
        """Cells of every other tissue, or platform where there is one tissue: boolean."""
        group = self.donor_tissue if self.donor_tissue.any() else self.donor_platform
        return (group % 2 == 0)[self.donor]


@dataclass(frozen=True)
class Label:
    """The planted label with its probability and the two parts of its logit."""

    positive: np.ndarray
    probability: np.ndarray
    linear: np.ndarray
    interaction: np.ndarray


def draw_design(
    n_cells: int, n_donors: int, n_tissues: int, n_platforms: int, rng: np.random.Generator
) -> Design:
    """Draw donors, cell types, tissues and platforms; each donor has one tissue and platform.

    Tissues alternate over donors; each donor gets the platform used least so far, then the one
    used least with its tissue, so the two are crossed as far as the number of donors allows.
    """
    shares = rng.lognormal(0.0, 0.2, n_donors)
    counts = np.full(n_donors, n_cells // n_donors)
    counts = np.maximum(np.floor(shares / shares.sum() * n_cells).astype(int), 1)
    while counts.sum() != n_cells:
        step = int(np.sign(n_cells - counts.sum()))
        counts[np.argmin(counts) if step > 0 else np.argmax(counts)] += step
    donor = rng.permutation(np.repeat(np.arange(n_donors), counts))
    type_shares = rng.dirichlet(12 * _TYPE_SHARES, n_donors)
    cumulative = type_shares.cumsum(axis=1)[donor]
    cell_type = (rng.random(n_cells)[:, None] > cumulative[:, :-1]).sum(axis=1)
    order = np.arange(n_donors)
    used = np.zeros((n_tissues, n_platforms), dtype=int)
    platform = np.empty(n_donors, dtype=int)
    for d in order:
        tissue = d % n_tissues
        platform[d] = np.lexsort((used[tissue], used.sum(axis=0)))[0]
        used[tissue, platform[d]] += 1
    return Design(
        donor=donor,
        cell_type=cell_type,
        donor_tissue=order % n_tissues,
        donor_platform=platform,
        donor_is_female=rng.permutation(order % 2 == 0),
    )


def draw_type_means(table: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Draw the mean activity of each programme in each cell type, types x programmes."""
    names = list(table.index)
    mean = rng.normal(0.0, 0.4, (len(CELL_TYPES), len(names)))
    for row, marker in enumerate(_TYPE_MARKERS):
        mean[:, names.index(marker)] = -0.4
        mean[row, names.index(marker)] = 1.6
    return mean


def draw_activities(
    table: pd.DataFrame, type_means: np.ndarray, design: Design, rng: np.random.Generator
) -> np.ndarray:
    """Draw programme activities, cells x programmes, float32.

    Activities of interaction programmes are on or off, plus Gaussian spread, and independent of
    cell type and donor, so that neither predicts their product. All others are Gaussian around
    the mean of the cell's type plus a shift of its donor.
    """
    shape = (len(design.donor), len(table))
    shift = rng.normal(0.0, 0.35, (len(design.donor_tissue), len(table)))
    spread = rng.standard_normal(shape)
    switch = np.where(rng.random(shape) < 0.5, -0.9, 0.9) + 0.4 * spread
    smooth = type_means[design.cell_type] + shift[design.donor] + 0.8 * spread
    interacting = (table["role"] == "interaction").to_numpy()
    return np.where(interacting, switch, smooth).astype(np.float32)


def interaction_table() -> pd.DataFrame:
    """Return the planted products: two programmes and a weight a row."""
    return pd.DataFrame(INTERACTIONS, columns=["first", "second", "weight"])


def _standardised(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    return centred / max(float(centred.std()), np.finfo(float).tiny)


def draw_label(
    activities: np.ndarray,
    table: pd.DataFrame,
    in_positive_group: np.ndarray,
    *,
    linear_effect: float,
    interaction_effect: float,
    prevalence: float,
    confounding: float,
    rng: np.random.Generator,
) -> Label:
    """Draw the label from the activities.

    The logit is ``a + linear_effect * L + interaction_effect * I`` with both parts scaled to
    unit variance over the cells; ``a`` makes the mean probability equal to ``prevalence``.
    ``confounding`` mixes that probability with membership of ``in_positive_group``.
    """
    names = list(table.index)
    values = activities.astype(float)
    linear = _standardised(values @ table["linear_weight"].to_numpy())
    products = sum(
        weight * values[:, names.index(first)] * values[:, names.index(second)]
        for first, second, weight in INTERACTIONS
    )
    linear, interaction = linear_effect * linear, interaction_effect * _standardised(products)
    effect = linear + interaction
    bound = float(np.abs(effect).max()) + abs(float(logit(prevalence))) + 1.0
    intercept = brentq(lambda a: expit(a + effect).mean() - prevalence, -bound, bound)
    probability = (1 - confounding) * expit(intercept + effect) + confounding * in_positive_group
    probability = np.clip(probability, _PROBABILITY_FLOOR, 1 - _PROBABILITY_FLOOR)
    return Label(rng.random(len(effect)) < probability, probability, linear, interaction)
