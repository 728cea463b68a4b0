"""What every baseline is once it is fitted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import scipy.sparse as sp
    from numpy.typing import NDArray


@dataclass(frozen=True)
class FittedBaseline:
    """
    A comparator fitted on training rows.

    Attributes
    ----------
    name
        One of ``BASELINES``.
    logit
        Takes log1p CP10k rows with the genes of the training matrix, returns the log-odds of the
        positive class, float64, shape ``(n_rows,)``.
    out_of_fold
        Log-odds of the training rows by fits that have not seen their inner fold; a threshold
        chosen on them knows no test row.
    details
        What was found while fitting: numbers and strings.
    """

    name: str
    logit: Callable[[sp.csr_matrix], NDArray[Any]]
    out_of_fold: NDArray[Any]
    details: dict[str, Any] = field(default_factory=dict)
