"""Deal whole groups to training, validation and test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._constants import TEST, TRAIN, VALID
from dtp_scvi._validate import check_range, problem, shorten

if TYPE_CHECKING:
    import pandas as pd

Shares = tuple[float, float, float]


def check_fractions(fractions: tuple[float, float, float]) -> Shares:
    """Return three fractions above 0 that sum to 1, or raise."""
    given = tuple(float(value) for value in fractions)
    if len(given) != 3 or min(given) <= 0 or abs(sum(given) - 1) > 1e-6:
        msg = problem(
            "three `fractions` above 0 (training, validation, test) that sum to 1",
            repr(fractions),
            "A split needs all three parts: without a validation part the test part would choose "
            "the model.",
        )
        raise ValueError(msg)
    return given[0], given[1], given[2]


def check_fold(fold: int, share: float, *, one: bool) -> None:
    """Raise unless there is such a fold."""
    last = 0 if one else int(1 / share + 1e-9) - 1
    if isinstance(fold, bool) or int(fold) != fold:
        msg = problem("a whole number as `fold`", repr(fold), "Change `fold`.")
        raise ValueError(msg)
    check_range(fold, "fold", 0, last)


def deal(
    groups: pd.Series, shares: Shares, fold: int, rng: np.random.Generator, *, what: str
) -> dict[str, str]:
    """Return the part of each group; test parts of different folds share none."""
    names = np.array(sorted(groups.unique()), dtype=object)
    # One group a test part at least, if there is to be more than one test part.
    _enough(names, what, "in all", int(1 / shares[2] + 1e-9) if fold else 3)
    return _window(rng.permutation(names), shares, fold)


def ordered(
    groups: pd.Series,
    shares: Shares,
    fold: int,
    rng: np.random.Generator,
    *,
    what: str,
    interpolate: bool,
) -> dict[str, str]:
    """Return the part of each level: the highest are tested, or inner ones to ``interpolate``."""
    names = np.array(sorted(groups.unique()), dtype=object)
    _enough(names, what, "levels in all", 4 if interpolate else 3)
    if interpolate:
        inner, n = rng.permutation(names[1:-1]), len(names)
        # Shares of all levels, taken from the inner ones; the ends are always trained on.
        n_test = int(np.clip(round(shares[2] * n), 1, len(inner) - 1))
        n_valid = int(np.clip(round(shares[1] * n), 1, len(inner) - n_test))
        check_range(fold, "fold", 0, len(inner) // n_test - 1)
        order = np.roll(inner, -fold * n_test)
        held = dict.fromkeys(order[:n_test], TEST)
        held |= dict.fromkeys(order[n_test : n_test + n_valid], VALID)
        return {name: held.get(name, TRAIN) for name in names}
    return _window(names[::-1], shares, 0)


def _window(order: np.ndarray, shares: Shares, fold: int) -> dict[str, str]:
    """Lay the parts along a circle of groups: test first, then validation, then training."""
    n = len(order)
    start, stop = (round(k * n * shares[2]) for k in (fold, fold + 1))
    n_test = max(1, stop - start)
    n_valid = int(np.clip(round(n * shares[1]), 1, n - n_test - 1))
    turned = np.roll(order, -start)
    place = dict.fromkeys(turned[:n_test], TEST)
    place |= dict.fromkeys(turned[n_test : n_test + n_valid], VALID)
    return place | dict.fromkeys(turned[n_test + n_valid :], TRAIN)


def _enough(names: np.ndarray, what: str, all_of_them: str, least: int) -> None:
    if len(names) < least:
        msg = problem(
            f"at least {least} {what} for a split by {what}",
            f"{len(names)} {all_of_them} ({shorten(names)})",
            "Split by something that these data have more of.",
        )
        raise ValueError(msg)
