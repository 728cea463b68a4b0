"""Sets of classes that hold the right one for a promised share of cells, donor by donor."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from dtp_scvi._validate import check_one_of, check_range, problem
from dtp_scvi.stats._check import as_codes, as_vector
from dtp_scvi.stats._label_shift import as_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

METHODS: Final = ("one_per_donor", "pooled")
# More distinct scores are thinned, upwards: a threshold may then lie a little too high.
_CANDIDATES: Final = 4096


@dataclass(frozen=True, kw_only=True)
class MondrianConformal:
    """
    Class-conditional split-conformal sets with the donor as exchangeable unit.

    A class belongs to the set of a cell where ``1 - probability`` is at most the threshold of
    that class. The promise: of the cells of a class in a *new donor*, the set holds the class for
    at least a share ``level``, on average over donors that count alike. Make one with ``fit``.

    Parameters
    ----------
    thresholds
        Largest ``1 - probability`` of each class that is taken.
    level
        Promised coverage.
    method
        How the thresholds were found.
    n_groups
        Donors that hold each class.
    n_labels
        Rows of each class.

    Notes
    -----
    Cells of a donor resemble one another, so their number says little; donors are exchangeable.
    ``"one_per_donor"`` (default): one random cell from each of D donors gives exchangeable
    scores. Their k-th smallest, k = ceil((D + 1) level), covers a share between ``level`` and
    ``level + 1 / (D + 1)`` in finite samples, whatever the distribution (single subsampling,
    Dunn, Wasserman & Ramdas 2023, doi:10.1080/01621459.2022.2060112). Where donors have one cell
    each this is the threshold. Otherwise nothing is drawn: the share of the calibration donors'
    cells that such thresholds cover on average over all draws is computed exactly (a
    Poisson-binomial sum, linear between the ranks next to (D + 1) level), and the threshold that
    covers this share is taken. The averaging costs the proof, not, in simulations, the coverage.

    ``"pooled"``: the quantile at ``level (D + 1) / D`` of all cells, each weighing one over the
    number in its donor; coverage of at least ``level`` is proven (Lee, Barber & Willett 2023,
    arXiv:2306.06342), at the price of up to ``level / D`` too much.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> rng = np.random.default_rng(0)
    >>> labels, donors = rng.random(900) < 0.5, np.arange(900) % 15
    >>> p = stats.sigmoid(rng.normal(size=900) + 3 * labels - 1.5)
    >>> sets = stats.MondrianConformal.fit(p, labels, groups=donors, level=0.9)
    >>> sets.n_groups, sets.predict([0.01, 0.99]).tolist()
    ((15, 15), [[True, False], [False, True]])
    """

    thresholds: tuple[float, ...]
    level: float
    method: str
    n_groups: tuple[int, ...]
    n_labels: tuple[int, ...]

    @classmethod
    def fit(
        cls,
        probabilities: ArrayLike,
        labels: ArrayLike,
        *,
        groups: ArrayLike | None,
        level: float = 0.9,
        method: Literal["one_per_donor", "pooled"] = "one_per_donor",
    ) -> MondrianConformal:
        """
        Find the thresholds on rows that neither model nor calibrator was fitted on.

        Parameters
        ----------
        probabilities
            Shape (rows,) for the positive class, or (rows, classes).
        labels
            Boolean, or the number of the class from 0.
        groups
            The donor of each row. ``None`` takes rows as exchangeable, and promises nothing for
            a new donor.
        level
            Promised coverage, in (0, 1).
        method
            See Notes of the class.

        Returns
        -------
        The fitted sets.

        Raises
        ------
        ValueError
            Fewer than ``ceil(1 / (1 - level)) - 1`` donors in a class: no finite threshold keeps
            the promise. Unequal lengths, unknown classes.
        """
        check_range(level, "level", 0.0, 1.0, inclusive=False)
        check_one_of(method, METHODS, "method")
        table, _ = as_table(probabilities)
        n, n_classes = table.shape
        truth = as_vector(labels, "labels", n)
        codes = as_codes(groups, n)
        if not np.isin(truth, np.arange(n_classes)).all():
            found = f"{np.unique(truth)[:5].tolist()}"
            todo = "Number the classes from 0, in the order of the columns."
            raise ValueError(problem(f"`labels` from 0 to {n_classes - 1}", found, todo))
        sides = [truth == index for index in range(n_classes)]
        donors = tuple(len(np.unique(codes[side])) for side in sides)
        _refuse_few(donors, level)
        return cls(
            thresholds=tuple(
                _threshold(1 - table[side, index], codes[side], level, method)
                for index, side in enumerate(sides)
            ),
            level=float(level),
            method=method,
            n_groups=donors,
            n_labels=tuple(int(side.sum()) for side in sides),
        )

    def predict(self, probabilities: ArrayLike) -> NDArray[np.bool_]:
        """
        Set of classes of each row.

        Parameters
        ----------
        probabilities
            As in ``fit``, of the same model and calibrator.

        Returns
        -------
        Shape (rows, classes): whether the class is in the set. A set may be empty (unlike any
        class) or hold several (undecided).

        Raises
        ------
        ValueError
            Probabilities outside [0, 1] or of another number of classes.
        """
        table, _ = as_table(probabilities)
        if table.shape[1] != len(self.thresholds):
            found = f"{table.shape[1]}"
            todo = "Pass probabilities of the classes it was fitted on."
            raise ValueError(problem(f"{len(self.thresholds)} classes", found, todo))
        return 1 - table <= np.asarray(self.thresholds)

    def to_dict(self) -> dict[str, Any]:
        """
        Plain numbers, strings and lists for JSON.

        Returns
        -------
        The fields by name.
        """
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> MondrianConformal:
        """
        Read what ``to_dict`` wrote; every number is checked.

        Parameters
        ----------
        entries
            All fields by name.

        Returns
        -------
        The fitted sets.

        Raises
        ------
        KeyError
            A missing field.
        ValueError
            Thresholds outside [0, 1], or an unknown method or level.
        """
        names = ("thresholds", "level", "method", "n_groups", "n_labels")
        missing = [name for name in names if name not in entries]
        if missing:
            todo = "Pass what MondrianConformal.to_dict returned."
            raise KeyError(
                problem(f"entries {', '.join(names)}", f"no {', '.join(missing)}", todo)
            )
        check_one_of(entries["method"], METHODS, "method")
        check_range(float(entries["level"]), "level", 0.0, 1.0, inclusive=False)
        thresholds = tuple(float(value) for value in entries["thresholds"])
        for value in thresholds:
            check_range(value, "thresholds", 0.0, 1.0)
        return cls(
            thresholds=thresholds,
            level=float(entries["level"]),
            method=str(entries["method"]),
            n_groups=tuple(int(value) for value in entries["n_groups"]),
            n_labels=tuple(int(value) for value in entries["n_labels"]),
        )


def fewest_donors(level: float) -> int:
    """
    Donors that each class needs for sets at a level.

    Parameters
    ----------
    level
        Promised coverage, in (0, 1).

    Returns
    -------
    ``ceil(1 / (1 - level)) - 1``: nine for 0.9, nineteen for 0.95.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.fewest_donors(0.9)
    9
    """
    check_range(level, "level", 0.0, 1.0, inclusive=False)
    # Rounded first: 1 / (1 - 0.9) is a little above 10.
    return math.ceil(round(1 / (1 - level), 9)) - 1


def _refuse_few(donors: tuple[int, ...], level: float) -> None:
    needed = fewest_donors(level)
    if min(donors) < needed:
        listed = ", ".join(f"{count:,} in class {index}" for index, count in enumerate(donors))
        todo = "Lower the level or add donors: with fewer, only the full set keeps the promise."
        msg = problem(f"at least {needed} donors in each class for level {level:g}", listed, todo)
        raise ValueError(msg)


def _shares(
    score: NDArray[np.float64], codes: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Candidate thresholds, and the share of each donor's cells at or below: (scores, donors)."""
    value = np.unique(score)
    if len(value) > _CANDIDATES:
        value = value[np.linspace(0, len(value) - 1, _CANDIDATES).astype(np.intp)]
    donors, donor = np.unique(codes, return_inverse=True)
    table = np.zeros((len(value), len(donors)))
    np.add.at(table, (np.searchsorted(value, score), donor), 1.0)
    return value, np.cumsum(table, axis=0) / table.sum(axis=0)


