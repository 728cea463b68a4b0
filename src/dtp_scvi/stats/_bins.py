"""Bins of a probability, and the gap between forecast and outcome in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def equal_width(probability: NDArray[np.float64], n_bins: int) -> NDArray[np.intp]:
    """Number of the equal-width bin of each probability; the last one includes 1."""
    return np.minimum((probability * n_bins).astype(np.intp), n_bins - 1)


def equal_mass(
    probability: NDArray[np.float64], weights: NDArray[np.float64], n_bins: int
) -> NDArray[np.intp]:
    """Number of the bin of each probability such that bins weigh alike and no tie is split."""
    level, row = np.unique(probability, return_inverse=True)
    mass = np.bincount(row, weights, minlength=len(level))
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    # Rounded, as a middle that lies on an edge must not fall to either side by its last bit.
    return np.minimum(np.floor(np.round(middle * n_bins, 9)).astype(np.intp), n_bins - 1)[row]


def gap_sums(
    cell: NDArray[np.intp],
    gap: NDArray[np.float64],
    weights: NDArray[np.float64],
    n_bins: int,
) -> NDArray[np.float64]:
    """Weighted sum per bin of ``gap`` (forecast minus outcome), over the total weight."""
    return np.bincount(cell, weights * gap, minlength=n_bins) / weights.sum()
