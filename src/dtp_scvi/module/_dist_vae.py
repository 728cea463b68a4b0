"""The residual autoencoder whose latent variables follow a teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import is_parametrized

from dtp_scvi.module._res_vae import ResVAEModule

if TYPE_CHECKING:
    from torch import Tensor

    from dtp_scvi.module._res_vae import DenseBatch
    from dtp_scvi.nn import ResidualBlock


class DistVAEModule(ResVAEModule):
    r"""Adds :math:`w_c (1 - \cos(t, \mu)) + w_m \, MSE(t, \mu)`, t the teacher's latent.

    Parameters
    ----------
    n_inputs
        Width of the input.
    cosine_weight
        :math:`w_c`.
    latent_mse_weight
        :math:`w_m`: a cosine leaves the length of the latent vector free.
    sampled
        Compare a draw from the posterior instead of its mean, as published.
    **architecture
        Arguments of :class:`ResVAEModule`.
    """

    def __init__(
        self,
        n_inputs: int,
        *,
        cosine_weight: float = 158.0,
        latent_mse_weight: float = 0.0,
        sampled: bool = False,
        **architecture: Any,
    ) -> None:
        super().__init__(n_inputs, **architecture)
        self.cosine_weight, self.latent_mse_weight = cosine_weight, latent_mse_weight
        self.sampled = sampled

    @property
    def takes_start(self) -> bool:
        """Whether the posterior mean can begin as a linear function of the inputs."""
        widths = [cast("ResidualBlock", block).norm.num_features for block in self.encoder]
        if not widths or min(widths) < self.n_latent or is_parametrized(self.mu):
            return False
        return isinstance(cast("ResidualBlock", self.encoder[0]).shortcut, nn.Linear)

    @torch.no_grad()
    def start_linear(self, weight: Tensor, bias: Tensor) -> None:
        """Let the posterior mean begin at ``weight @ x + bias``, carried by the shortcuts.

        Parameters
        ----------
        weight
            (n_latent, n_inputs).
        bias
            (n_latent,).
        """
        carried = self.n_latent
        for i, layer in enumerate(self.encoder):
            block = cast("ResidualBlock", layer)
            # What would be added on the way begins at zero.
            block.norm.weight[:carried] = 0
            if isinstance(block.shortcut, nn.Linear):
                start = weight if i == 0 else torch.eye(carried, block.shortcut.in_features)
                block.shortcut.weight[:carried] = start
                block.shortcut.bias[:carried] = bias if i == 0 else 0
        self.mu.weight.copy_(torch.eye(carried, self.mu.in_features))
        self.mu.bias.zero_()

    def terms(
        self,
        tensors: DenseBatch,
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        """Return ``mse``, ``kl``, ``latent_cosine`` and ``latent_mse``, means over the batch."""
        terms = super().terms(tensors, inference_outputs, generative_outputs)
        ours = inference_outputs["z" if self.sampled else "mu"]
        teacher = tensors["target"]
        return terms | {
            "latent_cosine": F.cosine_similarity(teacher, ours, dim=1).mean(),
            "latent_mse": F.mse_loss(ours, teacher),
        }

    def weigh(self, terms: dict[str, Tensor]) -> Tensor:
        """Return the weighted sum of the terms."""
        latent = self.cosine_weight * (1 - terms["latent_cosine"])
        return super().weigh(terms) + latent + self.latent_mse_weight * terms["latent_mse"]
