"""Keep the embedding of a text on disk."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np

from dtp_scvi._validate import problem


class TextCache:
    """A folder of arrays, named by the hash of the text and of what embedded it."""

    def __init__(self, folder: str | Path | None, identity: str) -> None:
        self._folder = None if folder is None else Path(folder)
        self._identity = identity

    def get(self, text: str) -> np.ndarray | None:
        """Return what is kept of ``text``, if anything."""
        path = self._path(text)
        if path is None or not path.exists():
            return None
        try:
            return np.asarray(np.load(path, allow_pickle=False), np.float32)
        except (OSError, ValueError, EOFError) as error:
            msg = problem(f"an array in {path.name} of the cache", str(error), "Delete the file.")
            raise ValueError(msg) from error

    def put(self, text: str, values: np.ndarray) -> None:
        """Keep ``values``; a reader sees the whole file or none."""
        path = self._path(text)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            written = Path(file.name)
            try:
                np.save(file, values, allow_pickle=False)
                file.close()
                written.replace(path)
            except BaseException:
                written.unlink(missing_ok=True)
                raise

    def _path(self, text: str) -> Path | None:
        if self._folder is None:
            return None
        name = hashlib.sha256(f"{self._identity}|{text}".encode()).hexdigest()
        return self._folder / f"{name}.npy"
