"""Draw rows so that every donor counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def draw_rows(
    n_cells: int, groups: Sequence[object] | None, limit: int, rng: np.random.Generator
) -> np.ndarray:
    """
    Draw at most ``limit`` of ``n_cells`` rows without replacement, ascending.

    With ``groups`` (the donor of each row) every donor contributes as equally as its rows allow.

    Parameters
    ----------
    n_cells
        Number of rows to draw from.
    groups
        Donor of each row, or ``None``.
    limit
        Largest number of rows drawn.
    rng
        Source of randomness.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi.data import draw_rows
    >>> rows = draw_rows(6, ["a", "a", "a", "a", "b", "b"], 4, np.random.default_rng(0))
    >>> int((rows >= 4).sum())
    2
    """
    if n_cells <= limit:
        return np.arange(n_cells)
    if groups is None:
        return np.sort(rng.choice(n_cells, limit, replace=False))
    _, donor = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    order = rng.permutation(n_cells)
    # The rank of a cell within its donor: low ranks of all donors come first.
    by_donor = order[np.argsort(donor[order], kind="stable")]
    sizes = np.bincount(donor)
    rank = np.arange(n_cells) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(by_donor[np.argsort(rank, kind="stable")[:limit]])
