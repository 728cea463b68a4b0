"""Integrate a network's gradient along the straight path from zero to each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_NODES: Final = 8
# The shortest part of a path is a 64th of it.
_MOST_HALVINGS: Final = 6
# Points that go through a network together: activations of more would leave the cache.
_MOST_POINTS: Final = 256


def path_gradient(
    function: Callable[[Tensor], Tensor], rows: Tensor, allowed: Tensor
) -> tuple[Tensor, Tensor]:
    """
    Return the mean gradient on the path from zero, shaped as ``rows``, and each row's error.

    Gauss-Legendre nodes on the whole path first. Where the sum over a row of value times
    gradient misses the difference of the function at both ends by more than ``allowed``, the path is
    halved, and each half that misses its part of it is halved again, at most 6 times.

    Parameters
    ----------
    function
        Maps points of the shape of ``rows`` to one number each; rows do not see each other.
    rows
        Ends of the paths, (n_rows, ...).
    allowed
        Largest error of each row, in units of the function, (n_rows,).

    Returns
    -------
    The mean gradient, and what the sum is off by, with its sign, (n_rows,).
    """
    nodes, weights = _rule()
    mean, missed = torch.zeros_like(rows), torch.zeros_like(allowed)
    row = torch.arange(len(rows))
    low = torch.zeros(len(rows), dtype=rows.dtype)
    for halvings in range(_MOST_HALVINGS + 1):
        size, left = 0.5**halvings, []
        for here in torch.arange(len(row)).split(_MOST_POINTS // _NODES):
            of, start = row[here], low[here]
            end = rows[of]
            at = start[:, None] + size * nodes
            found = torch.einsum("n,rn...->r...", weights, _gradients(function, end, at)) * size
            reached = _values(function, end, torch.stack([start, start + size], dim=1))
            error = (found * end).flatten(1).sum(dim=1) - (reached[:, 1] - reached[:, 0])
            good = error.abs() <= size * allowed[of]
            good |= torch.tensor(halvings == _MOST_HALVINGS)
            mean.index_add_(0, of[good], found[good])
            missed.index_add_(0, of[good], error[good])
            left.append(here[~good])
        again = torch.cat(left)
        if not len(again):
            break
        row = row[again].repeat(2)
        low = torch.cat([low[again], low[again] + size / 2])
    return mean, missed


def _rule() -> tuple[Tensor, Tensor]:
    """Nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return torch.from_numpy((nodes + 1) / 2).float(), torch.from_numpy(weights / 2).float()


def _points(end: Tensor, at: Tensor) -> Tensor:
    shape = (*at.shape, *(1,) * (end.dim() - 1))
    return (at.reshape(shape) * end[:, None]).flatten(0, 1)


def _gradients(function: Callable[[Tensor], Tensor], end: Tensor, at: Tensor) -> Tensor:
    points = _points(end, at).requires_grad_()
    with torch.enable_grad():
        gradient = torch.autograd.grad(function(points).sum(), points)[0]
    return gradient.unflatten(0, tuple(at.shape))


def _values(function: Callable[[Tensor], Tensor], end: Tensor, at: Tensor) -> Tensor:
    with torch.no_grad():
        return function(_points(end, at)).unflatten(0, tuple(at.shape))
