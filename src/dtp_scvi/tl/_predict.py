"""Predict a query once, for the score and for the check of the score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from dtp_scvi._logging import progress
from dtp_scvi.data import draw_rows

if TYPE_CHECKING:
    from dtp_scvi.model import ExpressionClassifier, Query

# Rows whose program coordinates are kept for the comparison: 10 MB.
MOST_ROWS: Final = 100_000


class Prediction(NamedTuple):
    """
    What is known of the rows of a query.

    Attributes
    ----------
    logits
        Log-odds of the positive class, (n_rows,).
    space
        Program coordinates of the rows, or of a sample of them.
    spread
        Standard deviation over the members of an ensemble of the probability that each gives,
        (n_rows,); ``None`` where the model is none.
    """

    logits: np.ndarray
    space: np.ndarray
    spread: np.ndarray | None


def predict(
    model: ExpressionClassifier,
    query: Query,
    n_rows: int,
    *,
    batch_size: int | None,
    verbose: bool,
    n_space: int = MOST_ROWS,
) -> Prediction:
    """
    Predict every row, and keep program coordinates of at most ``n_space``.

    These are of all rows, or of a fixed random sample, so that memory stays bounded.
    """
    positive = model.classes_.index(model.positive_)
    logits, spread, parts = np.empty(n_rows), np.empty(n_rows), []
    chosen = np.zeros(n_rows, dtype=bool)
    if n_space:
        chosen[draw_rows(n_rows, None, n_space, np.random.default_rng(0))] = True
    ensemble = False
    with progress(n_rows, "scoring", verbose=verbose) as bar:
        for part in model.stream(query, batch_size=batch_size):
            logits[part.rows] = part.logits[:, positive]
            if n_space:
                parts.append(part.space[chosen[part.rows]])
            if part.members is not None:
                ensemble = True
                each = model.calibrated(part.members[:, :, positive].ravel())
                spread[part.rows] = each.reshape(part.members.shape[:2]).std(axis=1, ddof=1)
            bar.update(len(part.logits))
    space = np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32)
    return Prediction(logits, space, spread if ensemble else None)
