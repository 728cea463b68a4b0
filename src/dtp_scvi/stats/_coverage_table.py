"""What sets of classes held, donor by donor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi.stats._check import as_codes, as_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def coverage_table(
    labels: ArrayLike, sets: ArrayLike, groups: ArrayLike | None = None
) -> pd.DataFrame:
    """
    How often sets hold the right class, per class, with donors counting alike.

    Parameters
    ----------
    labels
        Boolean, or the number of the class from 0.
    sets
        What ``MondrianConformal.predict`` returned for these rows.
    groups
        The donor of each row; ``None`` lets rows count alike.

    Returns
    -------
    One row per class that occurs: class, coverage, set_size (mean number of classes), single
    (share of sets of one class), empty (share of empty ones), n (rows), n_groups.

    Raises
    ------
    ValueError
        Unequal lengths.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> sets = [[True, False], [True, True], [False, True], [False, False]]
    >>> stats.coverage_table([0, 0, 1, 1], sets)["coverage"].tolist()
    [1.0, 0.5]
    """
    inside = np.asarray(sets, dtype=bool)
    n = len(inside)
    truth = as_vector(labels, "labels", n).astype(np.intp)
    size = inside.sum(axis=1)
    rows = pd.DataFrame(
        {
            "class": truth,
            "group": as_codes(groups, n),
            "coverage": inside[np.arange(n), truth].astype(np.float64),
            "set_size": size.astype(np.float64),
            "single": (size == 1).astype(np.float64),
            "empty": (size == 0).astype(np.float64),
        }
    )
    shares = ["coverage", "set_size", "single", "empty"]
    table = rows.groupby(["class", "group"])[shares].mean().groupby("class").mean()
    table["n"] = rows.groupby("class").size()
    table["n_groups"] = rows.groupby("class")["group"].nunique()
    return table.reset_index()