def _threshold(
    score: NDArray[np.float64], codes: NDArray[np.intp], level: float, method: str
) -> float:
    n = len(np.unique(codes))
    rank = round((n + 1) * level, 9)
    if n == len(score):
        return float(np.sort(score)[math.ceil(rank) - 1])
    value, below = _shares(score, codes)
    mean = below.mean(axis=1)
    wanted = rank / n if method == "pooled" else _covered(below, mean, rank)
    # A hair below, so that rounding in a sum can't ask for one score more.
    return float(value[min(int(np.searchsorted(mean, wanted - 1e-9)), len(value) - 1)])


def _covered(below: NDArray[np.float64], mean: NDArray[np.float64], rank: float) -> float:
    """Mean share of cells at or below the rank-th smallest of one random cell per donor."""
    lower = math.floor(rank)
    # Probability that a rank lies at or below each score, for the ranks on either side.
    reached = _at_least(below, (lower, min(lower + 1, below.shape[1])))
    shares = [float(np.diff(part, prepend=0.0) @ mean) for part in reached]
    # The 0-th smallest is below everything.
    first = shares[0] if lower > 0 else 0.0
    return first + (rank - lower) * (shares[1] - first)


def _at_least(chances: NDArray[np.float64], ranks: tuple[int, int]) -> list[NDArray[np.float64]]:
    """Probability of at least each number of successes in independent trials, per row of chances."""
    # Failures are counted: with ranks near the number of trials there are few to keep track of.
    most = [chances.shape[1] - rank for rank in ranks]
    counts = np.zeros((max(most) + 1, len(chances)))
    counts[0] = 1.0
    for chance in chances.T:
        counts[1:] = counts[1:] * chance + counts[:-1] * (1 - chance)
        counts[0] *= chance
    return [counts[: number + 1].sum(axis=0) for number in most]
