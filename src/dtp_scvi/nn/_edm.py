"""Diffusion in a continuous noise level: preconditioning and the sampler of Heun."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

X0Of = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class EDM:
    """How a network's input and output are scaled at a noise level.

    Karras et al., Elucidating the design space of diffusion-based generative models, NeurIPS 2022.

    Attributes
    ----------
    sigma_data
        Standard deviation of the data.
    log_mean, log_sd
        Mean and deviation of ln(sigma) while training.
    low, high
        Last and first noise level of the sampler.
    rho
        How strongly steps gather at low noise.
    """

    sigma_data: float = 0.5
    log_mean: float = -1.2
    log_sd: float = 1.2
    low: float = 0.002
    high: float = 80.0
    rho: float = 7.0

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return c_skip, c_out, c_in and c_noise of noise levels of any shape."""
        total = sigma.square() + self.sigma_data**2
        return (
            self.sigma_data**2 / total,
            sigma * self.sigma_data / total.sqrt(),
            total.rsqrt(),
            sigma.log() / 4,
        )

    def weight(self, sigma: Tensor) -> Tensor:
        """Return the weight that gives every noise level the same loss at the start."""
        return (sigma.square() + self.sigma_data**2) / (sigma * self.sigma_data).square()

    def draw(self, n_rows: int, device: torch.device, generator: torch.Generator | None) -> Tensor:
        """Draw noise levels to train at, (n_rows,)."""
        normal = torch.randn(n_rows, device=device, generator=generator)
        return (self.log_mean + self.log_sd * normal).exp()

    def levels(self, n_steps: int) -> list[float]:
        """Return the noise levels of the sampler, falling, the last of them 0."""
        high, low = self.high ** (1 / self.rho), self.low ** (1 / self.rho)
        share = [step / max(1, n_steps - 1) for step in range(n_steps)]
        return [*((high + part * (low - high)) ** self.rho for part in share), 0.0]


def sample_heun(x0_of: X0Of, edm: EDM, noise: Tensor, n_steps: int) -> Tensor:
    """Follow the probability flow to noise level 0 by Heun's method, without adding noise.

    Parameters
    ----------
    x0_of
        Takes rows (n_rows, n_genes) and their noise levels (n_rows,), returns the clean rows.
    edm
        Levels.
    noise
        Rows of standard normal numbers to start from.
    n_steps
        Number of steps; each but the last evaluates twice.
    """
    levels = edm.levels(n_steps)
    x = noise * levels[0]

    def slope(at: Tensor, level: float) -> Tensor:
        sigma = torch.full((len(at),), level, device=at.device, dtype=at.dtype)
        return (at - x0_of(at, sigma)) / level

    for here, there in pairwise(levels):
        first = slope(x, here)
        ahead = x + (there - here) * first
        x = ahead if there == 0 else x + (there - here) * (first + slope(ahead, there)) / 2
    return x
