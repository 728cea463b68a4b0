"""Load the encoder of a scFoundation checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from dtp_scvi._validate import near_matches, problem, shorten
from dtp_scvi.module._foreign_weights import load_state, read_settings, read_weights
from dtp_scvi.nn import N_DEPTH_TOKENS, ScFoundationEncoder

if TYPE_CHECKING:
    from pathlib import Path

_ENCODER: Final = ("hidden_dim", "depth", "heads")
_NEEDED: Final = ("seq_len", "bin_num", "bin_alpha", "encoder")
_STATES: Final = ("state_dict", "model_state_dict")
# The decoder, and the embeddings of masked values and padding, which a cell does not hold.
_UNUSED: Final = (
    "decoder.",
    "decoder_embed.",
    "norm.",
    "to_final.",
    "token_emb.emb_mask.",
    "token_emb.emb_pad.",
)


def load_scfoundation(checkpoint: Path, variant: str) -> ScFoundationEncoder:
    """
    Load a published ``models.ckpt`` or a folder with ``config.json`` and ``model.safetensors``.

    The file holds, for each variant (``"rde"``, ``"cell"``, ``"gene"``), ``config`` and
    ``state_dict``; a file of one variant holds these two themselves. The decoder is left out.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When the file holds other objects than tensors and plain values, lacks the variant or a
        setting, or its tensors do not fit the settings.
    """
    if checkpoint.is_dir():
        settings = read_settings(checkpoint / "config.json")
        state = read_weights(checkpoint / "model.safetensors")
    else:
        settings, state = _parts(read_weights(checkpoint), variant, checkpoint.name)
    settings = _flat(settings, checkpoint.name)
    encoder = settings["encoder"]
    # The initial weights, which are replaced at once, would move the global random state.
    with torch.random.fork_rng(devices=[]):
        network = ScFoundationEncoder(
            int(settings["seq_len"]) - N_DEPTH_TOKENS,
            int(encoder["hidden_dim"]),
            int(encoder["depth"]),
            int(encoder["heads"]),
            int(settings["bin_num"]),
            float(settings["bin_alpha"]),
        )
    state = {name.split("model.", 1)[-1]: value for name, value in state.items()}
    load_state(network, state, _UNUSED, checkpoint.name)
    return network


def _parts(content: Any, variant: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return settings and state of a variant."""
    if isinstance(content, dict) and "config" not in content:
        if variant not in content:
            msg = problem(
                f"the variant {variant!r} in {name}",
                f"{shorten(content)}",
                near_matches(variant, content),
            )
            raise ValueError(msg)
        content = content[variant]
    states = [key for key in _STATES if isinstance(content, dict) and key in content]
    if not states or "config" not in content:
        msg = problem(
            f"`config` and `state_dict` in {name}",
            shorten(content) if isinstance(content, dict) else type(content).__name__,
            "Name a checkpoint of scFoundation.",
        )
        raise ValueError(msg)
    return content["config"], content[states[0]]


def _flat(config: dict[str, Any], name: str) -> dict[str, Any]:
    """Bring nested settings, model and data apart, into one table, and check it."""
    if "model_config" in config:
        config = {
            **config["model_config"].get(config.get("model"), {}),
            **config.get("dataset_config", {}).get("rnaseq", {}),
        }
    encoder = config.get("encoder", {})
    missing = [key for key in _NEEDED if key not in config]
    missing += [f"encoder.{key}" for key in _ENCODER if key not in encoder]
    if missing:
        msg = problem(
            f"the settings of scFoundation in {name}",
            f"none named {shorten(missing, 10)}",
            "Name a checkpoint of scFoundation.",
        )
        raise ValueError(msg)
    if encoder.get("module_type", "transformer") != "transformer" or encoder.get("norm_first"):
        msg = problem(
            f"an encoder of post-norm Transformer layers in {name}",
            f"{encoder.get('module_type')!r}, norm_first={encoder.get('norm_first')!r}",
            "Other encoders are not known here.",
        )
        raise ValueError(msg)
    return config
