"""A gated perceptron, and normalisation that a condition shifts, scales and gates."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class GatedMLP(nn.Module):
    """Linear to twice the hidden width, one half times SiLU of the other, and back.

    Shazeer, GLU variants improve Transformer, arXiv:2002.05202.

    Parameters
    ----------
    d_model
        Width of a token.
    d_hidden
        Width of either half.
    """

    def __init__(self, d_model: int, d_hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(d_model, 2 * d_hidden)
        self.down = nn.Linear(d_hidden, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (..., d_model) to the same shape."""
        value, gate = self.up(x).chunk(2, dim=-1)
        return self.down(value * F.silu(gate))


class AdaptiveNorm(nn.Module):
    """Shift, scale and gate of two branches from one condition.

    Peebles and Xie, Scalable diffusion models with Transformers, ICCV 2023. ``start_closed``
    starts all six at zero, so that a block begins as the identity (their adaLN-Zero).

    Parameters
    ----------
    d_model
        Width of tokens and condition.
    start_closed
        Start at zero.
    """

    def __init__(self, d_model: int, *, start_closed: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(d_model, 6 * d_model)
        self.start_closed = start_closed
        self.norms = nn.ModuleList(
            nn.LayerNorm(d_model, elementwise_affine=False) for _ in range(2)
        )

    def close(self) -> None:
        """Start at zero where that was asked for."""
        if self.start_closed:
            nn.init.zeros_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)

    def forward(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Map a condition (n_rows, d_model) to shift, scale, gate of either branch, (n_rows, 1, d_model)."""
        return self.linear(F.silu(condition))[:, None].chunk(6, dim=-1)

    def normed(self, branch: int, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """Return LayerNorm(x) · (1 + scale) + shift.

        Parameters
        ----------
        branch
            0 for attention, 1 for the perceptron.
        x
            Tokens, (n_rows, n_tokens, d_model).
        shift, scale
            From :meth:`forward`.
        """
        return self.norms[branch](x) * (1 + scale) + shift
