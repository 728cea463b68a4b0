"""Numbers as vectors: expression values, doses, times and diffusion steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class ValueBins(nn.Module):
    """A learned vector for each of ``n_bins`` intervals of equal width.

    The edges are part of the weights: a network that is moved to data of another range goes on
    reading values the way it was trained to.

    Parameters
    ----------
    n_bins
        Number of intervals, the first and the last of them open.
    d_model
        Length of a vector.
    low, high
        First and last edge.
    """

    edges: Tensor

    def __init__(self, n_bins: int, d_model: int, low: float, high: float) -> None:
        super().__init__()
        self.register_buffer("edges", torch.linspace(low, high, n_bins - 1))
        self.embedding = nn.Embedding(n_bins, d_model)

    def bins(self, values: Tensor) -> Tensor:
        """Return the number of edges at or below each value, int64."""
        return torch.bucketize(values, self.edges, right=True)

    def forward(self, values: Tensor) -> Tensor:
        """Map values of any shape to vectors, (..., d_model)."""
        return self.embedding(self.bins(values))


class ContinuousValues(nn.Module):
    """A small perceptron on one standardised value.

    Parameters
    ----------
    d_model
        Length of a vector.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, d_model), nn.SiLU(), nn.Linear(d_model, d_model))

    def forward(self, values: Tensor) -> Tensor:
        """Map values of any shape to vectors, (..., d_model)."""
        return self.net(values[..., None])


class AmountToken(nn.Module):
    """An amount, a dose or a time, as a learned interval plus a line in log10(amount + 1).

    Intervals start at zero, so one that no training row fell into adds nothing and an unseen
    amount lies on the line.

    Parameters
    ----------
    d_model
        Length of a vector.
    edges
        Edges of the intervals, ascending; an amount on an edge belongs to the upper one. Without
        edges there is the line alone.
    """

    edges: Tensor

    def __init__(self, d_model: int, edges: Sequence[float] = ()) -> None:
        super().__init__()
        self.register_buffer("edges", torch.tensor(edges, dtype=torch.float32))
        self.embedding = nn.Embedding(len(edges) + 1, d_model) if len(edges) else None
        self.line = nn.Linear(1, d_model)
        if self.embedding is not None:
            nn.init.zeros_(self.embedding.weight)

    def forward(self, amounts: Tensor) -> Tensor:
        """Map amounts >= 0, (n_rows,), to vectors, (n_rows, d_model)."""
        token = self.line(torch.log10(amounts + 1)[:, None])
        if self.embedding is None:
            return token
        return token + self.embedding(torch.bucketize(amounts, self.edges, right=True))


class StepEmbedding(nn.Module):
    """A diffusion step, or noise level, through sines, cosines and two layers.

    Parameters
    ----------
    d_model
        Length of a vector.
    exponents
        Decimal logarithms of the lowest and the highest frequency. (0, 4) tells whole steps
        apart, as in Tashiro et al., CSDI, NeurIPS 2021; (-4, 0) is smooth in a continuous level.
    """

    frequencies: Tensor

    def __init__(self, d_model: int, exponents: tuple[float, float] = (0.0, 4.0)) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.logspace(*exponents, d_model))
        self.net = nn.Sequential(
            nn.Linear(2 * d_model, d_model), nn.SiLU(), nn.Linear(d_model, d_model), nn.SiLU()
        )

    def forward(self, steps: Tensor) -> Tensor:
        """Map steps (n_rows,) to vectors (n_rows, d_model)."""
        angle = steps.to(self.frequencies.dtype)[:, None] * self.frequencies
        return self.net(torch.cat([angle.sin(), angle.cos()], dim=1))
