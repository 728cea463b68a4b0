"""Open a bundled model."""

from __future__ import annotations

import hashlib

from dtp_scvi._logging import logger
from dtp_scvi._validate import problem
from dtp_scvi.hub import _registry
from dtp_scvi.model import ResponseModel


def load(name: str) -> ResponseModel:
    """
    Open a bundled model; nothing is downloaded and nothing in the files is executed.

    Parameters
    ----------
    name
        A name of :func:`available`, such as ``"aml-venetoclax"``, or ``"name@version"``.

    Returns
    -------
    The model; ``model.worth_`` and ``model.card_`` say what it is worth.

    Raises
    ------
    KeyError
        When there is no such model.
    ValueError
        When the version is another one, or a file is not the one the registry vouches for.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> model = dtp.hub.load("aml-venetoclax")
    >>> model.direction_
    'higher_is_resistant'
    """
    plain, entry = _registry.entry_of(name)
    folder = _registry.MODELS / plain
    digest = hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()
    if digest != entry["sha256"]:
        msg = problem(
            f"the checksum of the registry for {plain}",
            f"another one ({digest[:12]}...)",
            "The file was changed or damaged: install dtp_scvi again.",
        )
        raise ValueError(msg)
    model = ResponseModel.load(folder)
    logger.info("%s, version %s: %s", plain, entry["version"], model.worth_)
    return model
