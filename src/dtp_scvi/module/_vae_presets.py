"""Published sizes and settings of the scATD autoencoders (Zhou et al., bbaf268, 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Activation = Literal["leaky_relu", "swish", "shared_swish"]
ACTIVATIONS: Final = ("leaky_relu", "swish", "shared_swish")
SpectralNorm = Literal["none", "outer", "all"]
SPECTRAL_NORMS: Final = ("none", "outer", "all")
Schedule = Literal["constant", "cosine"]
SCHEDULES: Final = ("constant", "cosine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """
    An architecture with the settings it was trained with.

    Attributes
    ----------
    n_inputs
        Width of the input.
    encoder, decoder
        Widths behind the input and behind the latent variables, without either end.
    n_latent
        Number of latent variables.
    activation
        ``"leaky_relu"``, ``"swish"`` (one scale a block) or ``"shared_swish"`` (one for all).
    spectral_norm
        ``"none"``; ``"outer"``: shortcuts, mean, log-variance and output; ``"all"``: every layer.
    reconstruction_weight
        Weight of the mean squared error against the KL term.
    lr, weight_decay, max_epochs
        Of AdamW, at full published precision.
    schedule
        ``"cosine"`` was published with a period shorter than the training; here it anneals once.
    cosine_weight
        Weight of the cosine to a teacher's latent.
    """

    n_inputs: int
    encoder: tuple[int, ...]
    n_latent: int
    decoder: tuple[int, ...]
    activation: Activation
    spectral_norm: SpectralNorm
    reconstruction_weight: float
    lr: float
    weight_decay: float
    max_epochs: int
    schedule: Schedule = "constant"
    cosine_weight: float = 0.0


PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "sf": Preset(
            n_inputs=3072,
            encoder=(1926, 850, 262),
            n_latent=421,
            decoder=(850, 1926),
            activation="leaky_relu",
            spectral_norm="none",
            reconstruction_weight=1000.0,
            lr=1.993069462846412e-5,
            weight_decay=8.194158660347332e-3,
            max_epochs=25,
        ),
        "gf": Preset(
            n_inputs=512,
            encoder=(1415, 1250, 1050, 293),
            n_latent=498,
            decoder=(650, 1450, 1415),
            activation="swish",
            spectral_norm="all",
            reconstruction_weight=10000.0,
            lr=4.94342821029886e-4,
            weight_decay=3.5519647899254e-3,
            max_epochs=39,
            schedule="cosine",
        ),
        "dist": Preset(
            n_inputs=19264,
            encoder=(1664, 359),
            n_latent=421,
            decoder=(1664,),
            activation="shared_swish",
            spectral_norm="outer",
            reconstruction_weight=500.0,
            lr=6.45043676558499e-5,
            weight_decay=2.22396947721013e-2,
            max_epochs=30,
            cosine_weight=158.0,
        ),
    }
)
