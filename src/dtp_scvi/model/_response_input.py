"""What a response model reads of a sample: its panel genes, closed to a whole or ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from scipy.stats import rankdata

from dtp_scvi._constants import TARGET_SUM

if TYPE_CHECKING:
    from numpy.typing import NDArray

Align = Literal["none", "moments", "rank"]
ALIGN: Final = ("none", "moments", "rank")
CLOSED, RANK = "closed", "rank"
INPUTS: Final = {CLOSED: (CLOSED,), RANK: (RANK,), "blend": (CLOSED, RANK)}
_SMALLEST_SD = 1e-6


def closed(
    values: NDArray[np.float64], observed: NDArray[np.bool_], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """
    Return log1p(1e4 · x / sum over the panel), which needs no library size.

    Parameters
    ----------
    values
        Linear expression, (n_rows, n_genes); zero where a gene was not observed.
    observed
        Which genes were, (n_genes,).
    share
        Mean share of each gene in the sum of a training row: what is missing of the sum.

    Returns
    -------
    Values >= 0; NaN in rows that sum to zero.
    """
    total = values[:, observed].sum(axis=1) / share[observed].sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log1p(TARGET_SUM * values / total[:, None])


def ranks(values: NDArray[np.float64], observed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return within-row ranks of the observed genes, in (0, 1); ties share their mean."""
    out = np.full(values.shape, 0.5)
    n = int(observed.sum())
    out[:, observed] = (rankdata(values[:, observed], axis=1) - 0.5) / n
    out[values[:, observed].sum(axis=1) == 0] = np.nan
    return out


def on_profile(
    quantiles: NDArray[np.float64], profile: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Put the mean training value of each rank in place of a sample's own values."""
    grid = (np.arange(len(profile)) + 0.5) / len(profile)
    return np.interp(quantiles, grid, profile)


def read_inputs(
    values: NDArray[np.float64],
    observed: NDArray[np.bool_],
    kinds: tuple[str, ...],
    share: NDArray[np.float64],
    profile: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """
    Return the inputs of a model, (n_kinds, n_rows, n_genes).

    With ``profile`` (``align="rank"``) closed values are those of the training profile.
    """
    out = []
    for kind in kinds:
        if kind == RANK:
            out.append(ranks(values, observed))
        elif profile is None:
            out.append(closed(values, observed, share))
        else:
            out.append(on_profile(ranks(values, observed), profile))
    return np.stack(out)


def standardise(
    inputs: NDArray[np.float64],
    mean: NDArray[np.float64],
    sd: NDArray[np.float64],
    observed: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Subtract means and divide by deviations, (n_kinds, n_genes) each; missing genes give 0."""
    usable = (sd > _SMALLEST_SD) & observed
    scaled = (inputs - mean[:, None]) / np.where(usable, sd, 1.0)[:, None]
    return np.where(usable[:, None], scaled, 0.0)


class Moments:
    """Mean and deviation of inputs that arrive in blocks; rows that hold NaN are left out."""

    def __init__(self) -> None:
        self.n = 0
        self.mean: NDArray[np.float64] | float = 0.0
        self._square: NDArray[np.float64] | float = 0.0

    def add(self, inputs: NDArray[np.float64]) -> None:
        """Take in (n_kinds, n_rows, n_genes)."""
        inputs = inputs[:, np.isfinite(inputs).all(axis=(0, 2))]
        n = inputs.shape[1]
        if not n:
            return
        mean = inputs.mean(axis=1)
        step = mean - self.mean
        together = self.n + n
        self._square = (
            self._square
            + ((inputs - mean[:, None]) ** 2).sum(axis=1)
            + step**2 * self.n * n / together
        )
        self.mean = self.mean + step * n / together
        self.n = together

    @property
    def sd(self) -> NDArray[np.float64]:
        """Standard deviation, dividing by the number of rows."""
        return np.sqrt(np.asarray(self._square) / max(self.n, 1))
