"""The versions that a model was made with."""

from __future__ import annotations

import platform

import scvi
import torch

from dtp_scvi import __version__


def versions() -> dict[str, str]:
    """Return the versions a model was made with."""
    return {
        "dtp_scvi": __version__,
        "scvi-tools": scvi.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }
