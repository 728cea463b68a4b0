"""List the bundled models."""

from __future__ import annotations

import pandas as pd

from dtp_scvi.hub._registry import registry


def available() -> pd.DataFrame:
    """
    List the bundled models with what each was worth on patients it was not trained on.

    Returns
    -------
    One row a model, index ``name``: ``drug`` (``"tolerance"`` for the index over drugs),
    ``version``, ``inputs`` and ``target`` (see :class:`dtp_scvi.model.ResponseModel`),
    ``n_training`` patients, ``cohort`` and ``n_external`` patients of the external test,
    ``spearman`` there with ``spearman_low`` and ``spearman_high`` (95 % interval over patients),
    ``licence`` of the training data, ``bytes`` on disk and ``sha256`` of ``model.json``, which in
    turn holds that of the weights.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> "aml-venetoclax" in dtp.hub.available().index
    True
    """
    rows = {
        name: {
            "drug": entry["drug"],
            "version": entry["version"],
            "inputs": entry["inputs"],
            "target": entry["target"],
            "n_training": entry["n_training"],
            "cohort": entry["cohort"],
            "n_external": entry["n_external"],
            "spearman": entry["spearman"]["value"],
            "spearman_low": entry["spearman"]["low"],
            "spearman_high": entry["spearman"]["high"],
            "licence": entry["licence"],
            "bytes": entry["bytes"],
            "sha256": entry["sha256"],
        }
        for name, entry in registry().items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = "name"
    return table
