"""Split cells by donor, so that no donor is in training and test data at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_positive_int, problem, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Fold = tuple[np.ndarray, np.ndarray]
MAX_SHUFFLES = 100


def _codes(values: Sequence[object] | np.ndarray, argument: str) -> tuple[np.ndarray, list[str]]:
    series = pd.Series(values)
    missing = int(series.isna().sum())
    if missing:
        msg = problem(
            f"`{argument}` without missing values",
            f"{missing:,} of {len(series):,} missing",
            "Drop these cells or name the value.",
        )
        raise ValueError(msg)
    codes, names = pd.factorize(series.astype(str), sort=True)
    return codes, [str(name) for name in names]


def encode_both(
    labels: Sequence[object] | np.ndarray, groups: Sequence[object] | np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Return codes of labels and groups, the class names and the group names."""
    y, classes = _codes(labels, "labels")
    g, donors = _codes(groups, "groups")
    if y.size != g.size:
        msg = problem("one group per label", f"{g.size:,} and {y.size:,}", "Check their lengths.")
        raise ValueError(msg)
    if len(classes) < 2:
        msg = problem("labels of at least two classes", shorten(classes), "Add the other class.")
        raise ValueError(msg)
    return y, g, classes, donors


def _donors_per_class(y: np.ndarray, g: np.ndarray) -> np.ndarray:
    held = np.zeros((y.max() + 1, g.max() + 1), bool)
    held[y, g] = True
    return held.sum(axis=1)


def feasible_folds(labels: Sequence[object], groups: Sequence[object]) -> int:
    """
    Return the largest number of folds in which every test fold can hold every class.

    It is the number of groups that hold the rarest class; a group with several classes counts for
    each of them. With three or more classes it is an upper bound.

    Parameters
    ----------
    labels
        Class of each cell.
    groups
        Donor (or batch) of each cell.

    Examples
    --------
    >>> from dtp_scvi.data import feasible_folds
    >>> feasible_folds(["a", "a", "b", "b", "a"], [1, 2, 3, 4, 5])
    2
    """
    y, g, _, _ = encode_both(labels, groups)
    return int(_donors_per_class(y, g).min())


