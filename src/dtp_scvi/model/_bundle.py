"""Model directories without pickle: weights as safetensors, everything else as JSON."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dtp_scvi._validate import problem, shorten

if TYPE_CHECKING:
    import torch

FORMAT = 1
RESPONSE_MODEL, RESPONSE_TRANSFORMER = "ResponseModel", "ResponseTransformer"
RESPONSE_MODELS = (RESPONSE_MODEL, RESPONSE_TRANSFORMER)
PERTURBATION_MODELS = ("PertDiT", "XPert")
NETWORKS = ("ResVAE", "DistVAE", *PERTURBATION_MODELS)
"""Classes that put out no class and no response."""
_WEIGHTS, _META = "model.safetensors", "model.json"
_OURS = (_WEIGHTS, _META, "card.md", "card.json")
_NEEDED_OF_A_NETWORK = (
    "class",
    "init_params",
    "registry",
    "registered_genes",
    "genes",
    "seed",
    "data",
    "evaluation",
    "notes",
    "attributes",
    "sha256",
    "sha256_meta",
)
_NEEDED = (
    *_NEEDED_OF_A_NETWORK,
    "threshold",
    "calibration",
    "conformal",
    "score_reference",
    "space_reference",
)

_NEEDED_OF_A_RESPONSE = (
    "class",
    "name",
    "genes",
    "inputs",
    "target",
    "units",
    "direction",
    "settings",
    "data",
    "evaluation",
    "notes",
    "versions",
    "research_use",
    "sha256",
    "sha256_meta",
)


def weights_hash(state: dict[str, torch.Tensor]) -> str:
    """Return the SHA-256 of a state dict, by name and content."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def meta_hash(meta: dict[str, Any]) -> str:
    """Return the SHA-256 of everything in the JSON file but this sum itself."""
    rest = {key: value for key, value in meta.items() if key != "sha256_meta"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def check_target(path: Path, *, overwrite: bool) -> None:
    """Raise unless a model directory may be written at ``path``."""
    if path.exists() and not overwrite:
        msg = problem(
            "a directory that does not exist yet",
            f"{path}",
            "Pass overwrite=True, or another name.",
        )
        raise FileExistsError(msg)
    if path.is_file():
        msg = problem("a directory", f"the file {path}", "Name another path.")
        raise FileExistsError(msg)
    # What is replaced is deleted, so it has to be a model and nothing else.
    foreign = (
        sorted(p.name for p in path.iterdir() if p.name not in _OURS) if path.exists() else []
    )
    if foreign:
        msg = problem(
            f"nothing but a saved model in {path}",
            f"{len(foreign):,} other names ({shorten(foreign)})",
            "Name another path; overwriting would delete them.",
        )
        raise FileExistsError(msg)
    parent = next(p for p in path.parents if p.exists())
    if not parent.is_dir():
        msg = problem(f"a directory at {parent}", "a file", "Name another path.")
        raise NotADirectoryError(msg)
    if not os.access(parent, os.W_OK):
        msg = problem(f"to be allowed to write in {parent}", "no permission", "Name another path.")
        raise PermissionError(msg)


def _apart(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Give a weight that several layers share its own memory under each name."""
    seen: set[int] = set()
    found = {}
    for name, value in state.items():
        own = value.detach().cpu().contiguous()
        found[name] = own.clone() if own.data_ptr() in seen else own
        seen.add(own.data_ptr())
    return found


def write_bundle(
    path: Path,
    state: dict[str, torch.Tensor],
    meta: dict[str, Any],
    texts: dict[str, str],
    *,
    overwrite: bool,
) -> None:
    """Write a model directory, with files of text for its readers, whole or not at all."""
    check_target(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        save_file(_apart(state), room / _WEIGHTS)
        meta = {"format": FORMAT, **meta, "sha256": weights_hash(state)}
        meta["sha256_meta"] = meta_hash(meta)
        (room / _META).write_text(json.dumps(meta, indent=1, allow_nan=False))
        for name, text in texts.items():
            (room / name).write_text(text)
        room.chmod(0o755)
        if path.exists():
            old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
            path.replace(old / "old")
            try:
                room.replace(path)
            except OSError:
                (old / "old").replace(path)
                raise
            finally:
                shutil.rmtree(old)
        else:
            room.replace(path)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def read_meta(path: Path) -> dict[str, Any]:
    """Read and check the JSON part of a model directory."""
    if not path.exists():
        msg = problem("a model directory", f"nothing at {path}", "Check the path.")
        raise FileNotFoundError(msg)
    missing = [name for name in (_WEIGHTS, _META) if not (path / name).is_file()]
    if missing:
        inside = sorted(p.name for p in path.iterdir()) if path.is_dir() else ["a file"]
        msg = problem(
            f"{_WEIGHTS} and {_META} in {path}",
            f"{', '.join(inside[:10]) or 'an empty directory'}",
            "Name a directory that `save` of this package wrote.",
        )
        raise ValueError(msg)
    try:
        meta = json.loads((path / _META).read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        msg = problem(f"JSON in {path / _META}", f"a damaged file ({error})", "Copy it again.")
        raise ValueError(msg) from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        found = meta.get("format") if isinstance(meta, dict) else type(meta).__name__
        msg = problem(
            f"format {FORMAT} in {path / _META}", f"{found!r}", "Update dtp_scvi, or train again."
        )
        raise ValueError(msg)
    needed: tuple[str, ...] = _NEEDED
    if meta.get("class") in NETWORKS:
        needed = _NEEDED_OF_A_NETWORK
    elif meta.get("class") in RESPONSE_MODELS:
        needed = _NEEDED_OF_A_RESPONSE
    if meta.get("class") == RESPONSE_TRANSFORMER:
        needed = (*needed, "targets", "architecture", "seed", "history")
    absent = [name for name in needed if name not in meta]
    if absent:
        msg = problem(
            f"{', '.join(absent)} in {path / _META}", "an incomplete file", "Copy it again."
        )
        raise ValueError(msg)
    if meta_hash(meta) != meta["sha256_meta"]:
        msg = problem(
            f"{path / _META} as it was written",
            "another checksum",
            "The file was changed or damaged: copy it again.",
        )
        raise ValueError(msg)
    return meta


def read_meta_of(path: Path, cls_name: str, todo: str | None = None) -> dict[str, Any]:
    """Read the settings of a model of one class; raise where it is of another."""
    meta = read_meta(path)
    found = meta.get("class")
    if found != cls_name:
        todo = todo or f"Use {found}.load, or dtp_scvi.model.load_model."
        raise ValueError(problem(f"a {cls_name} in {path}", f"a {found}", todo))
    return meta


def read_weights(path: Path, meta: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Read the weights and compare their checksum; no code of the file is run."""
    try:
        state = load_file(path / _WEIGHTS)
    except (SafetensorError, ValueError) as error:
        msg = problem(
            f"weights in {path / _WEIGHTS}", f"a damaged file ({error})", "Copy it again."
        )
        raise ValueError(msg) from error
    if weights_hash(state) != meta.get("sha256"):
        msg = problem(
            f"the weights that {_META} was written with",
            "another checksum",
            "The two files do not belong together: copy the directory again.",
        )
        raise ValueError(msg)
    return state
