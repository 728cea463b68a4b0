"""What a model keeps of its held-out scores: quantiles and moments, no cells."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi._constants import FEWEST_ROWS
from dtp_scvi._validate import problem
from dtp_scvi.stats._check import as_codes, as_labels, as_vector
from dtp_scvi.stats._donor_modes import donor_modes
from dtp_scvi.stats._logistic import refuse_constant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

# From 0.5 % to 99.5 %: an extreme is the score of one cell.
LEVELS: Final = (np.arange(100) + 0.5) / 100
_STEP: Final = 4


@dataclass(frozen=True, kw_only=True)
class ScoreReference:
    """
    Small summary of the out-of-fold logits of each class.

    Holds no score of a single cell on purpose: quantiles from 0.5 % to 99.5 %, counts, and how
    the distributions of whole donors vary about them.

    Parameters
    ----------
    negative, positive
        100 quantiles of the logit in each class, at 0.5 %, 1.5 %, ... 99.5 %.
    n_negative, n_positive
        Rows of each class.
    n_groups
        Donors; the number of rows where none were named.
    spread_negative, spread_positive
        Sum over donors of the squared share of the class, 1 over the effective number of donors.
    modes
        How the two cumulative distributions of a donor deviate from the pooled ones at
        ``knots()``, as a few functions that add up with independent standard normal factors.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.random(2000) < 0.3
    >>> logits = rng.normal(size=2000) + 2 * labels - 1
    >>> reference = stats.ScoreReference.from_scores(logits, labels, np.arange(2000) % 10)
    >>> round(float(reference.prevalence), 1), reference.n_groups
    (0.3, 10)
    >>> stats.ScoreReference.from_dict(reference.to_dict()) == reference
    True
    """

    negative: tuple[float, ...]
    positive: tuple[float, ...]
    n_negative: int
    n_positive: int
    n_groups: int
    spread_negative: float
    spread_positive: float
    modes: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def from_scores(
        cls, logits: ArrayLike, labels: ArrayLike, groups: ArrayLike | None = None
    ) -> ScoreReference:
        """
        Summarise logits of rows that the model was not trained on.

        Parameters
        ----------
        logits
            Out-of-fold logits, finite.
        labels
            True for the positive class.
        groups
            The donor of each row; ``None`` takes rows as independent.

        Returns
        -------
        The summary.

        Raises
        ------
        ValueError
            One class, fewer than 20 rows in a class, constant logits or unequal lengths.
        """
        truth = as_labels(labels)
        score = as_vector(logits, "logits", len(truth))
        codes = as_codes(groups, len(truth))
        refuse_constant(score, "logits")
        fewest = int(min(truth.sum(), (~truth).sum()))
        if fewest < FEWEST_ROWS:
            todo = "Quantiles of fewer would be scores of single cells."
            raise ValueError(
                problem(f"at least {FEWEST_ROWS} rows in each class", f"{fewest}", todo)
            )
        quantiles = [np.quantile(score[side], LEVELS) for side in (~truth, truth)]
        shares = [np.bincount(codes[side]) / side.sum() for side in (~truth, truth)]
        knots = _knots(*quantiles)
        modes = np.empty((0, 0)) if groups is None else donor_modes(score, truth, codes, knots)
        return cls(
            negative=tuple(quantiles[0].tolist()),
            positive=tuple(quantiles[1].tolist()),
            n_negative=int((~truth).sum()),
            n_positive=int(truth.sum()),
            n_groups=int(codes.max()) + 1,
            spread_negative=float((shares[0] ** 2).sum()),
            spread_positive=float((shares[1] ** 2).sum()),
            modes=tuple(tuple(row) for row in modes.tolist()),
        )

    @property
    def prevalence(self) -> float:
        """Share of positive rows."""
        return self.n_positive / (self.n_positive + self.n_negative)

    def knots(self) -> NDArray[np.float64]:
        """
        Logits at which distributions are compared.

        Returns
        -------
        Rising numbers: every fourth quantile of both classes.
        """
        return _knots(np.asarray(self.negative), np.asarray(self.positive))

    def cdf(self, logits: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """
        Share of each class at or below some logits, interpolated between the quantiles.

        Parameters
        ----------
        logits
            Any numbers.

        Returns
        -------
        Shares of the negative and of the positive class, in [0.0025, 0.9975].
        """
        at = np.asarray(logits, dtype=np.float64)
        return _cdf(at, self.negative), _cdf(at, self.positive)

    def sample(
        self, n: int, prevalence: float, *, seed: int | None = 0
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """
        Draw logits and labels of made-up rows from the quantiles.

        Parameters
        ----------
        n
            Number of rows.
        prevalence
            Probability of the positive class, in [0, 1].
        seed
            Seed of the draws.

        Returns
        -------
        Logits and labels, shape (n,) each.
        """
        rng = np.random.default_rng(seed)
        labels = rng.random(n) < prevalence
        place = rng.random(n)
        drawn = [np.interp(place, LEVELS, side) for side in (self.negative, self.positive)]
        return np.where(labels, drawn[1], drawn[0]), labels

    def to_dict(self) -> dict[str, Any]:
        """
        Plain numbers and lists for JSON.

        Returns
        -------
        The fields by name.
        """
        entries = asdict(self)
        for name in ("negative", "positive"):
            entries[name] = list(entries[name])
        entries["modes"] = [list(row) for row in self.modes]
        return entries

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> ScoreReference:
        """
        Read what ``to_dict`` wrote; every number is checked.

        Parameters
        ----------
        entries
            All fields by name.

        Returns
        -------
        The summary.

        Raises
        ------
        KeyError
            A missing field.
        ValueError
            Quantiles that fall, or numbers that are not finite.
        """
        missing = [field.name for field in fields(cls) if field.name not in entries]
        todo = "Pass what ScoreReference.to_dict returned."
        if missing:
            msg = problem("every field of a score reference", f"no {', '.join(missing)}", todo)
            raise KeyError(msg)
        read: dict[str, Any] = {
            name: tuple(float(value) for value in entries[name])
            for name in ("negative", "positive")
        }
        read["modes"] = tuple(tuple(float(v) for v in row) for row in entries["modes"])
        for name in ("n_negative", "n_positive", "n_groups"):
            read[name] = int(entries[name])
        for name in ("spread_negative", "spread_positive"):
            read[name] = float(entries[name])
        reference = cls(**read)
        if not reference._valid():
            todo = "The stored reference is damaged; make it again."
            msg = problem("100 rising quantiles per class and finite counts", "others", todo)
            raise ValueError(msg)
        return reference

    def _valid(self) -> bool:
        rising = all(
            len(side) == len(LEVELS) and np.isfinite(side).all() and np.all(np.diff(side) >= 0)
            for side in (self.negative, self.positive)
        )
        if not rising:
            return False
        width = 2 * len(self.knots())
        modes = all(len(row) == width and np.isfinite(row).all() for row in self.modes)
        spreads = all(
            0 < value <= 1 + 1e-9 for value in (self.spread_negative, self.spread_positive)
        )
        return modes and spreads and min(self.n_negative, self.n_positive, self.n_groups) > 0


def _knots(negative: NDArray[np.float64], positive: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.unique(np.concatenate([negative[2::_STEP], positive[2::_STEP]]))


def _cdf(at: NDArray[np.float64], quantiles: tuple[float, ...]) -> NDArray[np.float64]:
    """Interpolate; where quantiles tie, the highest level that they reach counts."""
    side = np.asarray(quantiles)
    value, first = np.unique(side, return_index=True)
    last = np.append(first[1:], len(side)) - 1
    tail = float(LEVELS[0]) / 2
    inner = np.interp(at, value, LEVELS[last])
    return np.where(at < value[0], tail, np.where(at > value[-1], 1 - tail, inner))
