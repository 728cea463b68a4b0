"""The closed-form start of a distilled autoencoder: ridge regression on a teacher's latent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.linear_model import RidgeCV

from dtp_scvi._validate import problem

if TYPE_CHECKING:
    from dtp_scvi.train._dense_batches import DenseRows

# The kernel of so many rows is 200 MB.
_MOST_ROWS: Final = 5000
# Times the mean squared length of a row.
_PENALTIES: Final = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


def latent_start(data: DenseRows, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Regress a teacher's latent variables on the inputs.

    The penalty has the lowest leave-one-out error of six.

    Parameters
    ----------
    data
        Inputs with the teacher's latent.
    rows
        Rows to fit; of more than 5,000 a random choice is taken.
    seed
        Seed of that choice.

    Returns
    -------
    Weights, (n_latent, n_inputs), and intercepts, (n_latent,), float32.
    """
    if len(rows) > _MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _MOST_ROWS, replace=False))
    _, variance = data.moments(rows)
    if data.target is None:
        msg = problem("rows with a teacher's latent", "none", "Set up with `teacher_key`.")
        raise ValueError(msg)
    X, target = data.values[rows], data.target[rows]
    length = max(variance, 1e-12) * X.shape[1]
    fitted = RidgeCV(alphas=[length * penalty for penalty in _PENALTIES]).fit(X, target)
    return fitted.coef_.astype(np.float32), fitted.intercept_.astype(np.float32)
