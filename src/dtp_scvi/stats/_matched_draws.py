"""Random sets of items that resemble a given set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_positive_int, problem
from dtp_scvi.stats._check import as_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def matching_bins(
    columns: Sequence[ArrayLike], *, per_bin: int = 20, most: int = 10
) -> NDArray[np.intp]:
    """
    Number cells of a grid of quantiles that hold about ``per_bin`` items each, or more.

    Parameters
    ----------
    columns
        One or several columns of numbers of one length. NaN has a bin of its own.
    per_bin
        Items that a cell should hold, if columns are independent.
    most
        Most quantiles per column.

    Returns
    -------
    The cell of each item; equal numbers share one.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.matching_bins([[0.1, 0.2, 0.3, 0.4]], per_bin=2).tolist()
    [0, 0, 1, 1]
    """
    if not columns:
        msg = problem("at least one column to match on", "none", "Pass abundance, for example.")
        raise ValueError(msg)
    n = len(np.asarray(columns[0]))
    check_positive_int(per_bin, "per_bin")
    check_positive_int(most, "most")
    bins = int(np.clip((n / per_bin) ** (1 / len(columns)), 1, most))
    codes = np.zeros(n, np.intp)
    for column in columns:
        shares = pd.Series(np.asarray(column, dtype=np.float64)).rank(pct=True)
        cell = np.ceil(shares * bins).fillna(0).to_numpy().astype(np.intp)
        codes = codes * (bins + 1) + cell
    return np.unique(codes, return_inverse=True)[1].astype(np.intp)


def matched_draws(
    members: ArrayLike, bins: ArrayLike, n_draws: int, *, seed: int | None = 0
) -> NDArray[np.intp]:
    """
    Draw sets that hold as many items of each bin as a given set.

    Parameters
    ----------
    members
        Positions of the set's items, each once.
    bins
        Bin of every item of the list, as of :func:`matching_bins`.
    n_draws
        Number of sets.
    seed
        Seed of the draws.

    Returns
    -------
    Positions, shape (draws, members), without repeats within a set. Members may be drawn: under
    the null the set itself is one of its draws, which makes ``(1 + count) / (1 + draws)`` valid.

    Raises
    ------
    ValueError
        When a member is repeated or is no position.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> sets = stats.matched_draws([0, 3], [0, 0, 0, 1, 1], 4)
    >>> sets.shape, bool((sets[:, 0] < 3).all())
    ((4, 2), True)
    """
    check_positive_int(n_draws, "n_draws")
    codes = as_codes(bins, len(np.asarray(bins)), "bins")
    inside = np.asarray(members, dtype=np.intp)
    if len(np.unique(inside)) < len(inside) or not ((inside >= 0) & (inside < len(codes))).all():
        msg = problem(
            f"different positions from 0 to {len(codes) - 1}", f"{inside.tolist()}", "Mend them."
        )
        raise ValueError(msg)
    rng = np.random.default_rng(seed)
    drawn = np.empty((n_draws, len(inside)), np.intp)
    for code in np.unique(codes[inside]):
        pool = np.flatnonzero(codes == code)
        columns = np.flatnonzero(codes[inside] == code)
        if len(columns) == len(pool):
            drawn[:, columns] = pool
            continue
        # A block of draws holds about a million random numbers.
        step = max(1, 1_000_000 // len(pool))
        for start in range(0, n_draws, step):
            rows = slice(start, min(start + step, n_draws))
            keys = rng.random((rows.stop - start, len(pool)))
            order = np.argpartition(keys, len(columns) - 1, axis=1)[:, : len(columns)]
            drawn[rows, columns] = pool[order]
    return drawn
