"""One logger, one ``warn``, one progress bar."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

from tqdm.auto import tqdm

logger = logging.getLogger("dtp_scvi")
logger.addHandler(logging.NullHandler())

_PACKAGE = str(Path(__file__).parent)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn with the line of the caller outside this package."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def progress(total: int, description: str, *, verbose: bool, unit: str = "cells") -> tqdm:
    """Return a progress bar that shows ``unit``/s, silent when ``verbose`` is false."""
    return tqdm(total=total, desc=description, unit=f" {unit}", disable=not verbose, leave=False)
