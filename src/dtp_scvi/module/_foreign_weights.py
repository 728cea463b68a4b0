"""Read weights that others trained, without running code that their files may hold."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from dtp_scvi._validate import check_file, problem, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def read_weights(path: Path) -> Any:
    """
    Return what a safetensors or torch file holds: tensors and plain values, nothing else.

    Raises
    ------
    ValueError
        When the file is damaged, or holds objects that could run code when they are opened.
    """
    check_file(path, "weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        msg = problem(
            f"{path.name} to hold tensors and plain values only",
            "objects that could run code when they are opened, or no torch file",
            "It is not opened. Where you trust it, write its state dict with "
            "safetensors.torch.save_file yourself, and its settings as config.json.",
        )
        raise ValueError(msg) from error
    except (SafetensorError, RuntimeError, EOFError) as error:
        msg = problem(f"weights in {path.name}", str(error), "Check that the file is complete.")
        raise ValueError(msg) from error


def read_settings(path: Path) -> dict[str, Any]:
    """Return a JSON object of settings."""
    check_file(path, "the settings of a checkpoint")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        msg = problem(f"JSON in {path.name}", str(error), "Check that the file is complete.")
        raise ValueError(msg) from error
    if not isinstance(settings, dict):
        msg = problem(
            f"a JSON object in {path.name}", type(settings).__name__, "Check the checkpoint."
        )
        raise ValueError(msg)
    return settings


def load_state(
    network: torch.nn.Module, state: dict[str, Any], unused: Iterable[str], name: str
) -> None:
    """
    Load ``state`` into ``network`` and put it into evaluation mode.

    Parameters
    ----------
    network
        Its parameters are named as in the checkpoint.
    state
        Tensors by name.
    unused
        Beginnings of names that the network does without; any other name has to be its own.
    name
        What to call the checkpoint in messages.

    Raises
    ------
    ValueError
        For tensors that are missing, left over, or of another shape.
    """
    wanted = network.state_dict()
    known = {key: value for key, value in state.items() if key in wanted}
    missing = sorted(set(wanted) - set(known))
    beginnings = tuple(unused)
    left = sorted(key for key in state if key not in wanted and not key.startswith(beginnings))
    shapes = [
        f"{key} {tuple(value.shape)} for {tuple(wanted[key].shape)}"
        for key, value in known.items()
        if value.shape != wanted[key].shape
    ]
    if missing or left or shapes:
        msg = problem(
            f"the tensors of {name} that its settings call for",
            f"{len(missing):,} missing ({shorten(missing, 3)}), {len(left):,} unknown "
            f"({shorten(left, 3)}), {len(shapes):,} of another shape ({shorten(shapes, 2)})",
            "Check that weights and settings belong together and are of this model.",
        )
        raise ValueError(msg)
    network.load_state_dict({key: value.float() for key, value in known.items()})
    network.eval()
