"""An encoder that stays as it was, small heads on its posterior mean, and maps onto its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

import torch
from scvi.module.base import BaseModuleClass, LossOutput
from torch import Tensor, nn
from torch.nn import functional as F

from dtp_scvi.module._dense import dense_inputs
from dtp_scvi.module._res_vae import ResVAEModule
from dtp_scvi.nn import Swish, linear_layer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dtp_scvi.module._batch import SparseBatch

N_CLASSES = 2


class SensitivityHead(nn.Sequential):
    """Linear, batch normalisation, Swish, linear; both linear layers with spectral norm."""

    def __init__(self, n_latent: int) -> None:
        n_hidden = n_latent // 2
        super().__init__(
            linear_layer(n_latent, n_hidden, spectral=True),
            nn.BatchNorm1d(n_hidden),
            Swish(),
            linear_layer(n_hidden, N_CLASSES, spectral=True, output=True),
        )


class Adaptation(nn.Module):
    """How the inputs and the latent variables of a target data set are mapped.

    Parameters
    ----------
    gain, shift
        Of each input, (n_samples, n_inputs); one row where all rows are mapped alike.
    center, rotation
        Mean of the target's inputs, and what it is turned by, (n_inputs,) and
        (n_inputs, n_inputs); then ``gain`` is not used.
    latent_weight, latent_shift
        Change of the latent variables, (n_latent, n_latent) and (n_latent,):
        ``z + z @ latent_weight + latent_shift``.
    """

    gain: Tensor
    shift: Tensor
    center: Tensor | None
    rotation: Tensor | None
    latent_weight: Tensor | None
    latent_shift: Tensor | None

    def __init__(
        self,
        gain: Tensor,
        shift: Tensor,
        center: Tensor | None = None,
        rotation: Tensor | None = None,
        latent_weight: Tensor | None = None,
        latent_shift: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("gain", gain)
        self.register_buffer("shift", shift)
        self.register_buffer("center", center)
        self.register_buffer("rotation", rotation)
        self.register_buffer("latent_weight", latent_weight)
        self.register_buffer("latent_shift", latent_shift)

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], prefix: str) -> Self | None:
        """Make one of the shapes in the state of a module, or none where it has none."""
        own = {
            name.removeprefix(prefix): torch.empty_like(value)
            for name, value in state.items()
            if name.startswith(prefix)
        }
        return cls(**own) if own else None

    def inputs(self, x: Tensor, sample: Tensor | int, seen: Tensor) -> Tensor:
        """Map inputs of the named samples, (n_rows, n_inputs); ``seen`` masks those that are there."""
        if self.rotation is not None:
            # What is missing stands at its mean, or it would be turned into the others.
            return ((x - cast("Tensor", self.center)) * seen) @ self.rotation + self.shift[0]
        return x * self.gain[sample] + self.shift[sample]

    def latent(self, z: Tensor) -> Tensor:
        """Map latent variables, (n_rows, n_latent)."""
        if self.latent_weight is None:
            return z
        return z + z @ self.latent_weight + cast("Tensor", self.latent_shift)


class DrugSensitivityModule(BaseModuleClass):
    """Reads two classes out of the posterior mean of an autoencoder; no noise anywhere.

    What is frozen stays in evaluation mode while the rest is trained: neither the running moments
    of its batch normalisation nor the vectors of its spectral norm move.

    Parameters
    ----------
    n_inputs
        Width of the input.
    n_members
        Number of heads, whose outputs are averaged.
    n_space
        Number of coordinates that queries are compared in.
    architecture
        ``encoder``, ``n_latent``, ``activation``, ``spectral_norm`` of :class:`ResVAEModule`.
    """

    mean: Tensor
    sd: Tensor
    query_mean: Tensor
    query_sd: Tensor
    recast_gain: Tensor
    recast_shift: Tensor
    known: Tensor
    importance: Tensor
    space_mean: Tensor
    space_weight: Tensor
    adaptation: Adaptation | None

    def __init__(
        self, n_inputs: int, *, n_members: int = 1, n_space: int = 0, **architecture: Any
    ) -> None:
        super().__init__()
        source = ResVAEModule(n_inputs, decoder=(), **architecture)
        self.n_inputs, self.n_latent = n_inputs, source.n_latent
        self.encoder, self.mu = source.encoder, source.mu
        self.heads = nn.ModuleList(SensitivityHead(self.n_latent) for _ in range(n_members))
        # Moments of the rows that the head was fitted on, and those that a target is mapped to.
        self.register_buffer("mean", torch.zeros(n_inputs))
        self.register_buffer("sd", torch.ones(n_inputs))
        self.register_buffer("query_mean", torch.zeros(n_inputs))
        self.register_buffer("query_sd", torch.ones(n_inputs))
        self.register_buffer("recast_gain", torch.ones(n_inputs))
        self.register_buffer("recast_shift", torch.zeros(n_inputs))
        self.register_buffer("known", torch.ones(n_inputs))
        self.register_buffer("importance", torch.zeros(n_inputs))
        self.register_buffer("space_mean", torch.zeros(self.n_latent))
        self.register_buffer("space_weight", torch.zeros(self.n_latent, n_space))
        self.adaptation = None
        self.freeze(frozen=True)

    def freeze(self, *, frozen: bool) -> None:
        """Freeze or free the encoder and the posterior mean."""
        self.frozen = frozen
        for part in (self.encoder, self.mu):
            part.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002
        """Set the mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
            self.mu.eval()
        return self

    def copy_encoder(self, source: ResVAEModule) -> None:
        """Take the encoder of an autoencoder, running moments included."""
        self.encoder.load_state_dict(source.encoder.state_dict())
        self.mu.load_state_dict(source.mu.state_dict())

    @property
    def n_space(self) -> int:
        """Number of coordinates that queries are compared in."""
        return self.space_weight.shape[1]

    def inputs(
        self,
        tensors: SparseBatch,
        observed: Tensor | None = None,
        sample: Tensor | int | None = None,
    ) -> Tensor:
        """Return the inputs of the encoder, (n_rows, n_inputs).

        Parameters
        ----------
        tensors
            Rows.
        observed
            1 for inputs that the rows have, (n_inputs,); others stand at their training mean.
        sample
            Sample of the adaptation; ``None`` for rows like those of the training.
        """
        x = dense_inputs(tensors, self.n_inputs)
        seen = self.known if observed is None else self.known * observed
        if sample is None or self.adaptation is None:
            x = x * self.recast_gain + self.recast_shift
        else:
            x = self.adaptation.inputs(x, sample, seen)
        return torch.where(seen > 0, x, self.mean)

    def latent(self, x: Tensor) -> Tensor:
        """Return the posterior mean, (n_rows, n_latent)."""
        return self.mu(self.encoder(x))

    def members(self, z: Tensor) -> Tensor:
        """Return the raw outputs of each head, (n_rows, n_members, 2)."""
        return torch.stack([head(z) for head in self.heads], dim=1)

    def _get_inference_input(self, tensors: SparseBatch) -> dict[str, SparseBatch]:
        return {"tensors": tensors}

    def _get_generative_input(
        self, tensors: SparseBatch, inference_outputs: object
    ) -> dict[str, Any]:
        return {}

    def generative(self) -> dict[str, Tensor]:
        """Return nothing: a classifier generates no data."""
        return {}

    def inference(
        self,
        tensors: SparseBatch,
        observed: Tensor | None = None,
        sample: Tensor | int | None = None,
    ) -> dict[str, Tensor]:
        """Return the raw outputs, all of them as residual, and the space."""
        z = self.latent(self.inputs(tensors, observed, sample))
        if sample is not None and self.adaptation is not None:
            z = self.adaptation.latent(z)
        members = self.members(z)
        raw = members.mean(dim=1)
        space = (z - self.space_mean) @ self.space_weight
        found = {"linear": torch.zeros_like(raw), "residual": raw, "space": space}
        return found if len(self.heads) < 2 else found | {"members": members}

    def loss(
        self,
        tensors: Mapping[str, Tensor],
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, Tensor] | None = None,
    ) -> LossOutput:
        """Return the cross-entropy of the raw outputs against the labels."""
        raw = inference_outputs["residual"]
        loss = F.cross_entropy(raw, tensors["labels"])
        return LossOutput(loss=loss, n_obs_minibatch=len(raw))
