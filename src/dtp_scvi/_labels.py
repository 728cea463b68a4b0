"""Columns of ``obs`` as text, and the positive class: one reading for models and audits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_key, near_matches, problem, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

_TRUE_NAMES = ("True", "1", "1.0")


def label_text(column: pd.Series) -> np.ndarray:
    """Return a column as text; 1.0 and 1 are the same class, stored as categories or not."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if pd.api.types.is_float_dtype(column) and (column == column.round()).all():
        column = column.astype(np.int64)
    return column.astype(str).to_numpy()


def text_column(obs: pd.DataFrame, key: str, argument: str) -> np.ndarray:
    """Return ``obs[key]`` as text; a missing column or value is an error that names it."""
    check_key(obs, key, "adata.obs", argument)
    column = obs[key]
    n_missing = int(column.isna().sum())
    if n_missing:
        row = obs.index[int(np.flatnonzero(column.isna())[0])]
        msg = problem(
            f"a value for every row in adata.obs[{key!r}]",
            f"{n_missing:,} missing of {len(column):,} (first: row {row!r})",
            f"Drop them: adata = adata[adata.obs[{key!r}].notna()].copy()",
        )
        raise ValueError(msg)
    return label_text(column)


def label_classes(labels: np.ndarray, labels_key: str) -> tuple[str, ...]:
    """Return the classes in sorted order; fewer than two are an error."""
    classes = tuple(sorted(set(labels.tolist())))
    if len(classes) < 2:
        msg = problem(
            f"at least two classes in adata.obs[{labels_key!r}]",
            f"only {classes[0]!r} in {len(labels):,} rows",
            "Add rows of the other class, or name another `labels_key`.",
        )
        raise ValueError(msg)
    return classes


def positive_class(positive: object | None, classes: Sequence[str], labels_key: str) -> str:
    """Return the positive class as text; unnamed only for boolean or 0/1 labels."""
    if positive is None:
        if set(classes) in ({"False", "True"}, {"0", "1"}):
            return next(name for name in classes if name in _TRUE_NAMES)
        msg = problem(
            "`positive` to name the class that the score is about",
            f"None, with classes {shorten(classes, 10)}",
            f"Pass positive={classes[0]!r}, for example.",
        )
        raise ValueError(msg)
    if isinstance(positive, float) and positive.is_integer():
        positive = int(positive)
    if str(positive) not in classes:
        msg = problem(
            f"`positive` to be a class in adata.obs[{labels_key!r}]",
            repr(positive),
            near_matches(str(positive), classes),
        )
        raise ValueError(msg)
    return str(positive)
