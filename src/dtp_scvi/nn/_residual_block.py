"""A linear layer with batch normalisation, an activation and a way around them."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

POWER_ITERATIONS: Final = 5


class Swish(nn.Module):
    """``x * sigmoid(beta * x)`` with a trainable scalar beta that starts at 1."""

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return an array of the shape of ``x``."""
        return x * torch.sigmoid(self.beta * x)


def linear_layer(n_in: int, n_out: int, *, spectral: bool, output: bool = False) -> nn.Linear:
    """Return a linear layer, Kaiming-normal, or Xavier-normal where it is an output.

    Parameters
    ----------
    n_in, n_out
        Sizes.
    spectral
        Divide the weight by its largest singular value (five power iterations a step). It is the
        weight before that division which is drawn.
    output
        Whether no activation follows.
    """
    layer = nn.Linear(n_in, n_out)
    if output:
        nn.init.xavier_normal_(layer.weight)
    else:
        nn.init.kaiming_normal_(layer.weight)
    if spectral:
        spectral_norm(layer, n_power_iterations=POWER_ITERATIONS)
    return layer


class ResidualBlock(nn.Module):
    """``activation(BN(W x + c)) + S(x)``; ``S`` is linear, or the identity for equal sizes.

    Parameters
    ----------
    n_in, n_out
        Sizes.
    activation
        Layer without a change of shape; several blocks may share one.
    spectral_main
        Spectral norm of ``W``.
    spectral_shortcut
        Spectral norm of ``S``.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        activation: nn.Module,
        spectral_main: bool = False,
        spectral_shortcut: bool = False,
    ) -> None:
        super().__init__()
        self.main = linear_layer(n_in, n_out, spectral=spectral_main)
        self.norm = nn.BatchNorm1d(n_out)
        self.activation = activation
        self.shortcut: nn.Module = (
            nn.Identity()
            if n_in == n_out
            else linear_layer(n_in, n_out, spectral=spectral_shortcut)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n_rows, n_in) to (n_rows, n_out)."""
        return self.activation(self.norm(self.main(x))) + self.shortcut(x)
