"""Shares of a whole: do rows sum to one number, closing them, and the centred log-ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dtp_scvi.stats._auroc import auroc

# Half of the rows sum to the same, to a thousandth: what pp.audit calls a composition too.
_CONSTANT: Final = 1e-3
# Totals this near to a power of ten (1, 100, 10,000, a million) were meant to be it.
_ROUND: Final = 1e-2


@dataclass(frozen=True)
class Closure:
    """
    How the rows of a matrix add up.

    Attributes
    ----------
    total
        Sum of each row, float64, (n,).
    expected
        What rows should sum to: the power of ten within 1 % of the median sum, else that median.
    deviation
        ``total / expected - 1`` of each row; 0 within the tolerance, (n,).
    constant
        Whether half of the rows sum to the same, to a thousandth. Counts and panels cut out of
        a larger matrix do not, and nothing is wrong with them.
    """

    total: np.ndarray
    expected: float
    deviation: np.ndarray
    constant: bool

    @property
    def n_open(self) -> int:
        """Number of rows that do not close."""
        return int(np.count_nonzero(self.deviation))

    @property
    def largest(self) -> float:
        """Largest deviation, relative, without its sign."""
        return float(np.abs(self.deviation).max())

    def auroc(self, is_positive: np.ndarray) -> float:
        """Return how the row sum alone ranks the label; rows that close are tied."""
        return auroc(is_positive, self.deviation)


def closure(total: np.ndarray, tolerance: float) -> Closure:
    """
    Compare row sums with the constant they should be.

    Parameters
    ----------
    total
        Sums of rows, all above 0.
    tolerance
        Largest relative deviation of a row that closes.
    """
    total = np.asarray(total, np.float64)
    low, middle, high = np.quantile(total, [0.25, 0.5, 0.75])
    power = 10.0 ** round(float(np.log10(middle)))
    expected = power if abs(middle / power - 1) <= _ROUND else float(middle)
    deviation = total / expected - 1
    deviation[np.abs(deviation) <= tolerance] = 0.0
    return Closure(total, expected, deviation, bool(high - low < _CONSTANT * middle))


def close_rows(values: np.ndarray) -> np.ndarray:
    """Return rows divided by their sums, float64; the caller has checked that sums are above 0."""
    values = np.asarray(values, np.float64)
    return values / values.sum(axis=1, keepdims=True)


def replace_zeros(shares: np.ndarray, delta: float) -> np.ndarray:
    """
    Put ``delta`` for each zero and shrink the rest, so that rows still sum to 1.

    Multiplicative replacement (Martín-Fernández et al. 2003, doi:10.1023/A:1023866030544) keeps
    the ratios between values that were measured; adding a constant to all of them would not.
    """
    zero = shares == 0
    return np.where(zero, delta, shares * (1 - delta * zero.sum(axis=1, keepdims=True)))


def centred_log_ratio(shares: np.ndarray) -> np.ndarray:
    """Return log of each value over the geometric mean of its row (Aitchison 1982)."""
    logs = np.log(shares)
    return logs - logs.mean(axis=1, keepdims=True)
