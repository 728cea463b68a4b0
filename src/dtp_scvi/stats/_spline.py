"""Restricted cubic spline: a smooth curve that is straight beyond its outer knots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.stats._check import as_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Harrell, Regression Modeling Strategies (2015), table 2.3.
_SHARES: Final = {
    3: (0.1, 0.5, 0.9),
    4: (0.05, 0.35, 0.65, 0.95),
    5: (0.05, 0.275, 0.5, 0.725, 0.95),
}


def spline_knots(values: ArrayLike, n_knots: int = 4) -> NDArray[np.float64]:
    """
    Quantiles at which Harrell places the knots of a restricted cubic spline.

    Parameters
    ----------
    values
        One number per row.
    n_knots
        3, 4 or 5.

    Returns
    -------
    The knots, rising, shape (n_knots,).

    Raises
    ------
    ValueError
        Another number of knots, missing values, or so many equal values that knots fall together.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.spline_knots(range(101), 3)
    array([10., 50., 90.])
    """
    check_one_of(n_knots, _SHARES, "n_knots")
    number = as_vector(values, "values", np.size(values))
    knots = np.quantile(number, _SHARES[n_knots])
    if len(np.unique(knots)) < n_knots:
        found = f"{len(np.unique(knots))} distinct among {n_knots} quantiles"
        msg = problem("knots at distinct values", found, "Too many values are equal for a spline.")
        raise ValueError(msg)
    return knots


def spline_basis(values: ArrayLike, knots: ArrayLike) -> NDArray[np.float64]:
    """
    Columns that, beside the values themselves, span the restricted cubic splines.

    Parameters
    ----------
    values
        One number per row.
    knots
        At least three rising numbers, see :func:`spline_knots`.

    Returns
    -------
    Shape (rows, knots - 2), in the unit of the values (divided by the squared distance of the
    outer knots, as Harrell does). All columns are 0 below the first knot.

    Raises
    ------
    ValueError
        Fewer than three knots, knots that do not rise, or missing values.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.spline_basis([0, 1, 2, 3], [0, 1, 2]).round(2).ravel()
    array([0.  , 0.25, 1.5 , 3.  ])
    """
    x = as_vector(values, "values", np.size(values))
    t = np.asarray(knots, dtype=np.float64)
    if t.ndim != 1 or len(t) < 3 or not (np.diff(t) > 0).all():
        msg = problem("at least three rising knots", f"{t}", "Take them from `spline_knots`.")
        raise ValueError(msg)
    cubes = np.maximum(x[:, None] - t, 0.0) ** 3
    inner, last = t[:-2], t[-1] - t[-2]
    columns = cubes[:, :-2] - np.outer(cubes[:, -2], (t[-1] - inner) / last)
    columns += np.outer(cubes[:, -1], (t[-2] - inner) / last)
    scaled: NDArray[np.float64] = columns / (t[-1] - t[0]) ** 2
    return scaled
