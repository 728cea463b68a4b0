"""An interval for the size of a vector of gaps, which noise alone makes large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dtp_scvi.stats._bootstrap import tails

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Size = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_HALVINGS: Final = 30
_LARGEST: Final = 64.0


def total(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of absolute values along the last axis."""
    return np.abs(gaps).sum(axis=-1)


def norm_interval(
    gaps: NDArray[np.float64],
    draws: NDArray[np.float64],
    level: float,
    *,
    n_clusters: int | None = None,
    size: Size = total,
) -> tuple[float, float]:
    """
    Interval of ``size(true gaps)`` from gaps found and their resamples, shape (resamples, gaps).

    The size of ``true + noise`` exceeds that of ``true``, and resampling adds noise once more, so
    percentiles of the resamples lie too high.

    Low end: ``c * gaps + noise`` with the noise of the resamples stands for what would be seen if
    the truth were ``c`` times what was found, and the smallest ``size(c * gaps)`` for which the
    size seen is no surprise is the end (inversion of a bootstrap test, Hansen 1999,
    doi:10.1162/003465399558463, along the line through the gaps); 0 where noise alone explains
    what was seen. High end: the percentile of the resamples, times what was seen over their mean.
    The inverted high end held the truth too rarely in simulations, as ``c * gaps`` has no room
    for noise that happened to cancel gaps.
    """
    noise, seen, sizes = draws - gaps, float(size(gaps)), size(draws)
    _, above = tails(level, n_clusters)

    def seen_at_most(scale: float) -> bool:
        return seen <= float(np.quantile(size(scale * gaps + noise), above))

    low, high = 0.0, 1.0
    if seen_at_most(0.0):
        high = 0.0
    # At 1 the noise is centred on the gaps and only adds to their size, but for a few draws.
    while not seen_at_most(high) and high < _LARGEST:
        low, high = high, 2 * high
    for _ in range(_HALVINGS if high > 0 else 0):
        middle = (low + high) / 2
        low, high = (low, middle) if seen_at_most(middle) else (middle, high)
    lower, mean = float(size(high * gaps)), float(sizes.mean())
    upper = float(np.quantile(sizes, above)) * (seen / mean if mean > 0 else 1.0)
    return lower, min(max(lower, upper), 1.0)
