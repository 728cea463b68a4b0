"""Maximum mean discrepancy between two sets of rows, as a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from dtp_scvi._validate import problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

# Kernels around the median distance: narrow ones see detail, wide ones see far-off clouds.
BANDWIDTHS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
_LEAST = 1e-12


def mmd2(
    x: Tensor,
    y: Tensor,
    *,
    bandwidths: Sequence[float] = BANDWIDTHS,
    unbiased: bool = False,
    through_median: bool = False,
) -> Tensor:
    r"""Return the squared maximum mean discrepancy of two sets of rows.

    .. math:: k(a, b) = \frac{1}{B} \sum_b \exp\left(-\frac{\|a - b\|^2}{2 (b m)^2}\right)

    :math:`m` is the median of the distances between all rows of both sets.

    Parameters
    ----------
    x, y
        Rows, (n, d) and (m, d).
    bandwidths
        Widths of the kernels as multiples of that median; ``(1.0,)`` is the single kernel of
        scATD.
    unbiased
        Leave the diagonals out (a U-statistic, which can be below zero); else the V-statistic,
        which is zero for two equal sets.
    through_median
        Let the gradient run through the median as well, as scATD's code does. Else the kernel is
        a constant of the step.

    Raises
    ------
    ValueError
        When a set is empty, or has one row where ``unbiased``.

    References
    ----------
    Gretton et al., A kernel two-sample test, JMLR 2012; Zhou et al., scATD,
    doi:10.1093/bib/bbaf268.

    Examples
    --------
    >>> import torch
    >>> from dtp_scvi.nn import mmd2
    >>> x = torch.arange(6.0).reshape(3, 2)
    >>> bool(mmd2(x, x) < 1e-6)
    True
    """
    fewest = 2 if unbiased else 1
    if min(len(x), len(y)) < fewest:
        found = f"{len(x)} and {len(y)}"
        raise ValueError(problem(f"at least {fewest} rows in each set", found, "Pass more rows."))
    squared = _squared_distances(torch.cat([x, y]))
    median = _median(squared if through_median else squared.detach())
    kernel = torch.stack([torch.exp(-squared / (2 * (b * median) ** 2)) for b in bandwidths])
    kernel, n = kernel.mean(dim=0), len(x)
    own, other = kernel[:n, :n], kernel[n:, n:]
    return _mean(own, unbiased) + _mean(other, unbiased) - 2 * kernel[:n, n:].mean()


def _mean(kernel: Tensor, unbiased: bool) -> Tensor:  # noqa: FBT001
    if not unbiased:
        return kernel.mean()
    n = len(kernel)
    return (kernel.sum() - kernel.diagonal().sum()) / (n * (n - 1))


def _squared_distances(rows: Tensor) -> Tensor:
    # Centred, as the differences of large squares would lose small distances.
    rows = rows - rows.detach().mean(dim=0)
    norm = rows.square().sum(dim=1)
    squared = norm[:, None] + norm[None, :] - 2 * rows @ rows.T
    apart = ~torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    return squared.clamp_min(0.0) * apart


def _median(squared: Tensor) -> Tensor:
    above = torch.triu_indices(len(squared), len(squared), offset=1, device=squared.device)
    # The root of the median is the median of the roots, and its slope at zero is not needed.
    return squared[above[0], above[1]].median().clamp_min(_LEAST).sqrt()
