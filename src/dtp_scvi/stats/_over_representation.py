"""Over-representation of sets in a list, against a background that is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import hypergeom

from dtp_scvi._validate import problem

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def over_representation(
    n_hits: ArrayLike, n_set: ArrayLike, n_list: ArrayLike, n_background: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Test whether a list holds more of a set than a draw from the background would.

    Parameters
    ----------
    n_hits
        Genes in both the list and the set; any shape that broadcasts with the others.
    n_set
        Genes of the set in the background.
    n_list
        Genes of the list in the background.
    n_background
        Genes that could have been in the list.

    Returns
    -------
    Log odds ratio with 0.5 added to each cell of the two-by-two table (natural logarithm), and
    the one-sided p of ``n_hits`` or more under the hypergeometric distribution, which is that of
    Fisher's exact test.

    Raises
    ------
    ValueError
        When the numbers contradict each other.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> log_odds, p = stats.over_representation(5, 5, 10, 100)
    >>> log_odds.round(3), p.round(7)
    (np.float64(5.198), np.float64(3.3e-06))
    """
    hits, in_set, listed, total = np.broadcast_arrays(
        *(np.asarray(part, dtype=np.int64) for part in (n_hits, n_set, n_list, n_background))
    )
    rest = total - in_set - listed + hits
    if ((hits < 0) | (hits > in_set) | (hits > listed) | (rest < 0)).any():
        msg = problem(
            "hits within set and list, and these within the background",
            "numbers that contradict each other",
            "Count set and list inside the background.",
        )
        raise ValueError(msg)
    odds = (hits + 0.5) * (rest + 0.5) / ((in_set - hits + 0.5) * (listed - hits + 0.5))
    return np.log(odds), np.asarray(hypergeom.sf(hits - 1, total, in_set, listed))
