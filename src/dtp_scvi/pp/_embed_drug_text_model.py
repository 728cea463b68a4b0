"""A language model from a local folder, and what identifies it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._optional import require
from dtp_scvi._validate import problem, shorten

if TYPE_CHECKING:
    from pathlib import Path


def checkpoint_hash(folder: Path) -> str:
    """Hash names and contents of all files of a checkpoint."""
    digest = hashlib.sha256()
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        with path.open("rb") as handle:
            part = hashlib.file_digest(handle, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{part}\n".encode())
    return digest.hexdigest()


class TextModel:
    """An encoder and its tokenizer; the last hidden state of each token."""

    def __init__(self, folder: Path, max_length: int) -> None:
        transformers = require("transformers", "text")
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True
            )
            model = transformers.AutoModel.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            msg = problem(
                f"a model and a tokenizer that transformers can load in {folder}",
                str(error).split("\n")[0],
                "Save both by `save_pretrained`.",
            )
            raise ValueError(msg) from error
        # Without parameters that want a gradient no graph is kept.
        self._model = model.eval().requires_grad_(requires_grad=False)
        self._max_length = max_length

    def embed(self, texts: list[str]) -> list[np.ndarray]:
        """Return tokens x dimensions of each text, float32."""
        batch = self._tokenizer(texts, return_tensors="pt", padding=True)
        mask = np.asarray(batch["attention_mask"]).astype(bool)
        sizes = mask.sum(axis=1)
        longest = min(self._max_length, self._most())
        if sizes.max() > longest:
            long = [text for text, size in zip(texts, sizes, strict=True) if size > longest]
            msg = problem(
                f"texts of at most {longest:,} tokens",
                f"{int(sizes.max()):,} in {shorten((repr(text[:60]) for text in long), 3)}",
                "Shorten the text, or raise `max_length` where the model allows it.",
            )
            raise ValueError(msg)
        hidden = np.asarray(self._model(**batch).last_hidden_state, np.float32)
        return [values[kept] for values, kept in zip(hidden, mask, strict=True)]

    def _most(self) -> int:
        config: Any = self._model.config
        return int(getattr(config, "max_position_embeddings", self._max_length))
