"""A running mean of weights."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


class WeightAverage:
    """An exponential mean of a network's parameters over steps.

    It follows faster at first, at (1 + n) / (10 + n) after n steps, so that a short training does
    not end near its start.

    Parameters
    ----------
    network
        What is averaged; its buffers are not.
    decay
        Weight of the past, 0 to 1; 0 keeps the latest weights.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay, self.n_steps = network, decay, 0
        self.mean = {name: p.detach().clone() for name, p in network.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the present weights."""
        self.n_steps += 1
        decay = min(self.decay, (1 + self.n_steps) / (10 + self.n_steps))
        decay = decay if self.decay else 0.0
        for name, parameter in self.network.named_parameters():
            mean = self.mean[name]
            if mean.device != parameter.device:
                mean = self.mean[name] = mean.to(parameter.device)
            mean.lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self.network.named_parameters():
            latest = parameter.detach().clone()
            parameter.copy_(self.mean[name])
            self.mean[name] = latest

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the mean in place of the weights for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()
