"""The rules that pick a threshold, under any row weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi._validate import check_one_of, check_range, problem
from dtp_scvi.stats._check import as_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

RULES: Final = ("f1", "youden", "mcc", "recall", "fpr", "fixed")


class RuleChooser:
    """Applies one rule to any row weights; the probabilities are sorted once."""

    def __init__(
        self,
        truth: NDArray[np.bool_],
        score: NDArray[np.float64],
        named: NDArray[np.bool_],
        rule: str,
        target: float | None,
    ) -> None:
        self.level, self.row = np.unique(score, return_inverse=True)
        self.truth, self.named = truth, named
        self.rule, self.target = rule, target

    def __call__(self, weights: NDArray[np.float64]) -> float:
        """Return the threshold, NaN where the weights leave a class (or named negatives) empty."""
        size = len(self.level)
        total = np.bincount(self.row, weights, minlength=size)
        present = total > 0
        total = total[present]
        true = np.bincount(self.row, weights * self.truth, minlength=size)[present]
        named = np.bincount(self.row, weights * self.named, minlength=size)[present]
        if true.sum() == 0 or true.sum() == total.sum() or named.sum() == 0:
            return math.nan
        criterion = self._criterion(_above(true), _above(total - true), _above(named))
        return _midpoint(self.level[present], int(np.argmax(criterion)))

    def _criterion(
        self, tp: NDArray[np.float64], fp: NDArray[np.float64], named: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Score each candidate in rising order; the first maximum wins."""
        n_true, n_false = tp[0], fp[0]
        if self.rule == "f1":
            return 2 * tp / (n_true + tp + fp)
        if self.rule == "youden":
            # Whole numbers, so that equally good candidates tie exactly.
            return tp * n_false - fp * n_true
        if self.rule == "mcc":
            called = tp + fp
            spread = np.sqrt(called * (n_true + n_false - called))
            gain = tp * n_false - fp * n_true
            return np.divide(gain, spread, out=np.zeros_like(gain), where=spread > 0)
        if self.rule == "recall":
            reached = tp / n_true >= self.target
            return np.where(reached, np.arange(len(tp)), -1)
        return (named / named[0] <= self.target).astype(np.float64)


def _above(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Weight at or above each level, and 0 above all of them."""
    return np.append(np.cumsum(counts[::-1])[::-1], 0.0)


def _midpoint(level: NDArray[np.float64], index: int) -> float:
    """A number t such that exactly ``level[index:]`` are >= t."""
    if index == 0:
        return float(level[0] / 2)
    low = float(level[index - 1])
    high = float(level[index]) if index < len(level) else 1.0
    if low == high:  # nothing is called although a row has probability 1
        return math.nextafter(1.0, 2.0)
    middle = low + (high - low) / 2
    # Between neighbouring floats the midpoint rounds down, onto the level it must exclude.
    return middle if middle > low else high


def named_negatives(
    negatives: ArrayLike | None, truth: NDArray[np.bool_], rule: str
) -> NDArray[np.bool_]:
    """Return the mask of the rows the false-positive rate is about."""
    if negatives is None:
        return ~truth
    if rule != "fpr":
        todo = "Leave `negatives` out or pick rule='fpr'."
        msg = problem("`negatives` only with rule 'fpr'", f"rule {rule!r}", todo)
        raise ValueError(msg)
    named = as_labels(negatives, both_classes=False)
    wrong = np.count_nonzero(named & truth) if len(named) == len(truth) else -1
    if wrong or not named.any():
        found = (
            f"{wrong:,} positive rows" if wrong > 0 else f"{named.sum():,} of {len(named):,} rows"
        )
        msg = problem(
            f"`negatives` to be a mask of {len(truth):,} rows that marks some negative ones only",
            found,
            "Mark rows of the negative class.",
        )
        raise ValueError(msg)
    return named


def check_rule(rule: str, target: float | None, fixed: float | None) -> None:
    """Raise ``ValueError`` unless the rule has what it needs and nothing else."""
    check_one_of(rule, RULES, "rule")
    for name, value, rules in (
        ("target", target, ("recall", "fpr")),
        ("fixed", fixed, ("fixed",)),
    ):
        if (value is None) == (rule in rules):
            expected = f"`{name}` exactly with rule {' or '.join(map(repr, rules))}"
            msg = problem(expected, f"{name}={value} with rule {rule!r}", f"Set or drop `{name}`.")
            raise ValueError(msg)
        if value is not None:
            check_range(value, name, 0.0, 1.0)
    if rule == "recall" and target == 0:
        msg = problem("`target` above 0 for rule 'recall'", "0", "Every threshold reaches it.")
        raise ValueError(msg)
