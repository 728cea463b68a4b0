"""Restricted likelihood of a linear model with crossed random effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.linalg import cholesky, solve_triangular

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RestrictedDeviance:
    """
    Restricted deviance of a model with independent random effects, profiled over the rest.

    ``theta`` are standard deviations of the blocks of effects in units of the residual's. All
    sums over pairs are taken once, so a step costs a factorisation of (effects x effects) and
    not of (pairs x pairs): penalised least squares, Bates et al. 2015, doi:10.18637/jss.v067.i01.
    """

    def __init__(
        self, y: NDArray[np.float64], x: NDArray[np.float64], blocks: list[sparse.csr_array]
    ) -> None:
        z = sparse.hstack(blocks, format="csr")
        self.n, self.k = x.shape
        self._block = np.repeat(np.arange(len(blocks)), [part.shape[1] for part in blocks])
        self._zz = (z.T @ z).toarray()
        self._zx, self._zy = z.T @ x, z.T @ y
        self._xx, self._xy, self._yy = x.T @ x, x.T @ y, float(y @ y)

    def fit(
        self, theta: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64], float]:
        """Deviance, fixed effects, their covariance, residual variance."""
        scale = theta[self._block]
        inner = self._zz * np.outer(scale, scale)
        inner[np.diag_indices_from(inner)] += 1
        lower = cholesky(inner, lower=True)
        right = scale[:, None] * np.column_stack([self._zx, self._zy])
        solved = solve_triangular(lower, right, lower=True)
        zx, zy = solved[:, :-1], solved[:, -1]
        outer = cholesky(self._xx - zx.T @ zx, lower=True)
        half = solve_triangular(outer, self._xy - zx.T @ zy, lower=True)
        fixed = solve_triangular(outer, half, lower=True, trans=1)
        freedom = self.n - self.k
        variance = (self._yy - zy @ zy - half @ half) / freedom
        logs = np.log(np.diag(lower)).sum() + np.log(np.diag(outer)).sum()
        deviance = 2 * logs + freedom * (1 + np.log(2 * np.pi * variance))
        inverse = solve_triangular(outer, np.eye(self.k), lower=True)
        return float(deviance), fixed, variance * inverse.T @ inverse, float(variance)

    def __call__(self, theta: NDArray[np.float64]) -> float:
        """Deviance alone, for a search."""
        return self.fit(theta)[0]
