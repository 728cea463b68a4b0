"""What calls at a threshold get right, over one threshold or many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_positive_int
from dtp_scvi.stats._check import as_labels, as_probabilities

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

CALL_METRICS: Final = (
    "recall",
    "specificity",
    "precision",
    "f1",
    "mcc",
    "youden",
    "called_positive",
)


def rates(
    tp: NDArray[Any], fp: NDArray[Any], n_true: float, n_false: float
) -> dict[str, NDArray[np.float64]]:
    """``CALL_METRICS`` from counts; precision is NaN where nothing is called."""
    tp, fp = np.asarray(tp, dtype=np.float64), np.asarray(fp, dtype=np.float64)
    called = tp + fp
    recall, specificity = tp / n_true, 1 - fp / n_false
    gain = tp * n_false - fp * n_true
    spread = np.sqrt(called * (n_true + n_false - called)) * np.sqrt(n_true * n_false)
    return {
        "recall": recall,
        "specificity": specificity,
        "precision": np.divide(tp, called, out=np.full_like(tp, np.nan), where=called > 0),
        "f1": 2 * tp / (n_true + called),
        "mcc": np.divide(gain, spread, out=np.zeros_like(gain), where=spread > 0),
        "youden": recall + specificity - 1,
        "called_positive": called / (n_true + n_false),
    }


def call_metrics(truth: NDArray[np.bool_], called: NDArray[np.bool_]) -> dict[str, float]:
    """``CALL_METRICS`` of one set of calls."""
    tp, fp = np.count_nonzero(called & truth), np.count_nonzero(called & ~truth)
    found = rates(np.array([tp]), np.array([fp]), truth.sum(), (~truth).sum())
    return {name: float(values[0]) for name, values in found.items()}


def threshold_sweep(labels: ArrayLike, probabilities: ArrayLike, n: int = 101) -> pd.DataFrame:
    """
    Recall, specificity and other call metrics at evenly spaced thresholds.

    Parameters
    ----------
    labels
        True for the positive class, one value per row.
    probabilities
        Values in [0, 1]; called positive where >= the threshold.
    n
        Number of thresholds from 0 to 1.

    Returns
    -------
    Columns threshold, recall, specificity, precision, f1, mcc, youden, called_positive (share of
    rows called positive). Precision is NaN where no row is called.

    Raises
    ------
    ValueError
        One class, unequal lengths, or probabilities outside [0, 1].

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> table = stats.threshold_sweep([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.8], n=3)
    >>> table["recall"].tolist(), table["called_positive"].tolist()
    ([1.0, 1.0, 0.0], [1.0, 0.5, 0.0])
    """
    check_positive_int(n, "n")
    truth = as_labels(labels)
    score = as_probabilities(probabilities, "probabilities", len(truth))
    grid = np.linspace(0, 1, n)
    # Rows below a threshold are those left of its insertion point; equal ones are called.
    tp, fp = (
        len(part) - np.searchsorted(np.sort(part), grid, side="left")
        for part in (score[truth], score[~truth])
    )
    return pd.DataFrame({"threshold": grid, **rates(tp, fp, truth.sum(), (~truth).sum())})
