"""A model's calibration: the curve, what it was fitted on, and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi._validate import problem
from dtp_scvi.stats._calibrator import Calibrator
from dtp_scvi.stats._calibrators import Source, fit_calibrator
from dtp_scvi.stats._check import as_codes, as_labels, as_vector
from dtp_scvi.stats._compare import bootstrap_metrics
from dtp_scvi.stats._link import sigmoid

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

# Parts that the donors (or rows) are split into, each scored by a curve fitted to the others.
_PARTS: Final = 10
_REPORTED: Final = ("ece", "brier")


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """
    From logit to probability, with the evidence.

    Parameters
    ----------
    calibrator
        The curve; ``None`` where none could be fitted, and the sigmoid of the logit is used.
    source
        ``"out_of_fold"`` or ``"held_out"``.
    unit
        What was left out: ``"donor"`` or ``"cell"``.
    n_labels, n_groups
        Rows and donors it rests on.
    prevalence
        Share of the positive class among them.
    raw, calibrated
        ECE and Brier score of the plain sigmoid and of the curve, each with ``value``, ``low``,
        ``high``; of the curve measured on donors (rows) that it was not fitted to.
    reason
        Why there is no curve; empty where there is one.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(size=600)
    >>> labels = rng.random(600) < stats.sigmoid(3 * logits)
    >>> found = stats.Calibration.fit(logits, labels, groups=np.arange(600) % 6, n_boot=50)
    >>> found.calibrated["brier"]["value"] < found.raw["brier"]["value"]
    True
    """

    calibrator: Calibrator | None
    source: str
    unit: str
    n_labels: int
    n_groups: int
    prevalence: float
    raw: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    calibrated: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    reason: str = ""

    @classmethod
    def fit(
        cls,
        logits: ArrayLike,
        labels: ArrayLike,
        *,
        kind: str = "platt",
        source: Source = "out_of_fold",
        groups: ArrayLike | None = None,
        n_boot: int = 200,
        seed: int | None = 0,
    ) -> Calibration:
        """
        Fit a curve to logits of rows that the model was not trained on, and judge it.

        Parameters
        ----------
        logits
            Out-of-fold logits.
        labels
            True for the positive class.
        kind
            One of ``CALIBRATORS``.
        source
            Where the logits come from; ``"training"`` is refused.
        groups
            Donor of each row.
        n_boot
            Resamples of the intervals; 0 leaves the metrics out.
        seed
            Seed of the resamples.

        Returns
        -------
        The calibration. Without a curve, and with the reason, where the logits carry no signal:
        constant, or inversely related to the labels.

        Raises
        ------
        ValueError
            One class, unequal lengths, or training scores.
        """
        truth = as_labels(labels)
        score = as_vector(logits, "logits", len(truth))
        codes = as_codes(groups, len(truth))
        n_groups = int(codes.max()) + 1
        several = groups is not None and n_groups > 1
        about: dict[str, Any] = {
            "source": source,
            "unit": "donor" if several else "cell",
            "n_labels": len(truth),
            "n_groups": n_groups if groups is not None else 0,
            "prevalence": float(truth.mean()),
        }
        reason = _no_signal(score, truth)
        if reason:
            return cls(calibrator=None, reason=reason, **about)
        curve = fit_calibrator(kind, score, truth, source=source, groups=groups)
        if n_boot:
            units = codes if several else None
            shown = {
                "raw": sigmoid(score),
                "calibrated": _unseen(kind, score, truth, units, source),
            }
            table, _ = bootstrap_metrics(truth, shown, shown, 0.5, units, n_boot=n_boot, seed=seed)
            about |= {name: _reported(table, name) for name in shown}
        return cls(calibrator=curve, **about)

    def transform(self, logits: ArrayLike) -> NDArray[np.float64]:
        """
        Turn logits into probabilities.

        Parameters
        ----------
        logits
            Logits of the model.

        Returns
        -------
        Probabilities, float64; the sigmoid where there is no curve.
        """
        if self.calibrator is None:
            return sigmoid(logits)
        return self.calibrator.transform(logits)

    def to_dict(self) -> dict[str, Any]:
        """
        Plain numbers and strings for JSON and ``uns``.

        Returns
        -------
        The fields by name; ``calibrator`` is left out where there is none.
        """
        entries: dict[str, Any] = {
            "source": self.source,
            "unit": self.unit,
            "n_labels": self.n_labels,
            "n_groups": self.n_groups,
            "prevalence": self.prevalence,
            "raw": {name: dict(value) for name, value in self.raw.items()},
            "calibrated": {name: dict(value) for name, value in self.calibrated.items()},
            "reason": self.reason,
        }
        if self.calibrator is not None:
            entries["calibrator"] = self.calibrator.to_dict()
        return entries

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> Calibration:
        """
        Read what ``to_dict`` wrote.

        Parameters
        ----------
        entries
            The fields by name.

        Returns
        -------
        The calibration.

        Raises
        ------
        ValueError
            A field is missing or damaged.
        """
        rest = {key: value for key, value in entries.items() if key != "calibrator"}
        missing = [
            name for name in ("source", "unit", "n_labels", "prevalence") if name not in rest
        ]
        if missing:
            msg = problem("a calibration", f"no {', '.join(missing)}", "Save it again.")
            raise ValueError(msg)
        curve = entries.get("calibrator")
        return cls(calibrator=None if curve is None else Calibrator.from_dict(curve), **rest)


def _no_signal(score: NDArray[np.float64], truth: NDArray[np.bool_]) -> str:
    if np.ptp(score) == 0:
        return "held-out logits are all equal"
    # The sign of a logistic slope is that of the difference of the means.
    if score[truth].mean() <= score[~truth].mean():
        return "held-out logits are no higher in the positive class"
    return ""


def _unseen(
    kind: str,
    score: NDArray[np.float64],
    truth: NDArray[np.bool_],
    codes: NDArray[np.intp] | None,
    source: Source,
) -> NDArray[np.float64]:
    """Probabilities of rows by curves that were fitted without them; whole donors at once."""
    if codes is None:
        # Neighbours in score go to different parts, so that row order plays no role.
        order = np.lexsort((truth, score))
        codes = np.empty(len(score), dtype=np.intp)
        codes[order] = np.arange(len(score))
    part = codes % _PARTS
    out = np.empty(len(score))
    for number in np.unique(part):
        test = part == number
        rest = truth[~test]
        usable = rest.any() and not rest.all() and not _no_signal(score[~test], rest)
        if usable:
            groups = codes[~test]
            curve = fit_calibrator(kind, score[~test], rest, source=source, groups=groups)
            out[test] = curve.transform(score[test])
        else:
            out[test] = sigmoid(score[test])
    return out


def _reported(table: pd.DataFrame, model: str) -> dict[str, dict[str, float]]:
    rows = table[table["model"] == model].set_index("metric")
    return {
        name: rows.loc[name, ["value", "low", "high"]].astype(float).to_dict()
        for name in _REPORTED
    }
