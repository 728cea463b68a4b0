"""Means, deviations and covariances of features, and the maps from one data set's onto another's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import scipy.sparse as sp
from sklearn.covariance import empirical_covariance, ledoit_wolf, shrunk_covariance

from dtp_scvi._constants import FEWEST_FOR_MOMENTS
from dtp_scvi._validate import check_range, problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

# A deviation of this share of the mean is the rounding of single precision.
_CONSTANT: Final = 1e-6
# A direction with less than this share of the largest variance has none to be scaled up.
_FLAT: Final = 1e-10
LEDOIT_WOLF: Final = "ledoit_wolf"


@dataclass(frozen=True, eq=False)
class Moments:
    """
    Mean and population standard deviation of each feature.

    Parameters
    ----------
    mean
        Means, float64, (n_features,).
    sd
        Standard deviations with divisor ``n``, (n_features,).
    n
        Rows that they rest on.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> rows = np.random.default_rng(0).normal(3, 2, (100, 4))
    >>> found = stats.Moments.from_blocks([rows[:60], rows[60:]])
    >>> bool(np.allclose(found.sd, rows.std(axis=0)))
    True
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    n: int

    @classmethod
    def from_blocks(cls, blocks: Iterable[ArrayLike | sp.spmatrix | sp.sparray]) -> Self:
        """
        Read rows block by block, in constant memory.

        Parameters
        ----------
        blocks
            Arrays or sparse matrices, each (n_rows, n_features). Deviations are pooled from those
            within the blocks, not from sums of squares, which would cancel (Chan et al.,
            doi:10.1080/00031305.1983.10483115).

        Raises
        ------
        ValueError
            When there is no row, or a value is NaN or infinite.
        """
        n, mean, squares = 0, np.zeros(0), np.zeros(0)
        for block in blocks:
            dense: Any = block.toarray() if sp.issparse(block) else block  # type: ignore[union-attr]
            rows = np.asarray(dense, dtype=np.float64)
            if not len(rows):
                continue
            own = rows.mean(axis=0)
            spread = np.square(rows - own).sum(axis=0)
            if not n:
                n, mean, squares = len(rows), own, spread
                continue
            both, step = n + len(rows), own - mean
            squares = squares + spread + step**2 * (n * len(rows) / both)
            mean, n = mean + step * (len(rows) / both), both
        if not n or not np.isfinite(mean).all():
            found = "no row" if not n else "NaN or infinite values"
            raise ValueError(problem("rows of finite values", found, "Check the input."))
        return cls(mean, np.sqrt(squares / n), n)

    @staticmethod
    def check_enough(n: int) -> None:
        """
        Raise where moments would rest on fewer rows than ten.

        Parameters
        ----------
        n
            Rows.

        Raises
        ------
        ValueError
            When they are too few.
        """
        if n >= FEWEST_FOR_MOMENTS:
            return
        msg = problem(
            f"at least {FEWEST_FOR_MOMENTS} rows to take moments of",
            f"{n:,}",
            "Pass more rows, or use no adaptation.",
        )
        raise ValueError(msg)

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Features without spread: a deviation of a millionth of the mean, or of 1, and less."""
        return self.sd <= _CONSTANT * np.maximum(1.0, np.abs(self.mean))


def moment_map(
    own: Moments, reference: Moments
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""
    Return gain and shift that give each feature the mean and deviation of a reference.

    .. math:: y = \sigma_Y \frac{x - \mu_X}{\sigma_X} + \mu_Y

    A feature that is constant in the rows or in the reference becomes the reference's mean: nothing
    is known of how far it should spread.

    Parameters
    ----------
    own
        Moments of the rows to map, of at least ten rows.
    reference
        Moments that they get.

    Returns
    -------
    ``gain`` and ``shift``, float64, (n_features,): ``y = gain * x + shift``.

    Raises
    ------
    ValueError
        When the rows are fewer than ten, or the features differ in number.

    References
    ----------
    Huang & Belongie, Arbitrary style transfer in real-time with adaptive instance normalization,
    ICCV 2017; here over the rows of a data set.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> rows = np.random.default_rng(0).normal(3, 2, (100, 4))
    >>> unit = stats.Moments(np.zeros(4), np.ones(4), 100)
    >>> gain, shift = stats.moment_map(stats.Moments.from_blocks([rows]), unit)
    >>> bool(np.allclose((rows * gain + shift).std(axis=0), 1))
    True
    """
    Moments.check_enough(own.n)
    if own.mean.shape != reference.mean.shape:
        found = f"{len(own.mean):,} and {len(reference.mean):,}"
        raise ValueError(problem("moments of the same features", found, "Align the features."))
    usable = ~(own.constant | reference.constant)
    gain = np.divide(reference.sd, own.sd, out=np.zeros_like(own.sd), where=usable)
    return gain, reference.mean - gain * own.mean


