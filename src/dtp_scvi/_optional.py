"""Extras, imported when they are needed, with the pip line that installs them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from dtp_scvi._validate import problem

if TYPE_CHECKING:
    from types import ModuleType


def require(name: str, extra: str) -> ModuleType:
    """Import ``name`` or raise ``ImportError`` that names the extra to install."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        msg = problem(
            f"the package `{name}` to be installed",
            "no such package",
            f"Run: pip install 'dtp-scvi[{extra}]'",
        )
        raise ImportError(msg) from error
