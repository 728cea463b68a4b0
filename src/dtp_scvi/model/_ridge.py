"""Ridge regression whose penalty is chosen by leaving one donor out, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PENALTIES = np.logspace(0, 5, 21)


class Ridge(NamedTuple):
    """A fitted ridge regression."""

    weight: NDArray[np.float64]
    """Of the standardised inputs, (n_inputs,)."""
    intercept: float
    penalty: float
    held_out: NDArray[np.float64]
    """Prediction for each row without its donor, (n_rows,)."""


def fit_ridge(
    z: NDArray[np.float64], y: NDArray[np.float64], donors: NDArray[np.int64] | None
) -> Ridge:
    """
    Fit with the penalty of the least squared error over left-out donors.

    The residuals without a donor follow from the hat matrix of all rows, e = (I - H)⁻¹ r on the
    donor's rows, so that one decomposition serves every penalty and every donor. The inputs stay
    standardised by all rows.

    Parameters
    ----------
    z
        Inputs with column means of zero, (n_rows, n_inputs).
    y
        Targets, (n_rows,).
    donors
        Code of the donor of each row; ``None`` where each row is one.
    """
    left, d, right = np.linalg.svd(z, full_matrices=False)
    mean, centred = y.mean(), y - y.mean()
    projected = left.T @ centred
    errors = [_left_out(left, d, penalty, centred, donors) for penalty in PENALTIES]
    best = int(np.argmin([np.mean(error**2) for error in errors]))
    penalty = float(PENALTIES[best])
    weight = right.T @ (d / (d**2 + penalty) * projected)
    return Ridge(weight, float(mean), penalty, y - errors[best])


def solve_ridge(
    z: NDArray[np.float64], y: NDArray[np.float64], penalty: float
) -> tuple[NDArray[np.float64], float]:
    """Return weights and intercept for a given penalty, in the dual where rows are fewer."""
    centre, mean = z.mean(axis=0), float(y.mean())
    x, target = z - centre, y - mean
    if len(x) < x.shape[1]:
        weight = x.T @ np.linalg.solve(x @ x.T + penalty * np.eye(len(x)), target)
    else:
        weight = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ target)
    return weight, mean - float(centre @ weight)


def _left_out(
    left: NDArray[np.float64],
    d: NDArray[np.float64],
    penalty: float,
    centred: NDArray[np.float64],
    donors: NDArray[np.int64] | None,
) -> NDArray[np.float64]:
    """Error on each row of the fit without its donor."""
    kept, n = d**2 / (d**2 + penalty), len(centred)
    residual = centred - left @ (kept * (left.T @ centred))
    error = residual / (1 - (left**2 @ kept + 1 / n))
    for rows in _repeated(donors):
        hat = (left[rows] * kept) @ left[rows].T + 1 / n
        error[rows] = np.linalg.solve(np.eye(len(rows)) - hat, residual[rows])
    return error


def _repeated(donors: NDArray[np.int64] | None) -> Iterator[NDArray[np.intp]]:
    """Rows of each donor that has several."""
    if donors is None:
        return
    for code in np.flatnonzero(np.bincount(donors) > 1):
        yield np.flatnonzero(donors == code)
