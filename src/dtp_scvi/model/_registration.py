"""What a model is trained on: checked before anything is registered or written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._labels import label_classes, positive_class, text_column
from dtp_scvi._logging import warn
from dtp_scvi._validate import matrix_name, problem, shorten
from dtp_scvi.data import SIGNED, Scale, check_matrix, check_object, get_matrix, resolve_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


@dataclass(frozen=True)
class Registration:
    """Columns and matrix of a training AnnData, as text and by name.

    Attributes
    ----------
    labels
        Class of each row as text, (n_obs,).
    classes
        Classes in sorted order.
    positive
        Class that the score is about.
    labels_key, donor_key, batch_key
        Columns of ``adata.obs``.
    layer
        Layer that holds the expression; ``None`` for ``adata.X``.
    scale
        Scale of the expression.
    genes
        Gene names, (n_vars,).
    donors, batches
        Donor and batch of each row as text, (n_obs,), or ``None``.
    """

    labels: np.ndarray
    classes: tuple[str, ...]
    positive: str
    labels_key: str
    layer: str | None
    scale: Scale
    genes: np.ndarray
    donors: np.ndarray | None
    donor_key: str | None
    batches: np.ndarray | None
    batch_key: str | None

    @property
    def is_positive(self) -> np.ndarray:
        """Whether each row is in the positive class, bool, (n_obs,)."""
        return self.labels == self.positive

    @property
    def codes(self) -> np.ndarray:
        """Class of each row as a position in ``classes``, int64, (n_obs,)."""
        return np.searchsorted(np.asarray(self.classes), self.labels)


def check_training_data(
    adata: AnnData,
    *,
    labels_key: str,
    positive: object | None,
    layer: str | None,
    donor_key: str | None,
    batch_key: str | None,
    scale: str,
    allow_confounded: bool = False,
    values: bool = False,
) -> Registration:
    """Check everything a model needs and return it; raise before anything is written.

    ``values`` says whether the model takes values as they are.
    """
    check_object(adata)
    check_in_memory(adata)
    check_gene_names(adata)
    labels = text_column(adata.obs, labels_key, "labels_key")
    classes = label_classes(labels, labels_key)
    name = positive_class(positive, classes, labels_key)
    donors = None if donor_key is None else text_column(adata.obs, donor_key, "donor_key")
    batches = None if batch_key is None else text_column(adata.obs, batch_key, "batch_key")
    matrix = get_matrix(adata, layer)
    where = matrix_name(layer)
    found = resolve_scale(matrix, scale, name=where, values=values)
    check_matrix(matrix, name=where, negative=found in SIGNED)
    _refuse_confounded(labels, batches, batch_key, allowed=allow_confounded)
    _warn_confounded(labels, classes, donors, donor_key)
    genes = np.asarray(adata.var_names, dtype=str)
    return Registration(
        labels,
        classes,
        name,
        labels_key,
        layer,
        found,
        genes,
        donors,
        donor_key,
        batches,
        batch_key,
    )


def read_registration(adata: AnnData, arguments: dict[str, Any]) -> Registration:
    """Read the columns again that ``check_training_data`` has accepted."""
    columns = {
        key: None if arguments[key] is None else text_column(adata.obs, arguments[key], key)
        for key in ("donor_key", "batch_key")
    }
    labels = text_column(adata.obs, arguments["labels_key"], "labels_key")
    return Registration(
        labels,
        tuple(sorted(set(labels.tolist()))),
        arguments["positive"],
        arguments["labels_key"],
        arguments["layer"],
        Scale(arguments["scale"]),
        np.asarray(adata.var_names, dtype=str),
        columns["donor_key"],
        arguments["donor_key"],
        columns["batch_key"],
        arguments["batch_key"],
    )


def check_in_memory(adata: AnnData) -> None:
    if adata.isbacked:
        msg = problem(
            "an AnnData in memory for training",
            f"one backed by {adata.filename}",
            "Run adata = adata.to_memory() first; scoring works on backed data.",
        )
        raise ValueError(msg)


def check_gene_names(adata: AnnData) -> None:
    repeated = adata.var_names[adata.var_names.duplicated()].unique()
    if len(repeated):
        msg = problem(
            "unique gene names in adata.var_names",
            f"{len(repeated):,} names more than once ({shorten(repeated)})",
            "Sum them, or run adata.var_names_make_unique().",
        )
        raise ValueError(msg)


def label_follows_donor(labels: np.ndarray, donors: np.ndarray) -> bool:
    """Tell whether every donor has rows of one class only."""
    return bool((pd.Series(labels).groupby(donors).nunique() == 1).all())


def _refuse_confounded(
    labels: np.ndarray, batches: np.ndarray | None, batch_key: str | None, *, allowed: bool
) -> None:
    """Raise where every batch has rows of one class only: nothing tells the two apart."""
    if batches is None or len(set(batches)) < 2 or not label_follows_donor(labels, batches):
        return
    found = f"each of the {len(set(batches)):,} batches in obs[{batch_key!r}] holds one class only"
    if allowed:
        warn(f"Trained although {found}: what the model calls the class may be the batch.")
        return
    msg = problem(
        "both classes in at least one batch",
        found,
        "A model can't tell class from batch. See dtp.pp.audit; to train all the same pass "
        "allow_confounded=True, which is recorded in the model.",
    )
    raise ValueError(msg)


def _warn_confounded(
    labels: np.ndarray, classes: Sequence[str], donors: np.ndarray | None, donor_key: str | None
) -> None:
    if donors is None or len(set(donors)) < 2 or not label_follows_donor(labels, donors):
        return
    if len(set(donors)) == len(donors):
        return  # a row a donor, as bulk samples are
    warn(
        f"Each of the {len(set(donors)):,} donors in obs[{donor_key!r}] has rows of one class "
        f"only ({shorten(classes)}): what tells donors apart also tells the classes apart. "
        "Metrics on held-out donors rest on the number of donors, not of cells."
    )
