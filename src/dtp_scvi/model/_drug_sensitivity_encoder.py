"""What a head takes over from an autoencoder: its architecture, its genes, its scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scvi import REGISTRY_KEYS
from torch.nn.utils.parametrize import is_parametrized

from dtp_scvi.model._drug_labels import RESISTANT, SENSITIVE
from dtp_scvi.nn import Swish

if TYPE_CHECKING:
    from dtp_scvi.module import ResVAEModule


def architecture_of(module: ResVAEModule) -> dict[str, Any]:
    """Return what makes an encoder of the same shape; JSON-able."""
    blocks: list[Any] = list(module.encoder)
    swish = bool(blocks) and isinstance(blocks[0].activation, Swish)
    shared = (
        swish
        and len(module.decoder) > 0
        and (
            module.decoder[0].activation is blocks[0].activation  # type: ignore[union-attr]
        )
    )
    everywhere = bool(blocks) and is_parametrized(blocks[0].main)
    outer = is_parametrized(module.mu)
    return {
        "encoder": [block.main.out_features for block in blocks],
        "n_latent": module.n_latent,
        "activation": "shared_swish" if shared else "swish" if swish else "leaky_relu",
        "spectral_norm": "all" if everywhere else "outer" if outer else "none",
    }


def blank_registry(name: str, genes: np.ndarray, scale: str) -> dict[str, Any]:
    """Return the registry of a classifier of resistance that has no rows yet."""
    setup = {"positive": RESISTANT, "scale": str(scale), "layer": None, "donor_key": None}
    classes = np.array([RESISTANT, SENSITIVE], dtype=object)
    return {
        "model_name": name,
        "setup_method_name": "setup_anndata",
        "setup_args": setup,
        "field_registries": {
            REGISTRY_KEYS.X_KEY: {
                "data_registry": {},
                "state_registry": {"column_names": np.asarray(genes, dtype=str)},
                "summary_stats": {},
            },
            REGISTRY_KEYS.LABELS_KEY: {
                "data_registry": {},
                "state_registry": {"categorical_mapping": classes},
                "summary_stats": {},
            },
        },
    }
