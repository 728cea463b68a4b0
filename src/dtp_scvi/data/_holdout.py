"""Hold out whole donors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._validate import check_range, problem
from dtp_scvi.data._splits import MAX_SHUFFLES, Fold, check_feasible, encode_both

if TYPE_CHECKING:
    from collections.abc import Sequence


def holdout_groups(
    labels: Sequence[object],
    groups: Sequence[object] | None,
    fraction: float = 0.2,
    *,
    seed: int | None = 0,
) -> Fold:
    """
    Hold out whole groups with about ``fraction`` of the cells, every class on both sides.

    Parameters
    ----------
    labels
        Class of each cell.
    groups
        Donor of each cell; ``None`` holds out single cells, stratified by class.
    fraction
        Share of the cells to hold out, between 0 and 1.
    seed
        Seed of the 100 draws, of which the one nearest to ``fraction`` in size and class
        balance is taken.

    Returns
    -------
    ``(train, test)`` positions, ascending.

    Raises
    ------
    ValueError
        When a class is held by one group only.

    Examples
    --------
    >>> from dtp_scvi.data import holdout_groups
    >>> train, test = holdout_groups(["a", "b"] * 4, [0, 0, 1, 1, 2, 2, 3, 3], 0.25)
    >>> len(train), len(test)
    (6, 2)
    """
    check_range(fraction, "fraction", 0.0, 1.0, inclusive=False)
    cells = np.arange(len(labels))
    y, g, classes, _ = encode_both(labels, cells if groups is None else groups)
    check_feasible(y, g, classes, 2, grouped=groups is not None)
    rng = np.random.default_rng(seed)
    if groups is None:
        test = _stratified_cells(y, fraction, rng)
    else:
        test = _best_groups(y, g, fraction, rng)
    held_out = np.zeros(y.size, bool)
    held_out[test] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _stratified_cells(y: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    parts = []
    for code in range(y.max() + 1):
        cells = rng.permutation(np.flatnonzero(y == code))
        size = int(np.clip(round(fraction * cells.size), 1, cells.size - 1))
        parts.append(cells[:size])
    return np.concatenate(parts)


def _best_groups(
    y: np.ndarray, g: np.ndarray, fraction: float, rng: np.random.Generator
) -> np.ndarray:
    table = np.zeros((g.max() + 1, y.max() + 1))
    np.add.at(table, (g, y), 1.0)
    per_class = table.sum(axis=0)
    best: tuple[float, np.ndarray] | None = None
    for _ in range(MAX_SHUFFLES):
        order = rng.permutation(len(table))
        taken = np.cumsum(table[order], axis=0)
        possible = ((taken > 0) & (taken < per_class)).all(axis=1)
        for size in np.flatnonzero(possible):
            share = taken[size] / per_class
            miss = abs(taken[size].sum() / y.size - fraction) + np.abs(share - fraction).mean()
            if best is None or miss < best[0]:
                best = miss, order[: size + 1]
    if best is None:
        msg = problem(
            "groups that leave every class on both sides",
            f"none in {MAX_SHUFFLES} draws",
            "Add donors of the rare class.",
        )
        raise ValueError(msg)
    return np.flatnonzero(np.isin(g, best[1]))
