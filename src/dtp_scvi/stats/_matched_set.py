"""Whether a set has lower or higher values than random sets of the same make-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from dtp_scvi._validate import check_one_of, check_positive_int, problem
from dtp_scvi.stats._check import as_codes, as_vector
from dtp_scvi.stats._matched_draws import matched_draws

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class MatchedSetTest:
    """
    Mean of a set beside the means of matched random sets.

    Attributes
    ----------
    observed
        Mean value of the set.
    expected, low, high
        Mean of the random sets' means, and the ends of the middle 95 % of them.
    p
        Share of random sets at least as extreme, counting the set itself.
    z
        Distance from ``expected`` in standard deviations of the random sets; NaN if they are all
        alike.
    n, n_background
        Members of the set, and all that random sets are drawn from, the set's own included.
    fewest_per_member
        Background of the tightest bin per member of the set in it: with 1 the bin holds nothing
        else, and those members are compared to themselves.
    n_permutations
        Number of random sets.
    """

    observed: float
    expected: float
    low: float
    high: float
    p: float
    z: float
    n: int
    n_background: int
    fewest_per_member: float
    n_permutations: int


def matched_set_test(
    values: ArrayLike,
    members: ArrayLike,
    bins: ArrayLike | None = None,
    *,
    alternative: Literal["less", "greater"] = "less",
    n_permutations: int = 2000,
    seed: int | None = 0,
) -> MatchedSetTest:
    """
    Compare the mean of a set with random sets that take as many from each bin.

    Parameters
    ----------
    values
        Value of each gene, finite.
    members
        Whether each gene is in the set.
    bins
        Bin of each gene, as of :func:`matching_bins`; ``None`` puts all in one. Sets are drawn by
        :func:`matched_draws`.
    alternative
        Whether low or high values are the finding.
    n_permutations
        Number of random sets.
    seed
        Seed of the draws.

    Returns
    -------
    :class:`MatchedSetTest`; the p of a random set is uniform (up to its steps), for each set of
    that make-up, this one included, is as likely to be drawn.

    Raises
    ------
    ValueError
        When the set is empty or a value is not finite.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> found = stats.matched_set_test([-2, -1, 0, 1, 2, 3], [True, True, 0, 0, 0, 0])
    >>> found.observed, found.n_background, found.p < 0.15
    (-1.5, 6, True)
    """
    check_one_of(alternative, ("less", "greater"), "alternative")
    check_positive_int(n_permutations, "n_permutations")
    array = np.asarray(values, dtype=np.float64)
    array = as_vector(array, "values", len(array))
    inside = np.asarray(members).astype(bool)
    codes = np.zeros(len(array), np.intp) if bins is None else as_codes(bins, len(array), "bins")
    if len(inside) != len(array) or not inside.any():
        found = f"{len(inside):,} marks, {int(inside.sum()):,} of them true"
        msg = problem(f"a mark for each of {len(array):,} genes, and one true", found, "Check it.")
        raise ValueError(msg)
    places = np.flatnonzero(inside)
    sets = matched_draws(places, codes, n_permutations, seed=seed)
    observed, null = float(array[places].mean()), array[sets].mean(axis=1)
    taken = np.bincount(codes[places], minlength=codes.max() + 1)
    fewest = (np.bincount(codes)[taken > 0] / taken[taken > 0]).min()
    # Sums of the same numbers in another order differ by rounding.
    slack = 1e-9 * max(1.0, float(np.abs(array).max()))
    extreme = null <= observed + slack if alternative == "less" else null >= observed - slack
    spread = float(null.std())
    low, high = np.quantile(null, [0.025, 0.975])
    return MatchedSetTest(
        observed=observed,
        expected=float(null.mean()),
        low=float(low),
        high=float(high),
        p=float((1 + np.count_nonzero(extreme)) / (1 + n_permutations)),
        z=(observed - float(null.mean())) / spread if spread > slack else float("nan"),
        n=len(places),
        n_background=len(array),
        fewest_per_member=float(fewest),
        n_permutations=n_permutations,
    )
