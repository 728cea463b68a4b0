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


def judge(evidence: Mapping[str, Any], limits: Limits = LIMITS) -> tuple[Verdict, list[str]]:
    """Return the strictest verdict that any finding asks for, and a sentence for each finding."""
    found = list(_findings(evidence, limits))
    worst = max((VERDICTS.index(verdict) for verdict, _ in found), default=0)
    # The finding that decides comes first; the others keep their order.
    order = sorted(found, key=lambda item: -VERDICTS.index(item[0]))
    return VERDICTS[worst], [sentence for _, sentence in order]


def _findings(e: Mapping[str, Any], limits: Limits) -> Iterator[tuple[Verdict, str]]:
    def graded(value: float, pair: tuple[float, float], sentence: str) -> Iterator[Any]:
        if np.isfinite(value) and value >= pair[0]:
            yield ("rank_only" if value >= pair[1] else "recalibrate"), sentence

    missing = 1 - e["weighted_coverage"]
    yield from graded(
        missing, limits.missing, f"Genes that carry {missing:.0%} of the importance are missing."
    )
    if e["far_share"] is not None:
        far = e["far_share"]
        text = (
            f"{far:.0%} of the rows lie farther from the training rows in program space than "
            "99 % of these do."
        )
        yield from graded(far, limits.far, text)
        usual = e["donor_auroc"] if e["donor_auroc"] is not None else 0.5
        text = (
            f"A line in program space tells the rows from the training rows with AUROC "
            f"{e['domain_auroc']:.2f}; training donors from one another with {usual:.2f} at most."
        )
        yield from graded(e["domain_auroc"] - usual, limits.domain, text)
    if e["spread"] is not None:
        text = (
            f"The rows vary {e['spread']:.0%} as much as the training rows do in program space; "
            "bulk samples and other mixtures of cells are so alike."
        )
        yield from graded(1 - e["spread"], limits.alike, text)
    for side, name in (("high", "above 0.95"), ("low", "below 0.05")):
        share, usual = e[f"share_{side}"], e[f"training_{side}"]
        text = f"{share:.0%} of the probabilities are {name}; {usual:.0%} of the training ones."
        yield from graded(share - usual, limits.saturated, text)
    if e["shift"] is not None:
        text = (
            f"The logits are distributed differently from the training donors' (Kolmogorov–"
            f"Smirnov distance {e['shift']:.2f})"
        )
        if e["label_shift"] is not None:
            more = "; another share of the positive class would explain it."
            less = "; another share of the positive class does not explain it."
            text += more if e["label_shift"] else less
        yield from graded(e["shift"], limits.shift, text)
