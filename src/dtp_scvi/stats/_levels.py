"""How well a column of categories tells the classes of a label apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._validate import problem

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def cramers_v(counts: ArrayLike, *, bias_correction: bool = True) -> float:
    """
    Cramér's V of a cross-table of two categorical columns.

    Parameters
    ----------
    counts
        Number of rows per level (rows) and class (columns).
    bias_correction
        Correct for the V that chance alone gives in large or sparse tables (Bergsma 2013, J.
        Korean Stat. Soc. 42:323).

    Returns
    -------
    From 0 (no association) to 1 (one column determines the other); 0 where a column has one
    level, or where every row has a level of its own.

    Raises
    ------
    ValueError
        Not a table of non-negative numbers, or empty.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.cramers_v([[30, 0], [0, 20]])
    1.0
    >>> stats.cramers_v([[15, 15], [10, 10]])
    0.0
    """
    table = _table(counts)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    n, (rows, columns) = table.sum(), table.shape
    if min(rows, columns) < 2:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi2 = float(((table - expected) ** 2 / expected).sum() / n)
    if not bias_correction:
        return float(np.sqrt(min(1.0, phi2 / (min(rows, columns) - 1))))
    phi2 = max(0.0, phi2 - (rows - 1) * (columns - 1) / (n - 1))
    room = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    # With a level for every row nothing is left to correct by: such a column says nothing.
    return float(np.sqrt(min(1.0, phi2 / room))) if room > 1e-9 else 0.0


def level_auroc(positive: ArrayLike, negative: ArrayLike) -> float:
    """
    AUROC of a class predicted from a column of categories alone, each pair left out.

    A row is scored by the share of positives among the *other* rows of its level; both rows of
    the pair that is compared are left out of these shares (leave-pair-out, Airola et al. 2011,
    Comput. Stat. Data Anal. 55:1828), so that a column without information comes out at 0.5
    on average. The share in the whole data stands in for a level without other rows, so a level
    for every row gives 0.5, not 1.

    Parameters
    ----------
    positive, negative
        Number of rows of either class per level, shape (levels,).

    Returns
    -------
    In [0, 1]; 0.5 is chance.

    Raises
    ------
    ValueError
        Unequal lengths, negative numbers, or a class without rows.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.level_auroc([30, 0], [0, 20])
    1.0
    >>> stats.level_auroc([1, 1, 0, 0], [0, 0, 1, 1])
    0.5
    """
    table = _table(np.stack([np.ravel(positive), np.ravel(negative)], axis=1))
    n_true, n_false = table.sum(axis=0)
    if n_true == 0 or n_false == 0:
        msg = problem("rows of both classes", f"{n_true:g} and {n_false:g}", "Add the other.")
        raise ValueError(msg)
    # Levels of equal composition behave alike, and there are few compositions.
    kinds, times = np.unique(table[table.sum(axis=1) > 0], axis=0, return_counts=True)
    k, size = kinds[:, 0], kinds.sum(axis=1)
    overall = (n_true - 1) / max(1.0, n_true + n_false - 2)
    alone = np.full(len(kinds), overall)
    without_true = np.divide(k - 1, size - 1, out=alone.copy(), where=size > 1)
    without_false = np.divide(k, size - 1, out=alone.copy(), where=size > 1)
    gap = without_true[:, None] - without_false[None, :]
    wins = np.where(np.abs(gap) < 1e-12, 0.5, gap > 0)
    pairs_of_levels = np.outer(times, times) - np.diag(times)
    pairs = np.outer(k, size - k)
    won = float((wins * pairs * pairs_of_levels).sum())
    # Two rows of one level have one score.
    won += 0.5 * float((np.diag(pairs) * times).sum())
    return won / float(n_true * n_false)


def pure_share(counts: ArrayLike) -> float:
    """
    Share of rows whose level holds one class only; at 1 the column gives the class away.

    Levels of a single row are left out: they hold one class whatever the column means.

    Parameters
    ----------
    counts
        Number of rows per level (rows) and class (columns).

    Returns
    -------
    In [0, 1]; NaN where less than half of the rows share their level with another row, so that
    the column can't be judged.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.pure_share([[30, 0], [0, 20]]), stats.pure_share([[30, 0], [10, 10]])
    (1.0, 0.6)
    """
    table = _table(counts)
    size = table.sum(axis=1)
    shared = size > 1
    if size[shared].sum() < 0.5 * size.sum():
        return float("nan")
    pure = shared & (table.max(axis=1) == size)
    return float(size[pure].sum() / size[shared].sum())


def _table(counts: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all() or table.min() < 0:
        found = f"shape {table.shape}" + (f", least {table.min():g}" if table.size else "")
        msg = problem("a table of non-negative counts", found, "Pass counts per level and class.")
        raise ValueError(msg)
    if table.sum() < 2:
        msg = problem("counts of at least two rows", f"{table.sum():g}", "Pass more rows.")
        raise ValueError(msg)
    return table
