"""What every calibrator has in common: checks, fit, and a dictionary that JSON can hold."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.stats._check import as_codes, as_labels, as_vector, as_weights
from dtp_scvi.stats._logistic import refuse_constant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

_KINDS: dict[str, type[Calibrator]] = {}


class Calibrator(ABC):
    """
    Turns a logit into a probability; never reverses the order of two rows.

    Use ``fit_calibrator``, which asks where the logits come from. ``n_labels`` rows of
    ``n_groups`` donors went into the fit, ``parameters`` holds plain numbers.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> logits, labels = [-2.0, -1.0, 0.5, -0.5, 1.0, 2.0], [0, 0, 0, 1, 1, 1]
    >>> fitted = stats.fit_calibrator("platt", logits, labels, source="out_of_fold")
    >>> again = stats.Calibrator.from_dict(fitted.to_dict())
    >>> bool((again.transform(logits) == fitted.transform(logits)).all())
    True
    """

    kind: ClassVar[str]
    # Name of each parameter, and whether it is a list of numbers.
    _fields: ClassVar[Mapping[str, bool]]

    def __init__(self) -> None:
        self.parameters: dict[str, Any] = {}
        self.n_labels = 0
        self.n_groups = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _KINDS[cls.kind] = cls

    def fit(
        self,
        logits: ArrayLike,
        labels: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Self:
        """
        Fit on logits that the model gave to rows it was not trained on.

        Parameters
        ----------
        logits
            Any finite numbers that rise with the positive class.
        labels
            True for the positive class.
        groups
            The donor of each row, counted; ``None`` counts each row as one.
        weights
            Non-negative weights; only their ratios matter.

        Returns
        -------
        The calibrator itself.

        Raises
        ------
        ValueError
            One class, constant or inversely related logits, unequal lengths, too few labels.
        """
        truth = as_labels(labels)
        score = as_vector(logits, "logits", len(truth))
        mass = as_weights(weights, len(truth))
        codes = as_codes(groups, len(truth))
        kept = mass > 0
        truth, score, mass = as_labels(truth[kept]), score[kept], mass[kept]
        refuse_constant(score, "logits")
        self.n_labels, self.n_groups = len(truth), len(np.unique(codes[kept]))
        # Only ratios matter, but counts of rows enter the smoothed targets.
        self.parameters = self._fit(score, truth, mass * (len(mass) / mass.sum()))
        return self

    @abstractmethod
    def _fit(
        self, score: NDArray[np.float64], truth: NDArray[np.bool_], weights: NDArray[np.float64]
    ) -> dict[str, Any]:
        """Return the parameters."""

    @abstractmethod
    def _transform(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities."""

    def transform(self, logits: ArrayLike) -> NDArray[np.float64]:
        """
        Calibrated probabilities.

        Parameters
        ----------
        logits
            Finite logits of the same model, one per row.

        Returns
        -------
        Values in [0, 1] in float64.

        Raises
        ------
        RuntimeError
            The calibrator was not fitted.
        ValueError
            Missing or infinite logits.
        """
        if not self.parameters:
            msg = problem("a fitted calibrator", "one without parameters", "Call `fit` first.")
            raise RuntimeError(msg)
        n = len(np.atleast_1d(np.asarray(logits)))
        return self._transform(as_vector(logits, "logits", n))

    def to_dict(self) -> dict[str, Any]:
        """
        Plain numbers, strings and lists for JSON.

        Returns
        -------
        ``kind``, ``parameters``, ``n_labels`` and ``n_groups``.

        Raises
        ------
        RuntimeError
            The calibrator was not fitted.
        """
        if not self.parameters:
            msg = problem("a fitted calibrator", "one without parameters", "Call `fit` first.")
            raise RuntimeError(msg)
        return {
            "kind": self.kind,
            "parameters": dict(self.parameters),
            "n_labels": self.n_labels,
            "n_groups": self.n_groups,
        }

    @staticmethod
    def from_dict(entries: Mapping[str, Any]) -> Calibrator:
        """
        Read what ``to_dict`` wrote; every number is checked, nothing is executed.

        Parameters
        ----------
        entries
            ``kind``, ``parameters``, ``n_labels`` and ``n_groups``.

        Returns
        -------
        A calibrator of that kind.

        Raises
        ------
        KeyError
            A missing entry or parameter.
        ValueError
            An unknown kind, or parameters that are not finite or would reverse ranks.
        """
        _need(entries, ("kind", "parameters", "n_labels", "n_groups"))
        check_one_of(entries["kind"], _KINDS, "kind")
        calibrator = _KINDS[entries["kind"]]()
        given = entries["parameters"]
        _need(given, tuple(calibrator._fields))
        read = {
            name: [_number(name, item) for item in given[name]]
            if several
            else _number(name, given[name])
            for name, several in calibrator._fields.items()
        }
        if not calibrator._valid(read):
            todo = "The stored calibrator is damaged; fit it again."
            msg = problem("parameters of a rising curve", f"{read} ({calibrator.kind})", todo)
            raise ValueError(msg)
        calibrator.parameters = read
        calibrator.n_labels = int(_number("n_labels", entries["n_labels"]))
        calibrator.n_groups = int(_number("n_groups", entries["n_groups"]))
        return calibrator

    @abstractmethod
    def _valid(self, parameters: Mapping[str, Any]) -> bool:
        """Whether these parameters give a curve that never falls."""


def _need(entries: Mapping[str, Any], names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in entries]
    if missing:
        todo = "Pass what Calibrator.to_dict returned."
        msg = problem(f"entries {', '.join(names)}", f"no {', '.join(missing)}", todo)
        raise KeyError(msg)


def _number(name: str, value: Any) -> float:
    if not isinstance(value, int | float | np.number) or not math.isfinite(value):
        todo = "The stored calibrator is damaged; fit it again."
        raise ValueError(problem(f"`{name}` to be a finite number", repr(value), todo))
    return float(value)


def refuse_inverse(name: str, value: float) -> None:
    """Raise ``ValueError`` unless the fitted curve rises."""
    if not value > 0:
        todo = (
            "A calibrator never reverses ranks: check which class is the positive one, or don't "
            "use this score."
        )
        msg = problem(
            f"scores that rise with the label ({name} > 0)",
            f"{name} {value:.3g}: scores are inversely related to the labels, or not at all",
            todo,
        )
        raise ValueError(msg)
