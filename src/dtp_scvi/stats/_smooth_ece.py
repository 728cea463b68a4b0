"""Calibration error without bins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.fft import dct, idct
from scipy.optimize import brentq

from dtp_scvi._docs import docs
from dtp_scvi.stats._calibration_metrics import rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Points of [0, 1] at which residuals are gathered and smoothed.
MESH: Final = 2048
# No narrower kernel: below this the mesh, not the data, would be seen.
NARROWEST: Final = 1e-3


@docs.dedent
def smooth_ece(
    labels: ArrayLike, probabilities: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """
    Smooth calibration error, which needs no bins.

    Residuals are smoothed with a Gaussian of width s, reflected at 0 and 1, and their absolute
    values averaged; the result is the error at the width that equals it (Błasiok & Nakkiran
    2023, arXiv:2309.12236). As every calibration error it is biased upwards in small samples.

    Parameters
    ----------
    %(labels)s
    %(probabilities)s
    %(sample_weight)s

    Returns
    -------
    A number in [0, 1], exact to about 1e-3.

    Raises
    ------
    ValueError
        Unequal lengths, probabilities outside [0, 1], no weight.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> round(stats.smooth_ece([0, 1, 0, 1] * 50, [0.5, 0.5, 0.5, 0.5] * 50), 3)
    0.0
    >>> round(stats.smooth_ece([0] * 100, [0.2] * 100), 3)
    0.2
    """
    truth, score, weights = rows(labels, probabilities, sample_weight)
    spectrum = to_spectrum(gather(score, weights * (score - truth)) / weights.sum())
    return float(np.abs(smoothed(spectrum, bandwidth(spectrum))).sum())


def mesh_position(score: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Mesh point at or below each probability, and the share that belongs to the next one."""
    # Cell centres, where the cosine transform has its reflecting walls at 0 and 1.
    place = np.clip(score * MESH - 0.5, 0.0, MESH - 1.0)
    left = np.minimum(place.astype(np.intp), MESH - 2)
    return left, place - left


def gather(score: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum ``values`` on the mesh, each shared between its two neighbouring points."""
    left, right_share = mesh_position(score)
    places = np.concatenate([left, left + 1])
    parts = np.concatenate([values * (1 - right_share), values * right_share])
    return np.asarray(np.bincount(places, parts, minlength=MESH), dtype=np.float64)


def to_spectrum(mesh: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine transform along the last axis."""
    return dct(mesh, type=2, norm="ortho", axis=-1)


def smoothed(spectrum: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Back on the mesh after a Gaussian of width ``sigma``; damping each cosine reflects it."""
    frequency = np.pi * np.arange(MESH)
    return idct(spectrum * np.exp(-((sigma * frequency) ** 2) / 2), type=2, norm="ortho", axis=-1)


def bandwidth(spectrum: NDArray[np.float64]) -> float:
    """Width at which the error equals the width; the error only falls as the width grows."""

    def excess(sigma: float) -> float:
        return float(np.abs(smoothed(spectrum, sigma)).sum()) - sigma

    if excess(NARROWEST) <= 0:
        return NARROWEST
    return float(brentq(excess, NARROWEST, 1.0 + NARROWEST, xtol=1e-7))
