"""Where to cut a probability: six rules, each with a cluster-bootstrap interval."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._validate import problem
from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights, interval
from dtp_scvi.stats._check import as_labels, as_probabilities
from dtp_scvi.stats._confusion import call_metrics
from dtp_scvi.stats._rules import RuleChooser, check_rule, named_negatives

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """
    A cut-off: rows with ``probability >= value`` are called positive.

    Parameters
    ----------
    value
        The threshold. Just above 1 where the rule calls no row of its sample.
    rule
        One of ``RULES``.
    target
        Recall or false-positive rate asked for; ``None`` for other rules.
    low, high
        Bootstrap interval of the threshold over clusters; NaN where none was computed.
    n_boot
        Resamples the interval rests on.
    metrics
        Recall, specificity, precision, F1, MCC, Youden's J and share called positive, in the
        sample it was chosen on; ``false_positive_rate`` on the named negatives where given.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> chosen = stats.choose_threshold([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.8], n_boot=0)
    >>> chosen.value, chosen.rule, chosen.metrics["recall"]
    (0.5, 'youden', 1.0)
    >>> stats.Threshold.from_dict(chosen.to_dict()) == chosen
    True
    """

    value: float
    rule: str
    target: float | None = None
    low: float | None = None
    high: float | None = None
    n_boot: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """
        Plain numbers and strings for JSON and ``uns``.

        Returns
        -------
        The fields by name; those that are ``None`` are left out, as h5ad has no such value.
        """
        return {name: item for name, item in asdict(self).items() if item is not None}

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> Threshold:
        """
        Read what ``to_dict`` wrote, also after a round trip through JSON or h5ad.

        Parameters
        ----------
        entries
            At least ``value`` and ``rule``.

        Returns
        -------
        The threshold.

        Raises
        ------
        KeyError
            No ``value`` or no ``rule``.
        """
        for name in ("value", "rule"):
            if name not in entries:
                todo = "Pass what Threshold.to_dict returned."
                msg = problem(f"a threshold with `{name}`", f"keys {sorted(entries)}", todo)
                raise KeyError(msg)
        optional = {
            name: float(entries[name]) for name in ("target", "low", "high") if name in entries
        }
        return cls(
            value=float(entries["value"]),
            rule=str(entries["rule"]),
            n_boot=int(entries.get("n_boot", 0)),
            metrics={str(key): float(item) for key, item in entries.get("metrics", {}).items()},
            **optional,
        )


def choose_threshold(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    rule: str = "youden",
    target: float | None = None,
    negatives: ArrayLike | None = None,
    fixed: float | None = None,
    groups: ArrayLike | None = None,
    n_boot: int = 200,
    seed: int | None = 0,
) -> Threshold:
    """
    Choose the cut-off of a probability by a named rule; nothing is clipped.

    Candidates are the midpoints between neighbouring distinct probabilities, one below all of
    them and one above. Among equally good candidates the lowest is taken.

    Parameters
    ----------
    labels
        True for the positive class, one value per row.
    probabilities
        Values in [0, 1]; use out-of-fold ones, as a threshold chosen on training rows is too
        hopeful.
    rule
        ``"f1"``, ``"youden"`` (recall + specificity - 1) or ``"mcc"`` take the maximum;
        ``"recall"`` the largest threshold with recall >= ``target``; ``"fpr"`` the smallest with a
        false-positive rate <= ``target`` among ``negatives``; ``"fixed"`` takes ``fixed``.
    target
        For ``"recall"`` in (0, 1], for ``"fpr"`` in [0, 1].
    negatives
        Boolean mask of the negative rows the false-positive rate is about (e.g. cells of healthy
        donors); default all negative rows.
    fixed
        The threshold of rule ``"fixed"``, in [0, 1].
    groups
        The donor of each row, resampled for the interval; ``None`` resamples rows.
    n_boot
        Resamples for the 95 % interval of the threshold; 0 leaves the interval out.
    seed
        Seed of the resamples.

    Returns
    -------
    The threshold with its interval, rule and metrics.

    Raises
    ------
    ValueError
        One class, an unknown rule, a missing or superfluous ``target``, ``fixed`` or ``negatives``.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> labels, p = [0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.6, 0.8]
    >>> stats.choose_threshold(labels, p, rule="fpr", target=0.0, n_boot=0).value
    0.5
    """
    truth = as_labels(labels)
    score = as_probabilities(probabilities, "probabilities", len(truth))
    named = named_negatives(negatives, truth, rule)
    check_rule(rule, target, fixed)
    low: float | None
    high: float | None
    if fixed is not None:
        value = low = high = float(fixed)
        used = 0
    else:
        choose = RuleChooser(truth, score, named, rule, target)
        value = choose(np.ones(len(truth)))
        low, high, used = _spread(choose, len(truth), groups, n_boot, seed)
    metrics = call_metrics(truth, score >= value)
    if negatives is not None:
        metrics["false_positive_rate"] = float(np.mean(score[named] >= value))
    return Threshold(
        value=value,
        rule=rule,
        target=None if target is None else float(target),
        low=low,
        high=high,
        n_boot=used,
        # Precision does not exist where no row is called; JSON has no NaN.
        metrics={name: number for name, number in metrics.items() if not math.isnan(number)},
    )


def _spread(
    choose: RuleChooser, n: int, groups: ArrayLike | None, n_boot: int, seed: int | None
) -> tuple[float | None, float | None, int]:
    if n_boot == 0:
        return None, None, 0
    draws = cluster_bootstrap_weights(groups, n_boot, seed=seed, n_rows=n)
    values = np.array([choose(weights) for weights in draws])
    used = int(np.count_nonzero(~np.isnan(values)))
    if used == 0:
        return None, None, 0
    low, high = interval(values)
    return float(low), float(high), used