def group_folds(
    labels: Sequence[object],
    groups: Sequence[object] | None,
    n_folds: int = 5,
    *,
    seed: int | None = 0,
) -> list[Fold]:
    """
    Split into folds of whole groups with every class in each training and test part.

    Made by :class:`sklearn.model_selection.StratifiedGroupKFold`, whose shuffle decides between
    groups of equal composition. Where a class is absent from one of its folds, up to 100 random
    deals of the groups are tried, the rarest class first.

    Parameters
    ----------
    labels
        Class of each cell.
    groups
        Donor (or batch) of each cell; ``None`` splits single cells, which is optimistic.
    n_folds
        Number of folds, 2 or more.
    seed
        Seed of the shuffles.

    Returns
    -------
    ``(train, test)`` positions of each fold; every cell is tested once.

    Raises
    ------
    ValueError
        When values are missing, or the groups allow fewer folds; the message names how many.

    Examples
    --------
    >>> from dtp_scvi.data import group_folds
    >>> folds = group_folds(["a", "b"] * 6, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], 3)
    >>> [len(test) for train, test in folds]
    [4, 4, 4]
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    _check_n_folds(n_folds)
    cells = np.arange(len(labels))
    y, g, classes, donors = encode_both(labels, cells if groups is None else groups)
    check_feasible(y, g, classes, n_folds, grouped=groups is not None)
    if groups is None:
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=_states(seed, 1)[0])
        return [(train, test) for train, test in splitter.split(y, y)]
    state, *states = _states(seed, MAX_SHUFFLES + 1)
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=state)
    folds = [(train, test) for train, test in splitter.split(y, y, g)]
    if _complete(y, folds):
        return folds
    for state in states:
        fold = _deal(y, g, n_folds, np.random.default_rng(state))
        folds = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]
        if _complete(y, folds):
            return folds
    msg = problem(
        f"{n_folds} folds with every class in each",
        f"none in {MAX_SHUFFLES} deals of {len(donors)} groups",
        f"Ask for fewer folds; at most {feasible_folds(labels, groups)} can exist.",
    )
    raise ValueError(msg)


def _check_n_folds(n_folds: int) -> None:
    check_positive_int(n_folds, "n_folds")
    if n_folds < 2:
        msg = problem("`n_folds` of 2 or more", repr(n_folds), "Change `n_folds`.")
        raise ValueError(msg)


def check_feasible(
    y: np.ndarray, g: np.ndarray, classes: list[str], n_folds: int, *, grouped: bool
) -> None:
    """Raise ``ValueError`` when a class has fewer groups than there are folds."""
    donors = _donors_per_class(y, g)
    most = int(donors.min())
    if n_folds <= most:
        return
    what = "groups" if grouped else "cells"
    found = ", ".join(f"{n} {what} with {c!r}" for c, n in zip(classes, donors, strict=True))
    todo = (
        f"The feasible maximum is {most} folds."
        if most >= 2
        else f"Two folds need two {what} of each class"
        + ("; groups=None splits single cells, which is optimistic." if grouped else ".")
    )
    msg = problem(f"at least {n_folds} {what} of each class for {n_folds} folds", found, todo)
    raise ValueError(msg)


def _states(seed: int | None, n: int) -> list[int]:
    return [int(state) for state in np.random.default_rng(seed).integers(0, 2**31, n)]


def _complete(y: np.ndarray, folds: list[Fold]) -> bool:
    n_classes = int(y.max()) + 1
    return all(_has_all(y, part, n_classes) for fold in folds for part in fold)


def _deal(y: np.ndarray, g: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Deal whole groups to folds, first to those that lack a class; return each cell's fold."""
    table = np.zeros((y.max() + 1, g.max() + 1), np.int64)
    np.add.at(table, (y, g), 1)
    dealt = np.full(table.shape[1], -1)
    cells = np.zeros(n_folds, np.int64)
    holds = np.zeros((table.shape[0], n_folds), bool)

    def give(group: int, fold: int) -> None:
        dealt[group] = fold
        cells[fold] += table[:, group].sum()
        holds[:, fold] |= table[:, group] > 0

    for label in np.argsort((table > 0).sum(axis=1), kind="stable"):
        for group in rng.permutation(np.flatnonzero((table[label] > 0) & (dealt < 0))):
            lacking = np.flatnonzero(~holds[label])
            if lacking.size:
                give(group, lacking[np.argmin(cells[lacking])])
    rest = np.flatnonzero(dealt < 0)
    for group in rest[np.argsort(-table[:, rest].sum(axis=0), kind="stable")]:
        give(group, int(np.argmin(cells)))
    return dealt[g]


def _has_all(y: np.ndarray, part: np.ndarray, n_classes: int) -> bool:
    return np.unique(y[part]).size == n_classes


def leave_one_group_out(
    labels: Sequence[object], groups: Sequence[object]
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """
    Hold out one group (batch, tissue, platform) after the other.

    Parameters
    ----------
    labels
        Class of each cell.
    groups
        Group of each cell.

    Returns
    -------
    ``(group, train, test)`` for each group in sorted order. A test part may lack a class.

    Raises
    ------
    ValueError
        When there is one group only, or the cells outside a group lack a class.

    Examples
    --------
    >>> from dtp_scvi.data import leave_one_group_out
    >>> [name for name, train, test in leave_one_group_out(["a", "b"] * 2, ["x", "x", "y", "y"])]
    ['x', 'y']
    """
    y, g, classes, names = encode_both(labels, groups)
    return list(_each_group(y, g, classes, names))


def _each_group(
    y: np.ndarray, g: np.ndarray, classes: list[str], names: list[str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for code, name in enumerate(names):
        train, test = np.flatnonzero(g != code), np.flatnonzero(g == code)
        if not _has_all(y, train, len(classes)):
            here = [c for i, c in enumerate(classes) if not (y[train] == i).any()]
            msg = problem(
                "every class outside each group",
                f"{shorten(here)} in group {name!r} only",
                "The label can't be told from the group; leave-one-group-out is impossible.",
            )
            raise ValueError(msg)
        yield name, train, test
