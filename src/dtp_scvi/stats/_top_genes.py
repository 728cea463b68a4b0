"""Whether the genes said to move most are those that did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._validate import problem
from dtp_scvi.stats._profiles import as_profiles

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def precision_at_k(
    truth: ArrayLike, predicted: ArrayLike, k: int, *, n_top: int = 100
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Share of the top ``k`` predicted genes that are among the ``n_top`` most changed ones.

    Parameters
    ----------
    truth, predicted
        Changes, shape (rows, genes).
    k
        Genes taken from either end of the prediction.
    n_top
        Genes that count as changed most, from either end of the truth. By chance the share is
        ``n_top / n_genes``.

    Returns
    -------
    For raised and for lowered genes, shape (rows,) each. Predicted ties share the places they
    compete for, so a constant prediction has what chance gives.

    Raises
    ------
    ValueError
        Different shapes, or ``k`` or ``n_top`` outside 1 to the number of genes.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> up, down = stats.precision_at_k([[3, 2, 0, -1]], [[5, 0, 1, -2]], 2, n_top=2)
    >>> up.tolist(), down.tolist()
    ([0.5], [0.5])
    """
    y, p = as_profiles(truth, predicted)
    for name, value in (("k", k), ("n_top", n_top)):
        if not 1 <= value <= y.shape[1]:
            msg = problem(
                f"`{name}` from 1 to the {y.shape[1]:,} genes", f"{value}", f"Change `{name}`."
            )
            raise ValueError(msg)
    return _overlap(y, p, k, n_top), _overlap(-y, -p, k, n_top)


def _overlap(
    y: NDArray[np.float64], p: NDArray[np.float64], k: int, n_top: int
) -> NDArray[np.float64]:
    order = np.argsort(-y, axis=1, kind="stable")[:, :n_top]
    is_top = np.zeros(y.shape, bool)
    np.put_along_axis(is_top, order, values=True, axis=1)
    cut = -np.partition(-p, k - 1, axis=1)[:, k - 1 : k]
    above, tied = p > cut, p == cut
    places = k - above.sum(axis=1)
    share = (tied & is_top).sum(axis=1) / tied.sum(axis=1)
    return ((above & is_top).sum(axis=1) + places * share) / k
