"""Do the scores of a cohort look like a mixture of the classes the model knows?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi._constants import FEWEST_ROWS
from dtp_scvi._validate import check_positive_int, check_range, problem
from dtp_scvi.stats._check import as_codes, as_vector
from dtp_scvi.stats._score_reference import ScoreReference

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Below this largest distance of the two classes (Youden's J) their mixtures look all alike.
_APART: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class LabelShiftTest:
    """
    Verdict on whether only the class frequencies of a cohort differ from the source.

    Parameters
    ----------
    accepted
        Whether pure label shift explains the scores, so that its corrections may be used.
    statistic
        Largest distance between the cohort's cumulative distribution and the best mixture.
    p_value
        Probability of such a distance under pure label shift.
    prevalence
        Share of the positive class in the best mixture.
    level
        Size of the test.
    n_rows, n_groups
        Rows and donors of the cohort.
    reason
        One sentence.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> names = [name for name in stats.LabelShiftTest.__annotations__]
    >>> names[:3]
    ['accepted', 'statistic', 'p_value']
    """

    accepted: bool
    statistic: float
    p_value: float
    prevalence: float
    level: float
    n_rows: int
    n_groups: int
    reason: str


def label_shift_test(
    source: ScoreReference | ArrayLike,
    target_logits: ArrayLike,
    *,
    source_labels: ArrayLike | None = None,
    source_groups: ArrayLike | None = None,
    target_groups: ArrayLike | None = None,
    level: float = 0.05,
    n_boot: int = 1000,
    seed: int | None = 0,
) -> LabelShiftTest:
    """
    Test whether the target's scores are a mixture of the source's two classes.

    The largest distance between the cohort's cumulative distribution and the best mixture
    ``w * positive + (1 - w) * negative`` is held against what chance makes: cells drawn, and
    donors whose distributions vary as those of the source do, in the source and in the cohort.
    The uncertainty of that variation with few source donors counts too. Even one cohort donor
    can so be judged.

    Parameters
    ----------
    source
        Stored summary of held-out logits, or the logits themselves with ``source_labels``.
    target_logits
        Logits of the cohort, of the same model.
    source_labels, source_groups
        Labels and donors of the source logits; only where ``source`` is no summary.
    target_groups
        The donor of each cohort row; a constant for one donor. ``None`` takes rows as
        independent and refuses sooner.
    level
        Share of cohorts under pure label shift that may be refused, in (0, 1).
    n_boot
        Simulated cohorts.
    seed
        Seed of the simulations.

    Returns
    -------
    Verdict with statistic, p-value, mixture weight and a sentence.

    Raises
    ------
    ValueError
        Labels missing or superfluous, fewer than 20 target rows, unequal lengths, or missing
        logits.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.random(2000) < 0.3
    >>> logits = rng.normal(size=2000) + 3 * labels - 1.5
    >>> reference = stats.ScoreReference.from_scores(logits, labels)
    >>> rare = rng.normal(size=500) + 3 * (rng.random(500) < 0.1) - 1.5
    >>> stats.label_shift_test(reference, rare).accepted
    True
    >>> stats.label_shift_test(reference, 0.3 * rare + 2).accepted
    False
    """
    check_range(level, "level", 0.0, 1.0, inclusive=False)
    check_positive_int(n_boot, "n_boot")
    reference = _reference(source, source_labels, source_groups)
    n = len(np.atleast_1d(np.asarray(target_logits)))
    score = as_vector(target_logits, "target_logits", n)
    codes = as_codes(target_groups, n)
    if n < FEWEST_ROWS:
        raise ValueError(problem(f"at least {FEWEST_ROWS} target rows", f"{n}", "Pass more rows."))
    count = np.bincount(codes)
    fit = _Mixture(reference)
    distribution = np.searchsorted(np.sort(score), fit.knots, side="right") / n
    weight, statistic = (float(part[0]) for part in fit(distribution[None]))
    null = fit.null(weight, n, float(((count / n) ** 2).sum()), n_boot, seed)
    p_value = float((1 + np.count_nonzero(null >= statistic)) / (1 + n_boot))
    known = fit.apart >= _APART
    accepted = bool(known and p_value > level)
    verdict: dict[str, Any] = {"accepted": accepted, "statistic": statistic, "p_value": p_value}
    return LabelShiftTest(
        **verdict,
        prevalence=weight,
        level=level,
        n_rows=n,
        n_groups=len(count),
        reason=_reason(fit.apart, statistic, p_value, weight, accepted=accepted),
    )


class _Mixture:
    """Best mixture of the two classes at the knots, for one or many distributions."""

    def __init__(self, reference: ScoreReference) -> None:
        self.reference, self.knots = reference, reference.knots()
        self.negative, self.positive = reference.cdf(self.knots)
        self.apart = float(np.abs(self.positive - self.negative).max())
        self.modes = np.array(reference.modes).reshape(len(reference.modes), 2, len(self.knots))

    def __call__(
        self,
        found: NDArray[np.float64],
        negative: NDArray[np.float64] | None = None,
        positive: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weight of the positive class and largest distance, per row of ``found``."""
        low = self.negative if negative is None else negative
        apart = (self.positive if positive is None else positive) - low
        square = np.maximum((apart * apart).sum(axis=-1), np.finfo(np.float64).tiny)
        weight = np.clip(((found - low) * apart).sum(axis=-1) / square, 0.0, 1.0)
        distance = np.abs(found - low - weight[..., None] * apart).max(axis=-1)
        return weight, distance

    def null(
        self, weight: float, n: int, spread: float, n_boot: int, seed: int | None
    ) -> NDArray[np.float64]:
        """Distances under pure label shift."""
        rng, reference = np.random.default_rng(seed), self.reference
        freedom = max(reference.n_groups - 1, 1)
        # One factor per simulation: how far the donors' true spread may exceed the one seen.
        factor = np.sqrt(freedom / rng.chisquare(freedom, size=n_boot))[:, None]
        cohort, source = (self._donors(rng, factor) for _ in range(2))
        mixture = (1 - weight) * self.negative + weight * self.positive
        tilt = (1 - weight) * cohort[:, 0] + weight * cohort[:, 1]
        found = _draw(rng, mixture, n, n_boot) + np.sqrt(spread) * tilt
        negative, positive = (
            _draw(rng, side, size, n_boot) + np.sqrt(part) * source[:, index]
            for index, (side, size, part) in enumerate(
                (
                    (self.negative, reference.n_negative, reference.spread_negative),
                    (self.positive, reference.n_positive, reference.spread_positive),
                )
            )
        )
        return self(found, negative, positive)[1]

    def _donors(
        self, rng: np.random.Generator, factor: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Deviation of one donor per simulation: (simulations, 2 classes, knots)."""
        normal = rng.normal(size=(len(factor), len(self.modes))) * factor
        return np.einsum("sm,mck->sck", normal, self.modes)


def _draw(
    rng: np.random.Generator, distribution: NDArray[np.float64], n: int, times: int
) -> NDArray[np.float64]:
    """Cumulative distributions of ``n`` independent rows."""
    steps = np.clip(np.diff(distribution, prepend=0.0, append=1.0), 0.0, None)
    return np.cumsum(rng.multinomial(n, steps / steps.sum(), size=times), axis=1)[:, :-1] / n


def _reference(
    source: ScoreReference | ArrayLike,
    labels: ArrayLike | None,
    groups: ArrayLike | None,
) -> ScoreReference:
    stored = isinstance(source, ScoreReference)
    if stored != (labels is None) or (stored and groups is not None):
        given = "a summary with labels or groups" if stored else "logits without labels"
        todo = "A ScoreReference holds them already; logits need `source_labels`."
        raise ValueError(problem("a ScoreReference, or logits with labels", given, todo))
    if isinstance(source, ScoreReference):
        return source
    return ScoreReference.from_scores(source, labels if labels is not None else [], groups)


def _reason(
    apart: float, statistic: float, p_value: float, weight: float, *, accepted: bool
) -> str:
    if apart < _APART:
        return (
            f"The score hardly tells the classes apart in the source (distance {apart:.2f}), so "
            "no mixture can be told from another."
        )
    seen = f"distance {statistic:.3f} from the best mixture, p = {p_value:.3g}"
    if accepted:
        return f"The scores fit a mixture with {weight:.0%} positive rows ({seen})."
    return f"No mixture of the two classes explains the scores ({seen}): p(score | class) moved."
