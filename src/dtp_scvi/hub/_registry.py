"""The registry of bundled models, and the files it vouches for."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from dtp_scvi._validate import near_matches, problem

MODELS: Final = Path(__file__).parent / "models"


@cache
def registry() -> dict[str, dict[str, Any]]:
    """Entries by name, in the order of the registry."""
    return json.loads((MODELS / "registry.json").read_text(encoding="utf-8"))


def entry_of(name: str) -> tuple[str, dict[str, Any]]:
    """Return plain name and entry of ``"name"`` or ``"name@version"``."""
    plain, _, version = name.partition("@")
    entries = registry()
    if plain not in entries:
        msg = problem("the name of a bundled model", repr(name), near_matches(plain, entries))
        raise KeyError(msg)
    held = entries[plain]["version"]
    if version and version != held:
        msg = problem(
            f"a version of {plain} that ships here",
            repr(version),
            f"This package holds version {held}; another version of dtp_scvi may hold yours.",
        )
        raise ValueError(msg)
    return plain, entries[plain]
