"""What a threshold chosen on one cohort does on another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_one_of, problem, shorten
from dtp_scvi.stats._check import as_codes, as_labels, as_probabilities
from dtp_scvi.stats._confusion import rates
from dtp_scvi.stats._rules import RULES, check_rule
from dtp_scvi.stats._thresholds import choose_threshold

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# A fixed threshold is chosen on no cohort.
_CHOOSING: Final = tuple(rule for rule in RULES if rule != "fixed")


def threshold_transfer(
    labels: ArrayLike,
    probabilities: ArrayLike,
    cohorts: ArrayLike,
    *,
    rule: str = "youden",
    target: float | None = None,
) -> pd.DataFrame:
    """
    Choose a threshold on each cohort and apply it to every cohort.

    Where rows of the table agree, one threshold serves all cohorts. Where a cohort's own
    threshold does well on it and those of others don't, the threshold has to be chosen anew.

    Parameters
    ----------
    labels
        True for the positive class, one value per row.
    probabilities
        Values in [0, 1]; use out-of-fold ones.
    cohorts
        The donor, batch or study of each row.
    rule
        One of :data:`RULES` but ``"fixed"``; see :func:`choose_threshold`.
    target
        For ``"recall"`` and ``"fpr"``.

    Returns
    -------
    One row per ordered pair, cohorts sorted by name: chosen_on, applied_to, threshold, n (rows
    of applied_to), sensitivity, specificity, balanced_accuracy, mcc. Pairs of a cohort with
    itself judge the threshold on the rows it was chosen on. NaN where a cohort has one class: it
    gives no threshold, and of its own rows only sensitivity or specificity exists.

    Raises
    ------
    ValueError
        Fewer than two cohorts, none with both classes, an unknown rule, unequal lengths.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> labels, p = [0, 1, 0, 1], [0.1, 0.5, 0.6, 0.9]
    >>> table = stats.threshold_transfer(labels, p, ["a", "a", "b", "b"]).round(2)
    >>> table[["chosen_on", "applied_to", "threshold", "balanced_accuracy"]].values.tolist()
    [['a', 'a', 0.3, 1.0], ['a', 'b', 0.3, 0.5], ['b', 'a', 0.75, 0.5], ['b', 'b', 0.75, 1.0]]
    """
    truth = as_labels(labels)
    score = as_probabilities(probabilities, "probabilities", len(truth))
    codes = as_codes(cohorts, len(truth), "cohorts")
    check_one_of(rule, _CHOOSING, "rule")
    check_rule(rule, target, None)
    names = np.asarray(pd.factorize(pd.Series(np.asarray(cohorts)), sort=True)[1])
    rows = [codes == code for code in range(len(names))]
    cuts = np.full(len(names), np.nan)
    for code, here in enumerate(rows):
        if 0 < truth[here].sum() < here.sum():
            cuts[code] = choose_threshold(
                truth[here], score[here], rule=rule, target=target, n_boot=0
            ).value
    _check_cohorts(names, cuts)
    parts = [
        pd.DataFrame({"chosen_on": names, "applied_to": name, "threshold": cuts})
        .assign(n=int(here.sum()), **_applied(truth[here], score[here], cuts))
        .assign(order=np.arange(len(names)))
        for name, here in zip(names, rows, strict=True)
    ]
    table = pd.concat(parts, ignore_index=True).sort_values("order", kind="stable")
    return table.drop(columns="order").reset_index(drop=True)


def _check_cohorts(names: NDArray[np.generic], cuts: NDArray[np.float64]) -> None:
    if len(names) < 2:
        todo = "Name the donor, batch or study of each row."
        msg = problem("at least 2 cohorts in `cohorts`", shorten(names.tolist()), todo)
        raise ValueError(msg)
    if np.isnan(cuts).all():
        todo = "The label follows the cohort, so no threshold can be chosen inside one."
        msg = problem("a cohort with both classes", f"none of {len(names):,}", todo)
        raise ValueError(msg)


def _applied(
    truth: NDArray[np.bool_], score: NDArray[np.float64], cuts: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Rates of one cohort at each threshold; NaN without the class that a rate is about."""
    n_true, n_false = int(truth.sum()), int((~truth).sum())
    # Equal ones are called; NaN sorts behind all, and is put back below.
    tp, fp = (
        len(part) - np.searchsorted(np.sort(part), cuts, side="left")
        for part in (score[truth], score[~truth])
    )
    found = rates(tp, fp, max(n_true, 1), max(n_false, 1))
    sensitivity = np.where(np.isnan(cuts) | (n_true == 0), np.nan, found["recall"])
    specificity = np.where(np.isnan(cuts) | (n_false == 0), np.nan, found["specificity"])
    both = (sensitivity + specificity) / 2
    return {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "balanced_accuracy": both,
        "mcc": np.where(np.isnan(both), np.nan, found["mcc"]),
    }
