"""From evidence on a query to what its scores may be used for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Verdict = Literal["calls", "recalibrate", "rank_only"]
VERDICTS: Final[tuple[Verdict, ...]] = ("calls", "recalibrate", "rank_only")


@dataclass(frozen=True)
class Limits:
    """
    Where a verdict changes; each pair is (recalibrate from here, rank only from here).

    Attributes
    ----------
    missing
        Share of the importance that falls on genes the query lacks.
    far
        Share of rows beyond the training rows' 99 % Mahalanobis distance. New donors of one
        platform usually have some; most rows beyond it are another kind of sample.
    alike
        1 minus the variance of the rows in program space as a share of the training rows'.
        Mixtures of many cells are far more alike than cells.
    domain
        AUROC of telling query from training rows by a line in program space, above the largest
        one among the training donors (0.5 where fewer than three are known).
    shift
        Kolmogorov–Smirnov distance between the logits and the training donors' held-out ones.
    saturated
        Share of rows whose probability is above 0.95, or share below 0.05, beyond the training
        share of the same side.
    """

    missing: tuple[float, float] = (0.1, 0.3)
    far: tuple[float, float] = (0.2, 0.5)
    alike: tuple[float, float] = (0.75, 0.9)
    domain: tuple[float, float] = (0.15, 0.4)
    shift: tuple[float, float] = (0.2, 1.1)
    saturated: tuple[float, float] = (0.5, 0.8)


LIMITS: Final = Limits()


@dataclass(frozen=True)
class Measure:
    """
    One measurement and where on its own axis the verdict changes; more speaks against transfer.

    Attributes
    ----------
    name
        ``missing``, ``far``, ``alike``, ``domain``, ``shift``, ``high`` or ``low``.
    value
        What was measured in the query.
    usual
        What it is among the training rows; the limits begin there.
    limits
        See :class:`Limits`.
    sentence
        The reason it gives where it lowers the verdict.
    """

    name: str
    value: float
    usual: float
    limits: tuple[float, float]
    sentence: str

    @property
    def verdict(self) -> Verdict:
        """What the measurement says by itself."""
        above = self.value - self.usual
        if not (np.isfinite(above) and above >= self.limits[0]):
            return "calls"
        return "rank_only" if above >= self.limits[1] else "recalibrate"


def judge(evidence: Mapping[str, Any], limits: Limits = LIMITS) -> tuple[Verdict, list[str]]:
    """Return the strictest verdict that any finding asks for, and a sentence for each finding."""
    found = [item for item in measure(evidence, limits) if item.verdict != "calls"]
    # The finding that decides comes first; the others keep their order.
    order = sorted(found, key=lambda item: -VERDICTS.index(item.verdict))
    return order[0].verdict if order else "calls", [item.sentence for item in order]


def measured(
    evidence: Mapping[str, Any], limits: Limits = LIMITS
) -> dict[str, dict[str, float | str]]:
    """Measurements with their limits, by name, as plain numbers: what a figure needs."""
    return {
        item.name: {
            "value": float(item.value),
            "usual": float(item.usual),
            "recalibrate_from": float(item.usual + item.limits[0]),
            "rank_only_from": float(item.usual + item.limits[1]),
            "verdict": item.verdict,
        }
        for item in measure(evidence, limits)
    }


def measure(e: Mapping[str, Any], limits: Limits) -> Iterator[Measure]:
    """Yield what could be measured."""
    missing = 1 - e["weighted_coverage"]
    text = f"Genes that carry {missing:.0%} of the importance are missing."
    yield Measure("missing", missing, 0.0, limits.missing, text)
    if e["far_share"] is not None:
        far = e["far_share"]
        text = (
            f"{far:.0%} of the rows lie farther from the training rows in program space than "
            "99 % of these do."
        )
        yield Measure("far", far, 0.0, limits.far, text)
        usual = e["donor_auroc"] if e["donor_auroc"] is not None else 0.5
        text = (
            f"A line in program space tells the rows from the training rows with AUROC "
            f"{e['domain_auroc']:.2f}; training donors from one another with {usual:.2f} at most."
        )
        yield Measure("domain", e["domain_auroc"], usual, limits.domain, text)
    if e["spread"] is not None:
        text = (
            f"The rows vary {e['spread']:.0%} as much as the training rows do in program space; "
            "bulk samples and other mixtures of cells are so alike."
        )
        yield Measure("alike", 1 - e["spread"], 0.0, limits.alike, text)
    for side, name in (("high", "above 0.95"), ("low", "below 0.05")):
        share, usual = e[f"share_{side}"], e[f"training_{side}"]
        text = f"{share:.0%} of the probabilities are {name}; {usual:.0%} of the training ones."
        yield Measure(side, share, usual, limits.saturated, text)
    if e["shift"] is not None:
        text = (
            f"The logits are distributed differently from the training donors' (Kolmogorov–"
            f"Smirnov distance {e['shift']:.2f})"
        )
        if e["label_shift"] is not None:
            more = "; another share of the positive class would explain it."
            less = "; another share of the positive class does not explain it."
            text += more if e["label_shift"] else less
        yield Measure("shift", e["shift"], 0.0, limits.shift, text)
