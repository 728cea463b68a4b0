"""A smooth line through points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_range
from dtp_scvi.stats._check import as_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_FEWEST: Final = 10


def lowess(x: ArrayLike, y: ArrayLike, *, share: float = 0.5) -> pd.DataFrame:
    """
    Locally weighted regression line (Cleveland 1979), by statsmodels.

    Parameters
    ----------
    x, y
        One number per point, finite.
    share
        Share of the points that each local fit looks at, in (0, 1].

    Returns
    -------
    Columns ``x``, ascending and without repeats, and ``y``. Without rows for fewer than ten
    points or three different ``x``, and without those where most neighbours share one ``x``, so
    that no line goes through them.

    Raises
    ------
    ValueError
        Unequal lengths, NaN, or a share out of range.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> line = stats.lowess(range(20), [2 * i for i in range(20)])
    >>> line["y"].round(6).tolist()[1:4]
    [2.0, 4.0, 6.0]
    """
    check_range(share, "share", 1e-6, 1.0)
    across = as_vector(x, "x", len(np.asarray(x)))
    up = as_vector(y, "y", len(across))
    if len(across) < _FEWEST or len(np.unique(across)) < 3:
        return pd.DataFrame({"x": np.empty(0), "y": np.empty(0)})
    from statsmodels.nonparametric.smoothers_lowess import lowess as smooth

    # Points this near to each other share a fit; it saves most of the time with many of them.
    # Where all neighbours of a point share its x there is no radius; such fits come back as NaN.
    with np.errstate(divide="ignore", invalid="ignore"):
        found = smooth(up, across, frac=share, delta=0.01 * float(np.ptp(across)))
    line = pd.DataFrame(found, columns=["x", "y"]).dropna()
    return line.drop_duplicates("x").reset_index(drop=True)
