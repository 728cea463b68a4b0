"""Unpenalised logistic regression on one to three columns, with an offset and soft targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import expit

from dtp_scvi._validate import problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_STEPS: Final = 100
# Newton's method squares its error, so the step after one this small is exact.
_SMALL_STEP: Final = 1e-9


def fit_logistic(
    columns: NDArray[np.float64],
    target: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    offset: NDArray[np.float64] | float = 0.0,
    start: NDArray[np.float64] | None = None,
) -> NDArray[np.float64] | None:
    """
    Coefficients of maximum likelihood by Newton's method with halved steps.

    scikit-learn's solvers know neither an offset nor targets between 0 and 1, and a bootstrap
    needs a start from the last solution. Returns ``None`` where no finite maximum is reached.
    """
    scale = np.abs(columns).max(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    design, share = columns / scale, weights / weights.sum()
    beta = np.zeros(design.shape[1]) if start is None else start * scale
    eta = design @ beta + offset
    loss = logistic_loss(eta, target, share)
    for _ in range(_MAX_STEPS):
        fitted = expit(eta)
        gradient = design.T @ (share * (fitted - target))
        hessian = design.T @ (design * (share * fitted * (1 - fitted))[:, None])
        if np.linalg.cond(hessian) > 1e14:
            return None
        step = np.linalg.solve(hessian, gradient)
        beta, eta, loss = _shorten(design, target, share, offset, beta, step, loss)
        if np.abs(step).max() <= _SMALL_STEP * max(1.0, float(np.abs(beta).max())):
            return beta / scale
    return None


def _shorten(
    design: NDArray[np.float64],
    target: NDArray[np.float64],
    share: NDArray[np.float64],
    offset: NDArray[np.float64] | float,
    beta: NDArray[np.float64],
    step: NDArray[np.float64],
    loss: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Take the step, halved until the loss doesn't rise beyond rounding."""
    for halvings in range(40):
        tried = beta - step / 2**halvings
        eta = design @ tried + offset
        found = logistic_loss(eta, target, share)
        if found <= loss + 1e-13:
            break
    return tried, eta, found


def logistic_loss(
    eta: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    """Weighted sum of the negative log-likelihood of targets under log-odds."""
    return float(weights @ (np.maximum(eta, 0) - eta * target + np.log1p(np.exp(-np.abs(eta)))))


def separated(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> bool:
    """Whether some cut on the logit parts the classes (but for ties on it), so no slope is best."""
    inside, outside = logits[truth], logits[~truth]
    return bool(outside.max() <= inside.min() or inside.max() <= outside.min())


def refuse_constant(logits: NDArray[np.float64], argument: str) -> None:
    """Raise ``ValueError`` where all scores are one number."""
    if np.ptp(logits) == 0:
        msg = problem(
            f"`{argument}` to differ between rows",
            f"{logits[0]:g} in all {len(logits):,} rows",
            "Constant scores say nothing about the label; check the model that made them.",
        )
        raise ValueError(msg)
