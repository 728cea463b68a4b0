"""How complete attributions are, which part carries a prediction, and when to refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi._logging import warn
from dtp_scvi._validate import problem
from dtp_scvi.model._attribute_methods import DEEP_LIFT, INTEGRATED, TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Mapping

# Share of the whole that DeepLIFT's sums may miss.
MOST_MISSED: Final = 0.05


def completeness(error: np.ndarray, output: np.ndarray, least: float = 0.0) -> dict[str, Any]:
    """Summarise the completeness error of rows as shares of what they sum to.

    Parameters
    ----------
    error
        Absolute error of each row.
    output
        Prediction of each row less that at the baseline.
    least
        What the error of a row is a share of where that is smaller.
    """
    relative = error / np.maximum(np.abs(output), max(least, np.finfo(float).tiny ** 0.5))
    return {
        "median": float(np.median(relative)),
        "max": float(relative.max()),
        "overall": float(error.sum() / max(np.abs(output).sum(), np.finfo(float).tiny ** 0.5)),
        "n_above": int((relative > TOLERANCE).sum()),
        "tolerance": TOLERANCE,
        "least": least,
    }


def output_shares(linear: np.ndarray, residual: np.ndarray) -> dict[str, Mapping[str, float]]:
    """Say how much of the prediction each part carries.

    Parameters
    ----------
    linear, residual
        Prediction of each part less that at the baseline, (n_rows,).

    Returns
    -------
    ``variance``, the covariance of a part with the whole over the variance of the whole, and
    ``absolute``, mean absolute contribution over the sum of both; both sum to 1.
    """
    whole = linear + residual
    spread, size = whole.var(), np.abs(linear).mean() + np.abs(residual).mean()
    shared = ((linear - linear.mean()) * (whole - whole.mean())).mean()
    by_variance = shared / spread if spread else np.nan
    by_size = np.abs(linear).mean() / size if size else np.nan
    return {
        "variance": {"linear": float(by_variance), "residual": float(1 - by_variance)},
        "absolute": {"linear": float(by_size), "residual": float(1 - by_size)},
    }


def judge(method: str, found: dict[str, Any], n_rows: int) -> None:
    """Refuse sums that miss too much of the prediction; warn of smaller errors."""
    if method == DEEP_LIFT and found["overall"] > MOST_MISSED:
        msg = problem(
            f"DeepLIFT's contributions to sum to the prediction within {MOST_MISSED:.0%}",
            f"a completeness error of {found['overall']:.1%} ({found['median']:.1%} in the median "
            "row): its rule has no answer for attention and normalisation",
            f'Use method="{INTEGRATED}".',
        )
        raise ValueError(msg)
    if method == DEEP_LIFT and found["overall"] > TOLERANCE:
        warn(
            f"DeepLIFT's contributions miss {found['overall']:.1%} of the prediction; "
            f'method="{INTEGRATED}" does not.'
        )
    elif method != DEEP_LIFT and found["n_above"] and found["overall"] > _limit(method):
        warn(
            f"Completeness error above {TOLERANCE:.0%} in {found['n_above']:,} of {n_rows:,} rows "
            f"(median {found['median']:.2%}, overall {found['overall']:.2%}). Raise `n_steps`."
        )


def _limit(method: str) -> float:
    """Overall error from which a warning is due; a path integral has none to excuse."""
    return 0.0 if method == INTEGRATED else TOLERANCE
