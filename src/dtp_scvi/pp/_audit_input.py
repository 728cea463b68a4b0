"""Check what an audit is given, before any work and without a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dtp_scvi._labels import label_classes, positive_class, text_column
from dtp_scvi._validate import check_positive_int, matrix_name, problem, shorten
from dtp_scvi.data import (
    LINEARISE,
    Scale,
    check_matrix,
    check_object,
    detect_scale,
    get_matrix,
    scale_kind,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from anndata import AnnData


@dataclass(frozen=True)
class AuditInput:
    """
    Columns as text, and the matrix with what is known of its scale.

    Attributes
    ----------
    labels, is_positive
        Class of each row, and whether it is the positive one, (n_obs,).
    classes, positive
        Classes in sorted order, and the positive one.
    donors, donor_key
        Donor of each row, or ``None``.
    batches
        Batch columns by name, each (n_obs,).
    matrix
        Expression, (n_obs, n_vars), in any storage.
    scale
        Name of the detected scale.
    kind
        ``"linear"``, ``"log"``, or ``"other"`` for values that are neither (z-scores).
    """

    labels: np.ndarray
    is_positive: np.ndarray
    classes: tuple[str, ...]
    positive: str
    donors: np.ndarray | None
    donor_key: str | None
    batches: Mapping[str, np.ndarray]
    matrix: Any
    scale: str
    kind: str

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.labels)

    @property
    def clusters(self) -> np.ndarray | None:
        """What the bootstrap draws: donors where there are several, else rows."""
        return None if self.donors is None or len(set(self.donors)) < 2 else self.donors

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Donor and batch columns by name."""
        donor = {} if self.donors is None else {str(self.donor_key): self.donors}
        return {**donor, **self.batches}


def read_input(
    adata: AnnData,
    labels_key: str,
    *,
    donor_key: str | None,
    batch_keys: Sequence[str] | str,
    layer: str | None,
    positive: object | None,
    n_rows: int,
    key_added: str,
    seed: int | None,
) -> AuditInput:
    """Check every argument and column and return them; raise before anything is written."""
    check_object(adata)
    check_positive_int(n_rows, "n_rows")
    _check_key_added(key_added)
    names = (batch_keys,) if isinstance(batch_keys, str) else tuple(batch_keys)
    _check_names(names, labels_key, donor_key)
    labels = text_column(adata.obs, labels_key, "labels_key")
    classes = label_classes(labels, labels_key)
    if positive is None and len(classes) == 2 and classes not in (("0", "1"), ("False", "True")):
        # An audit is the same seen from either of two classes, so neither has to be named.
        positive = classes[1]
    name = positive_class(positive, classes, labels_key)
    donors = None if donor_key is None else text_column(adata.obs, donor_key, "donor_key")
    batches = {key: text_column(adata.obs, key, "batch_keys") for key in names}
    matrix = get_matrix(adata, layer)
    where = matrix_name(layer)
    check_matrix(matrix, name=where, negative=True)
    scale = detect_scale(matrix, seed=seed).scale
    kind = "other"
    if scale in LINEARISE:
        logs = scale_kind(scale) != "linear" or scale is Scale.LOG2
        kind = "log" if logs else "linear"
    is_positive = labels == name
    return AuditInput(
        labels, is_positive, classes, name, donors, donor_key, batches, matrix, str(scale), kind
    )


def _check_key_added(key_added: str) -> None:
    if not isinstance(key_added, str) or not key_added or "/" in key_added:
        msg = problem(
            "`key_added` to be a name that h5ad can hold", repr(key_added), "Leave out slashes."
        )
        raise ValueError(msg)


def _check_names(names: tuple[str, ...], labels_key: str, donor_key: str | None) -> None:
    taken = {"labels_key": labels_key, "donor_key": donor_key}
    for argument, key in taken.items():
        if key is not None and key in names:
            msg = problem(
                f"`batch_keys` to name other columns than `{argument}`",
                repr(key),
                f"Leave {key!r} out of `batch_keys`.",
            )
            raise ValueError(msg)
    if donor_key == labels_key:
        msg = problem(
            "`donor_key` to name another column than `labels_key`", repr(donor_key), "Name it."
        )
        raise ValueError(msg)
    if len(set(names)) < len(names):
        msg = problem("each of `batch_keys` once", shorten(names, 10), "Drop the repeats.")
        raise ValueError(msg)
