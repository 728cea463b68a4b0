"""No row and no patient in training and test data at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi._validate import problem, shorten
from dtp_scvi.data._row_hashes import EMPTY_ROW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class SharedRows:
    """
    What training and test data of some folds have in common.

    Attributes
    ----------
    n_rows
        Test rows of which an exact copy is in the training data of their fold.
    n_grouped
        Test rows whose patient is in the training data of their fold.
    n_tested
        Test rows of all folds.
    n_groups
        Patients concerned.
    examples
        Names of some of these rows and of some of these patients.
    """

    n_rows: int
    n_grouped: int
    n_tested: int
    n_groups: int
    examples: str

    def __bool__(self) -> bool:
        """Whether anything is shared."""
        return self.n_rows > 0 or self.n_grouped > 0

    def text(self) -> str:
        """Say how many rows are concerned, and name some."""
        parts = []
        if self.n_rows:
            parts.append(f"{self.n_rows:,} have an identical row in training data")
        if self.n_grouped:
            parts.append(
                f"{self.n_grouped:,} belong to {self.n_groups:,} patients or donors who are in "
                "training data"
            )
        return f"of {self.n_tested:,} test rows {' and '.join(parts)} ({self.examples})"


def check_disjoint(
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    hashes: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    names: ArrayLike | None = None,
    allowed: bool = False,
) -> SharedRows:
    """
    Refuse folds that have the same row, or the same patient, in training and test data.

    A model then need only recognise what it has seen, which no metric tells from understanding.
    Copies in one fold's test part are not refused.

    Parameters
    ----------
    folds
        ``(train, test)`` positions of each fold.
    hashes
        Fingerprint of each row, see :func:`row_hashes`; 0 is never the same row. ``None`` leaves
        rows unchecked.
    groups
        Patient or donor of each row; ``None`` leaves patients unchecked.
    names
        Name of each row, for the message.
    allowed
        Return what is shared instead of an error. What is then measured is optimistic.

    Returns
    -------
    What is shared; false where it is nothing.

    Raises
    ------
    ValueError
        When something is shared; the message names how many rows, and some of them.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi.data import check_disjoint
    >>> folds = [(np.array([0, 1]), np.array([2, 3]))]
    >>> bool(check_disjoint(folds, groups=["p1", "p1", "p2", "p2"]))
    False
    >>> check_disjoint(folds, groups=["p1", "p2", "p2", "p3"], allowed=True).n_grouped
    1
    """
    identity = np.empty(0, np.uint64) if hashes is None else np.asarray(hashes)
    known = np.empty(0, object) if groups is None else pd.factorize(np.asarray(groups))[0]
    copied, seen = [], []
    for train, test in folds:
        if hashes is not None:
            same = np.isin(identity[test], identity[train]) & (identity[test] != EMPTY_ROW)
            copied.append(test[same])
        if groups is not None:
            seen.append(test[np.isin(known[test], known[train])])
    rows = np.concatenate([np.empty(0, np.intp), *copied])
    grouped = np.concatenate([np.empty(0, np.intp), *seen])
    labels = np.arange(max(len(identity), len(known))) if names is None else np.asarray(names)
    patients = [] if groups is None else sorted(set(np.asarray(groups)[grouped].tolist()))
    shown = [f"rows {shorten(labels[rows])}"] if rows.size else []
    shown += [f"patients {shorten(patients)}"] if patients else []
    shared = SharedRows(
        n_rows=int(rows.size),
        n_grouped=int(grouped.size),
        n_tested=sum(len(test) for _, test in folds),
        n_groups=len(patients),
        examples="; ".join(shown),
    )
    if shared and not allowed:
        msg = problem(
            "no row and no patient in training and test data at once",
            shared.text(),
            "Drop the copies, or split so that they stay together (a donor_key that copies "
            "share). To measure all the same, allow it; the result is then called optimistic.",
        )
        raise ValueError(msg)
    return shared
