"""Load a Geneformer checkpoint up to the layer that its cell embedding is read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from dtp_scvi._optional import require
from dtp_scvi._validate import check_file, problem
from dtp_scvi.module._foreign_weights import load_state, read_settings, read_weights

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

EXTRA: Final = "embeddings"
_CONFIG: Final = "config.json"
# Safe formats first: a folder that holds both is read without unpickling anything.
_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")
_PREFIX: Final = "bert."


class GeneformerEncoder(torch.nn.Module):
    """
    Mean over the tokens of a cell of the second-to-last hidden layer of a BERT model.

    The last layer is not built: nothing is read from it.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        transformers = require("transformers", EXTRA)
        config = transformers.BertConfig.from_dict(settings)
        config.num_hidden_layers -= 1
        self.bert = transformers.BertModel(config, add_pooling_layer=False)
        self.dim: int = config.hidden_size
        self.n_positions: int = config.max_position_embeddings
        self.n_words: int = config.vocab_size
        self.pad: int = config.pad_token_id

    def forward(self, tokens: Tensor, padding: Tensor) -> Tensor:
        """Map tokens (n_cells, n_tokens) to (n_cells, dim); ``padding`` is true behind the last."""
        seen = ~padding
        hidden = self.bert(input_ids=tokens, attention_mask=seen.long()).last_hidden_state
        seen = seen.unsqueeze(-1)
        mean: Tensor = (hidden * seen).sum(dim=1) / seen.sum(dim=1)
        return mean


def load_geneformer(checkpoint: Path) -> GeneformerEncoder:
    """
    Load the folder of a checkpoint: ``config.json`` beside ``model.safetensors``.

    ``pytorch_model.bin`` is taken where it holds tensors only. Nothing is downloaded, and no code
    of the folder is run.

    Raises
    ------
    FileNotFoundError
        When there is no such folder or no weights in it.
    ValueError
        When the settings are not those of a BERT model, or the weights do not fit them.
    """
    settings = read_settings(checkpoint / _CONFIG)
    kind = settings.get("model_type")
    n_layers = settings.get("num_hidden_layers", 0)
    if kind != "bert" or not n_layers:
        msg = problem(
            "a Geneformer checkpoint: a BERT model of at least one layer",
            f"model_type {kind!r} with {n_layers} layers in {checkpoint / _CONFIG}",
            "Name the folder of one.",
        )
        raise ValueError(msg)
    present = [name for name in _WEIGHTS if (checkpoint / name).is_file()]
    path = checkpoint / (present[0] if present else _WEIGHTS[0])
    check_file(path, "weights")
    state = {
        (name if name.startswith(_PREFIX) else _PREFIX + name): value
        for name, value in read_weights(path).items()
        # The head of masked-token prediction.
        if not name.startswith("cls.")
    }
    last = f"{_PREFIX}encoder.layer.{n_layers - 1}."
    if not any(name.startswith(last) for name in state):
        msg = problem(
            f"weights of {n_layers} layers in {path.name}, as {_CONFIG} says",
            "none of the last",
            "Check that the two files belong together.",
        )
        raise ValueError(msg)
    # The initial weights, which are replaced at once, would move the global random state.
    with torch.random.fork_rng(devices=[]):
        network = GeneformerEncoder(settings)
    unused = (last, _PREFIX + "pooler.", _PREFIX + "embeddings.position_ids")
    load_state(network, state, unused, checkpoint.name)
    return network
