"""From probability and threshold to a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

INDETERMINATE: Final = "indeterminate"


def as_sets(inside: np.ndarray, positive: str, *, withheld: bool) -> pd.Categorical:
    """
    Name the set of classes of each row.

    Parameters
    ----------
    inside
        Whether the other class and the positive class are in the set, bool, (n_rows, 2).
    positive
        Name of the positive class.
    withheld
        Write no set.

    Returns
    -------
    Categories: "neither", "not <class>", the positive class, "either".
    """
    codes = np.full(len(inside), -1) if withheld else inside @ np.array([1, 2])
    return pd.Categorical.from_codes(codes, ["neither", f"not {positive}", positive, "either"])


def called(
    probability: np.ndarray, threshold: Mapping[str, Any], positive: str, *, withheld: bool
) -> pd.Categorical:
    """
    Name the class of each row by a threshold and its interval.

    Parameters
    ----------
    probability
        Values in [0, 1].
    threshold
        ``value``, and ``low`` and ``high`` where an interval is known: rows between these two are
        on either side of the threshold in one resample of the donors or another.
    positive
        Name of the positive class.
    withheld
        Write no call.

    Returns
    -------
    Categories: the positive class, "not <class>", "indeterminate".
    """
    names = [positive, f"not {positive}", INDETERMINATE]
    codes = (probability < threshold["value"]).astype(np.int8)
    low, high = (float(threshold.get(end, np.nan)) for end in ("low", "high"))
    if low < high:
        codes[(probability >= low) & (probability < high)] = 2
    if withheld:
        codes[:] = -1
    return pd.Categorical.from_codes(codes, names)
