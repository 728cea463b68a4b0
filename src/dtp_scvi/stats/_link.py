"""Probability to logit and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit
from scipy.special import logit as scipy_logit

from dtp_scvi._validate import check_range

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def logit(probabilities: ArrayLike, eps: float = 1e-7) -> NDArray[np.float64]:
    """
    Log-odds of probabilities, kept finite by ``eps``.

    Parameters
    ----------
    probabilities
        Values in [0, 1], any shape.
    eps
        Probabilities are moved into ``[eps, 1 - eps]`` first, so that 0 and 1 stay finite;
        0 leaves them as they are.

    Returns
    -------
    Log-odds in float64, same shape.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> float(stats.logit(0.5))
    0.0
    """
    check_range(eps, "eps", 0.0, 0.5)
    values = np.asarray(probabilities, dtype=np.float64)
    return scipy_logit(np.clip(values, eps, 1 - eps))


def sigmoid(logits: ArrayLike) -> NDArray[np.float64]:
    """
    Probability of log-odds, without overflow at either end.

    Parameters
    ----------
    logits
        Any real numbers, any shape.

    Returns
    -------
    Values in [0, 1] in float64, same shape.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.sigmoid([-1000.0, 0.0, 1000.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    return expit(np.asarray(logits, dtype=np.float64))
