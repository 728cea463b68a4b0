"""Whether a prediction is nearer to its own perturbation than to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.spatial.distance import cdist

from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.stats._profiles import as_profiles

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_METRICS = {"l1": "cityblock", "l2": "euclidean", "cosine": "cosine"}
_BLOCK = 256


def retrieval_rank(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    metric: Literal["l1", "l2", "cosine"] = "l1",
    among: Literal["truth", "predicted"] = "truth",
) -> NDArray[np.float64]:
    """
    Rank of each perturbation's own profile by distance: 0 nearest, 0.5 chance, 1 farthest.

    Parameters
    ----------
    truth, predicted
        One profile a perturbation, in the same order, shape (perturbations, genes).
    metric
        Distance: sum of absolute differences, Euclidean, or one minus the cosine.
    among
        ``"truth"`` ranks the true profiles by their distance from a prediction: with ``"l1"`` the
        perturbation discrimination of the Virtual Cell Challenge (there counted from 1 down), with
        ``"l2"`` one minus the centroid accuracy of Systema. ``"predicted"`` ranks the predictions
        by their distance from a true profile, as PerturBench does.

    Returns
    -------
    Shape (perturbations,). Ties count half, so predicting one profile for all has 0.5 on average.

    Raises
    ------
    ValueError
        Different shapes, fewer than two perturbations, or an unknown option.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> truth = [[0, 0], [1, 0], [5, 5]]
    >>> stats.retrieval_rank(truth, [[0, 0.1], [4, 4], [5, 4]]).tolist()
    [0.0, 0.5, 0.0]
    """
    check_one_of(metric, _METRICS, "metric")
    check_one_of(among, ("truth", "predicted"), "among")
    y, p = as_profiles(truth, predicted)
    if len(y) < 2:
        msg = problem("at least two perturbations", f"{len(y)}", "There is nothing to confuse.")
        raise ValueError(msg)
    ask, pool = (p, y) if among == "truth" else (y, p)
    found = np.empty(len(y))
    for start in range(0, len(y), _BLOCK):
        here = np.arange(start, min(start + _BLOCK, len(y)))
        distance = _distance(ask[here], pool, metric)
        own = distance[np.arange(len(here)), here][:, None]
        # Equal up to rounding of sums over genes.
        tied = np.isclose(distance, own, rtol=1e-9, atol=1e-12)
        nearer = ((distance < own) & ~tied).sum(axis=1) + 0.5 * (tied.sum(axis=1) - 1)
        found[here] = nearer / (len(y) - 1)
    return found


def _distance(
    ask: NDArray[np.float64], pool: NDArray[np.float64], metric: str
) -> NDArray[np.float64]:
    if metric != "cosine":
        return cdist(ask, pool, _METRICS[metric])
    # A profile of zeros has no direction: as far from one as from another.
    unit = [
        np.divide(part, size, out=np.zeros_like(part), where=size > 0)
        for part in (ask, pool)
        for size in [np.linalg.norm(part, axis=1, keepdims=True)]
    ]
    return 1.0 - unit[0] @ unit[1].T
