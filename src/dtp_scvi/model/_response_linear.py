"""The linear part of a response model of several targets: a ridge for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import rankdata

from dtp_scvi._validate import problem
from dtp_scvi.model._arguments import N_FOLDS
from dtp_scvi.model._ridge import fit_ridge, solve_ridge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Folds = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]


@dataclass(frozen=True)
class Targets:
    """Responses on the scale that the network puts out."""

    values: NDArray[np.float64]
    """Mean 0, standard deviation 1 by target, NaN where missing, (n_rows, n_targets)."""
    mean: NDArray[np.float64]
    """Of each target, in its units, (n_targets,)."""
    sd: NDArray[np.float64]

    @classmethod
    def of(cls, y: NDArray[np.float64], *, as_rank: bool) -> Targets:
        """Standardise the responses, or their ranks divided by the number measured."""
        if as_rank:
            y = rankdata(y, axis=0, nan_policy="omit") / np.isfinite(y).sum(axis=0)
        mean, sd = np.nanmean(y, axis=0), np.nanstd(y, axis=0)
        return cls((y - mean) / sd, mean, sd)


@dataclass(frozen=True)
class LinearResponse:
    """A ridge for each target, and what its folds say of rows they have not seen."""

    weight: NDArray[np.float64]
    """Of the standardised inputs, (n_genes, n_targets)."""
    bias: NDArray[np.float64]
    """Output at the training mean, (n_targets,)."""
    out_of_fold: NDArray[np.float64]
    """(n_rows, n_targets)."""
    penalty: list[float]


def response_folds(n_rows: int, donors: NDArray[np.int64] | None, seed: int) -> Folds:
    """Deal donors into folds; a row is its own donor where none are given."""
    units = np.arange(n_rows) if donors is None else donors
    dealt = np.random.default_rng(seed).permutation(np.unique(units))
    if len(dealt) < 2:
        msg = problem("at least two donors", "one", "Add donors, or leave `donor_key` out.")
        raise ValueError(msg)
    tests = [np.isin(units, part) for part in np.array_split(dealt, min(N_FOLDS, len(dealt)))]
    return [(np.flatnonzero(~test), np.flatnonzero(test)) for test in tests]


def fit_linear_response(
    z: NDArray[np.float64],
    y: NDArray[np.float64],
    donors: NDArray[np.int64] | None,
    folds: Folds,
) -> LinearResponse:
    """Fit each target on its measured rows, the penalty by leaving one donor out."""
    n_targets = y.shape[1]
    weight, bias = np.empty((z.shape[1], n_targets)), np.empty(n_targets)
    out, penalties = np.empty(y.shape), []
    for t in range(n_targets):
        seen = np.isfinite(y[:, t])
        centre = z[seen].mean(axis=0)
        ridge = fit_ridge(z[seen] - centre, y[seen, t], None if donors is None else donors[seen])
        weight[:, t], bias[t] = ridge.weight, ridge.intercept - centre @ ridge.weight
        penalties.append(ridge.penalty)
        for train, test in folds:
            rows = train[seen[train]]
            w, b = solve_ridge(z[rows], y[rows, t], ridge.penalty)
            out[test, t] = z[test] @ w + b
    return LinearResponse(weight, bias, out, penalties)


def scaled_for_order(linear: LinearResponse, y: NDArray[np.float64]) -> LinearResponse:
    """Scale each target's outputs so that their differences are log-odds of the order.

    A ridge is shrunk, and the logistic loss of pairs would be lowered by a residual that does
    nothing but stretch it.
    """
    factor = np.array([_stretch(*pair) for pair in zip(linear.out_of_fold.T, y.T, strict=True)])
    return LinearResponse(
        linear.weight * factor, linear.bias * factor, linear.out_of_fold * factor, linear.penalty
    )


def _stretch(predicted: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    seen = np.isfinite(y)
    gap = np.subtract.outer(predicted[seen], predicted[seen])
    higher = np.subtract.outer(y[seen], y[seen]) > 0
    found = minimize_scalar(
        lambda factor: np.logaddexp(0, -factor * gap[higher]).mean(), bounds=(0.1, 20.0)
    )
    return float(found.x)
