"""The residual variational autoencoder of scATD (Zhou et al., bbaf268, 2025)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Required, TypedDict

import torch
from scvi.module.base import BaseModuleClass, LossOutput
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import is_parametrized

from dtp_scvi._validate import check_one_of
from dtp_scvi.module._vae_presets import ACTIVATIONS, SPECTRAL_NORMS, Activation, SpectralNorm
from dtp_scvi.nn import ResidualBlock, Swish, linear_layer

if TYPE_CHECKING:
    from collections.abc import Sequence

_SLOPE: Final = 0.01
# How a network that has no published start begins: near the mean, noise at a third of the prior's.
_FIRST_LOGVAR: Final = -2.0
_FIRST_OUTPUT: Final = 0.1


class DenseBatch(TypedDict, total=False):
    """Rows as the network takes them, normalised."""

    X: Required[Tensor]
    """float32, shape (n_rows, n_inputs)."""
    target: Tensor
    """A teacher's latent representation, float32, shape (n_rows, n_target)."""


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return each row's divergence from the standard normal, mean over latent variables."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).mean(dim=1)


class ResVAEModule(BaseModuleClass):
    r"""Residual blocks down to a Gaussian latent variable and up again.

    Trained on :math:`B \cdot MSE + KL`, each a mean over rows and columns.

    Parameters
    ----------
    n_inputs
        Width of the input.
    encoder, decoder
        Widths of the residual blocks behind the input and behind the latent variables.
    n_latent
        Number of latent variables.
    activation
        One of ``ACTIVATIONS``.
    spectral_norm
        One of ``SPECTRAL_NORMS``.
    reconstruction_weight
        B.
    """

    mean: Tensor
    """Training mean of each input: what a missing one is set to, (n_inputs,)."""

    def __init__(
        self,
        n_inputs: int,
        *,
        encoder: Sequence[int] = (256, 128),
        n_latent: int = 32,
        decoder: Sequence[int] = (128, 256),
        activation: Activation = "leaky_relu",
        spectral_norm: SpectralNorm = "none",
        reconstruction_weight: float = 500.0,
    ) -> None:
        super().__init__()
        check_one_of(activation, ACTIVATIONS, "activation")
        check_one_of(spectral_norm, SPECTRAL_NORMS, "spectral_norm")
        self.n_inputs, self.n_latent = n_inputs, n_latent
        self.reconstruction_weight = reconstruction_weight
        outer = spectral_norm != "none"
        shared = Swish() if activation == "shared_swish" else None

        def blocks(widths: Sequence[int]) -> nn.Sequential:
            layers = []
            for n_in, n_out in pairwise(widths):
                own = nn.LeakyReLU(_SLOPE) if activation == "leaky_relu" else Swish()
                layers.append(
                    ResidualBlock(
                        n_in,
                        n_out,
                        activation=own if shared is None else shared,
                        spectral_main=spectral_norm == "all",
                        spectral_shortcut=outer,
                    )
                )
            return nn.Sequential(*layers)

        last = [n_inputs, *encoder][-1]
        self.encoder = blocks([n_inputs, *encoder])
        self.mu = linear_layer(last, n_latent, spectral=outer, output=True)
        self.logvar = linear_layer(last, n_latent, spectral=outer, output=True)
        self.decoder = blocks([n_latent, *decoder])
        self.output = linear_layer([n_latent, *decoder][-1], n_inputs, spectral=outer, output=True)
        self.register_buffer("mean", torch.zeros(n_inputs))

    def fill(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Set inputs that are missing in every row to their training mean.

        Parameters
        ----------
        x
            Rows, (n_rows, n_inputs).
        observed
            1 for inputs that are there, else 0, (n_inputs,); all are by default.
        """
        return x if observed is None else torch.where(observed > 0, x, self.mean)

    @torch.no_grad()
    def start_at(self, mean: Tensor, scale: float) -> None:
        """Start as if inputs were centred and of unit variance, with a narrow posterior.

        The network itself stays what it is. From its published start a reconstruction is off by
        several orders of magnitude where the variance of the inputs is not small, and with few
        training steps it stays so. What spectral norm would undo is left alone.

        Parameters
        ----------
        mean
            Mean of each input, (n_inputs,).
        scale
            Root of the mean variance of the inputs, above 0.
        """
        self.output.bias.copy_(mean)
        first = self.encoder[0].shortcut if len(self.encoder) else None
        if isinstance(first, nn.Linear):
            if not is_parametrized(first):
                first.weight.div_(scale)
            first.bias.sub_(first.weight @ mean)
        self.logvar.bias.fill_(_FIRST_LOGVAR)
        if not is_parametrized(self.output):
            self.output.weight.mul_(_FIRST_OUTPUT * scale)
            self.logvar.weight.mul_(_FIRST_OUTPUT)

    def encode(self, x: Tensor, observed: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the posterior, (n_rows, n_latent) both."""
        hidden = self.encoder(self.fill(x, observed))
        return self.mu(hidden), self.logvar(hidden)

    def decode(self, z: Tensor) -> Tensor:
        """Return the reconstruction, (n_rows, n_inputs), on the scale of the input."""
        return self.output(self.decoder(z))

    def _get_inference_input(self, tensors: DenseBatch) -> dict[str, Tensor]:
        return {"x": tensors["X"]}

    def _get_generative_input(
        self, tensors: DenseBatch, inference_outputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        return {"z": inference_outputs["z"]}

    def inference(self, x: Tensor, observed: Tensor | None = None) -> dict[str, Tensor]:
        """Return ``mu``, ``logvar`` and a draw ``z`` from the posterior."""
        mu, logvar = self.encode(x, observed)
        return {"mu": mu, "logvar": logvar, "z": mu + (logvar / 2).exp() * torch.randn_like(mu)}

    def generative(self, z: Tensor) -> dict[str, Tensor]:
        """Return the ``reconstruction`` of latent variables."""
        return {"reconstruction": self.decode(z)}

    def terms(
        self,
        tensors: DenseBatch,
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        """Return the terms of the loss, ``mse`` and ``kl``, each a mean over the batch."""
        return {
            "mse": F.mse_loss(generative_outputs["reconstruction"], tensors["X"]),
            "kl": gaussian_kl(inference_outputs["mu"], inference_outputs["logvar"]).mean(),
        }

    def weigh(self, terms: dict[str, Tensor]) -> Tensor:
        """Return the weighted sum of the terms."""
        return self.reconstruction_weight * terms["mse"] + terms["kl"]

    def loss(
        self,
        tensors: DenseBatch,
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, Tensor],
        **kwargs: Any,
    ) -> LossOutput:
        """Return the weighted loss, with its terms as metrics."""
        terms = self.terms(tensors, inference_outputs, generative_outputs)
        return LossOutput(
            loss=self.weigh(terms), n_obs_minibatch=len(tensors["X"]), extra_metrics=terms
        )