@dataclass(frozen=True, eq=False)
class LinearMap:
    """
    The map ``y = (x - center) @ matrix + shift``.

    Parameters
    ----------
    center, shift
        Means before and after, float64, (n_features,).
    matrix
        Between the centred values, (n_features, n_features).
    """

    center: NDArray[np.float64]
    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]

    def __call__(self, rows: ArrayLike) -> NDArray[np.float64]:
        """Map rows, (n_rows, n_features)."""
        return (np.asarray(rows, dtype=np.float64) - self.center) @ self.matrix + self.shift


def coral_map(
    rows: ArrayLike, reference: ArrayLike, *, shrinkage: float | str = LEDOIT_WOLF
) -> LinearMap:
    r"""
    Return the map that gives rows the mean and the covariance of a reference.

    .. math:: y = (x - \mu_t) C_t^{-1/2} C_s^{1/2} + \mu_s

    Parameters
    ----------
    rows
        Rows to map, at least ten, (n_rows, n_features).
    reference
        Rows whose covariance they get, at least ten.
    shrinkage
        Weight of a multiple of the identity in both covariances, 0 to 1, or ``"ledoit_wolf"`` for
        the one that Ledoit and Wolf estimate for each. What spreads in no row (a covariance of
        fewer rows than features without shrinkage) is left out rather than scaled up.

    Raises
    ------
    ValueError
        When either has fewer than ten rows, or they differ in their number of features.

    References
    ----------
    Sun, Feng & Saenko, Return of frustratingly easy domain adaptation, AAAI 2016; Ledoit & Wolf,
    doi:10.1016/S0047-259X(03)00096-4.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> rng = np.random.default_rng(0)
    >>> rows, reference = (
    ...     rng.normal(size=(50, 3)),
    ...     rng.normal(size=(80, 3)) @ np.triu(np.ones((3, 3))),
    ... )
    >>> mapped = stats.coral_map(rows, reference, shrinkage=0.0)(rows)
    >>> bool(np.allclose(np.cov(mapped.T, ddof=0), np.cov(reference.T, ddof=0)))
    True
    """
    own, wanted = np.asarray(rows, np.float64), np.asarray(reference, np.float64)
    for part in (own, wanted):
        Moments.check_enough(len(part))
    if own.shape[1] != wanted.shape[1]:
        found = f"{own.shape[1]:,} and {wanted.shape[1]:,}"
        raise ValueError(problem("the same features in both", found, "Align the features."))
    if shrinkage != LEDOIT_WOLF:
        check_range(float(shrinkage), "shrinkage", 0, 1)
    matrix = _power(_covariance(own, shrinkage), -0.5) @ _power(
        _covariance(wanted, shrinkage), 0.5
    )
    return LinearMap(own.mean(axis=0), matrix, wanted.mean(axis=0))


def _covariance(rows: NDArray[np.float64], shrinkage: float | str) -> NDArray[np.float64]:
    if shrinkage == LEDOIT_WOLF:
        return ledoit_wolf(rows)[0]
    return shrunk_covariance(empirical_covariance(rows), float(shrinkage))


def _power(covariance: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """Power of a symmetric matrix on the directions in which it spreads."""
    values, vectors = np.linalg.eigh(covariance)
    spread = values > _FLAT * max(float(values[-1]), 0.0)
    scaled = np.power(values, exponent, out=np.zeros_like(values), where=spread)
    return (vectors * scaled) @ vectors.T
