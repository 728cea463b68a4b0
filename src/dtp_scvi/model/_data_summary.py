"""What a model was trained on, in numbers that name no cell."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._constants import AUDIT_KEY, SIMULATION_KEY
from dtp_scvi._scvi import setup_args
from dtp_scvi.model._plain import plain
from dtp_scvi.model._registration import label_follows_donor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData

    from dtp_scvi.model._classifier import ExpressionClassifier
    from dtp_scvi.model._training_data import TrainingData


def describe_data(model: ExpressionClassifier, given: TrainingData) -> dict[str, Any]:
    """
    Count the training rows by class and donor, and take checksums of them.

    Parameters
    ----------
    model
        Model that was set up with the data.
    given
        The rows it is trained on.

    Returns
    -------
    JSON-able numbers. The checksums (SHA-256) are of the expression with its gene names, and of
    labels and donors; both depend on the order of the rows.
    """
    adata, reg = model._own_adata(), type(model).registration(model._own_adata())
    labels = reg.labels[given.which]
    found: dict[str, Any] = {
        "n_rows": len(labels),
        "n_genes": len(reg.genes),
        "classes": dict(zip(*np.unique(labels, return_counts=True), strict=True)),
        "labels_key": reg.labels_key,
        "donor_key": reg.donor_key,
        "batch_key": reg.batch_key,
        "layer": reg.layer,
        "scale": str(reg.scale),
        "allow_confounded": bool(setup_args(model.registry_)["allow_confounded"]),
        "simulated": SIMULATION_KEY in adata.uns,
        "sha256_expression": _checksum(
            [
                "\n".join(reg.genes).encode(),
                given.matrix.indptr.astype(np.int64),
                given.matrix.indices.astype(np.int64),
                given.matrix.data.astype(np.float32),
            ]
        ),
        "sha256_labels": _checksum(
            "\n".join(column).encode() for column in (labels, given.donors) if column is not None
        ),
    }
    if given.donors is not None:
        found["n_donors"] = len(set(given.donors))
        found["donors_by_class"] = {
            name: len(set(given.donors[labels == name])) for name in reg.classes
        }
        found["donor_determines_label"] = label_follows_donor(labels, given.donors)
    if reg.batches is not None:
        batches = reg.batches[given.which]
        found["n_batches"] = len(set(batches))
        found["batch_determines_label"] = label_follows_donor(labels, batches)
    return plain(found | _audit(adata, reg.labels_key))


def _audit(adata: AnnData, labels_key: str) -> dict[str, Any]:
    """The audit of these rows, where one was made of the same label."""
    audit = adata.uns.get(AUDIT_KEY)
    if audit is None or audit["params"]["labels_key"] != labels_key:
        return {}
    if int(audit["params"]["n_obs"]) != adata.n_obs:
        return {}
    return {"audit": audit["table"].to_dict("records")}


def _checksum(parts: Iterable[bytes | np.ndarray]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).data)
    return digest.hexdigest()
