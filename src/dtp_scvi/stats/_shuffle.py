"""Cross-tables that chance alone would give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.stats import random_table

from dtp_scvi._validate import check_positive_int
from dtp_scvi.stats._check import as_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

Unit = Literal["rows", "groups"]


def shuffled_tables(
    levels: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    n_draws: int = 200,
    seed: int | None = 0,
) -> tuple[Unit, Iterator[NDArray[np.float64]]]:
    """
    Draw cross-tables of two columns as if they had nothing to do with each other.

    Where one of the columns belongs to ``groups`` (a tissue or a label that is the same for all
    cells of a donor), its values are dealt out to whole groups, because cells of a donor are no
    independent evidence. Otherwise single rows are shuffled.

    Parameters
    ----------
    levels
        Level of the column, one per row.
    labels
        Class, one per row.
    groups
        Donor of each row, or ``None``.
    n_draws
        Number of tables.
    seed
        Seed of the shuffles.

    Returns
    -------
    unit
        What was shuffled, ``"rows"`` or ``"groups"``.
    tables
        ``n_draws`` tables of shape (levels, classes), levels and classes in sorted order.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> unit, tables = stats.shuffled_tables([0, 0, 1, 1], [0, 1, 0, 1], [5, 5, 6, 6], n_draws=1)
    >>> unit, next(tables).tolist()
    ('groups', [[1.0, 1.0], [1.0, 1.0]])
    """
    check_positive_int(n_draws, "n_draws")
    n = len(np.asarray(labels))
    y, x = as_codes(labels, n), as_codes(levels, n)
    rng = np.random.default_rng(seed)
    g = None if groups is None else as_codes(groups, n)
    for first, second, turned in ((x, y, False), (y, x, True)):
        if g is not None and _belongs(first, g):
            return "groups", _by_group(first, second, g, n_draws, rng, turned=turned)
    table = _cross(x, y)
    return "rows", _by_row(table, n_draws, rng)


def _belongs(codes: NDArray[np.intp], g: NDArray[np.intp]) -> bool:
    low, high = np.full(g.max() + 1, codes.max() + 1), np.full(g.max() + 1, -1)
    np.minimum.at(low, g, codes)
    np.maximum.at(high, g, codes)
    return bool((low == high).all())


def _cross(x: NDArray[np.intp], y: NDArray[np.intp]) -> NDArray[np.int64]:
    shape = (int(x.max()) + 1, int(y.max()) + 1)
    return np.bincount(x * shape[1] + y, minlength=shape[0] * shape[1]).reshape(shape)


def _by_row(
    table: NDArray[np.int64], n_draws: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    if min(table.shape) < 2:
        # Only one table has these sums; scipy 1.17 returns negative counts for it.
        yield from (table.astype(np.float64) for _ in range(n_draws))
        return
    draw = random_table(table.sum(axis=1), table.sum(axis=0))
    for _ in range(n_draws):
        yield np.asarray(draw.rvs(random_state=rng), dtype=np.float64)


def _by_group(
    fixed: NDArray[np.intp],
    free: NDArray[np.intp],
    g: NDArray[np.intp],
    n_draws: int,
    rng: np.random.Generator,
    *,
    turned: bool,
) -> Iterator[NDArray[np.float64]]:
    """Deal the values of the column that belongs to the groups out to them anew."""
    of_group = np.zeros(g.max() + 1, np.intp)
    of_group[g] = fixed
    content = _cross(g, free)
    for _ in range(n_draws):
        table = np.zeros((fixed.max() + 1, content.shape[1]))
        np.add.at(table, rng.permutation(of_group), content)
        yield table.T if turned else table
