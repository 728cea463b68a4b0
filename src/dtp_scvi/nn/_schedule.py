"""Noise of a diffusion in whole steps, and how to walk it back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn

# Betas of Hu, Chen and Gu, PertDiT: squares of evenly spaced roots.
_FIRST, _LAST = 0.002, 0.4

EpsOf = Callable[[Tensor, Tensor], Tensor]
Draw = Callable[[], Tensor]


class NoiseSchedule(nn.Module):
    r"""Share of signal that is left after each step, :math:`\bar\alpha_t = \prod_s (1-\beta_s)`.

    .. math:: x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1-\bar\alpha_t}\, \varepsilon

    Ho et al., Denoising diffusion probabilistic models, NeurIPS 2020.

    Parameters
    ----------
    n_steps
        Number of steps; :math:`t` runs from 0, the least noise.
    first, last
        First and last beta; their roots are evenly spaced between ("scaled linear").
    """

    betas: Tensor
    alpha_bar: Tensor

    def __init__(self, n_steps: int, first: float = _FIRST, last: float = _LAST) -> None:
        super().__init__()
        betas = torch.linspace(first**0.5, last**0.5, n_steps, dtype=torch.float64).square()
        self.register_buffer("betas", betas.float())
        self.register_buffer("alpha_bar", torch.cumprod(1 - betas, dim=0).float())

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.betas)

    def _roots(self, t: Tensor) -> tuple[Tensor, Tensor]:
        kept = self.alpha_bar[t][:, None]
        return kept.sqrt(), (1 - kept).sqrt()

    def add_noise(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """Return x_t of clean rows and noise, both (n_rows, n_genes), at steps ``t`` (n_rows,)."""
        signal, noise = self._roots(t)
        return signal * x0 + noise * eps

    def x0_of(self, x: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """Return the clean rows that x_t and its noise imply."""
        signal, noise = self._roots(t)
        return (x - noise * eps) / signal

    def eps_of(self, x: Tensor, x0: Tensor, t: Tensor) -> Tensor:
        """Return the noise that x_t and its clean rows imply."""
        signal, noise = self._roots(t)
        return (x - signal * x0) / noise


def sample_ddpm(eps_of: EpsOf, schedule: NoiseSchedule, draw: Draw) -> Tensor:
    """Walk back step by step, drawing from each posterior (variance "fixed small").

    Parameters
    ----------
    eps_of
        Takes x_t (n_rows, n_genes) and t (n_rows,), int64, and returns the noise in x_t.
    schedule
        Noise of the steps.
    draw
        Returns fresh rows of standard normal numbers, (n_rows, n_genes), such as those of
        :class:`RowNoise`.
    """
    x = draw()
    for step in reversed(range(schedule.n_steps)):
        t = torch.full((len(x),), step, device=x.device)
        x0 = schedule.x0_of(x, eps_of(x, t), t)
        beta, kept = schedule.betas[step], schedule.alpha_bar[step]
        before = schedule.alpha_bar[step - 1] if step else torch.ones_like(kept)
        mean = (before.sqrt() * beta * x0 + (1 - beta).sqrt() * (1 - before) * x) / (1 - kept)
        if step == 0:
            return mean
        sd = (beta * (1 - before) / (1 - kept)).sqrt()
        x = mean + sd * draw()
    return x


def sample_ddim(eps_of: EpsOf, schedule: NoiseSchedule, noise: Tensor, n_steps: int) -> Tensor:
    """Walk back along ``n_steps`` evenly spread steps without adding noise.

    Song et al., Denoising diffusion implicit models, ICLR 2021, with eta 0. Steps are the whole
    parts of 0, r, 2r, ... with r the length of the schedule over ``n_steps`` ("leading"). A whole
    r would leave out the noisiest steps, where rows of noise belong, unless it divides.

    Parameters
    ----------
    eps_of
        Takes x_t (n_rows, n_genes) and t (n_rows,), int64, and returns the noise in x_t.
    schedule
        Noise of the steps.
    noise
        Rows of standard normal numbers to start from.
    n_steps
        Number of evaluations, 1 to the length of the schedule.
    """
    x = noise
    steps = [index * schedule.n_steps // n_steps for index in range(n_steps)]
    for before, step in reversed(list(pairwise([-1, *steps]))):
        t = torch.full((len(x),), step, device=x.device)
        eps = eps_of(x, t)
        x0 = schedule.x0_of(x, eps, t)
        if before < 0:
            return x0
        x = schedule.add_noise(x0, eps, torch.full_like(t, before))
    return x


def guided(conditional: Tensor, null: Tensor, guidance: float) -> Tensor:
    """Move a prediction away from the one without condition; 1 leaves it as it is.

    Ho and Salimans, Classifier-free diffusion guidance, arXiv:2207.12598.
    """
    return null + guidance * (conditional - null)


class RowNoise:
    """Normal numbers that belong to a row, whatever other rows stand in its batch.

    Parameters
    ----------
    seeds
        One seed a row.
    n_genes
        Numbers to draw for a row at a time.
    device
        Where they are wanted; they are drawn on the CPU, so that a seed means the same everywhere.
    """

    def __init__(self, seeds: Iterable[int], n_genes: int, device: torch.device) -> None:
        self.generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        self.n_genes, self.device = n_genes, device

    def __call__(self) -> Tensor:
        """Draw the next numbers of every row, (n_rows, n_genes)."""
        rows = [torch.randn(self.n_genes, generator=generator) for generator in self.generators]
        return torch.stack(rows).to(self.device)
