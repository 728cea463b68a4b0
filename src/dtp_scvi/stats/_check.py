"""Turn what the caller passed into arrays, or say what is wrong with it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dtp_scvi._validate import problem, shorten

# A table of one column per model: a DataFrame, or a mapping of names to arrays.
Columns = Mapping[str, ArrayLike] | pd.DataFrame


def as_labels(labels: ArrayLike, *, both_classes: bool = True) -> NDArray[np.bool_]:
    """Return labels as booleans; only booleans and 0/1 are taken, NaN is not a class."""
    array = np.asarray(labels)
    if array.dtype != bool:
        found = pd.unique(pd.Series(array.ravel()))
        if not all(value in (0, 1) for value in found):
            todo = "Compare the label with the positive class first, e.g. labels == 'resistant'."
            msg = problem("`labels` to be boolean or 0/1", f"values {shorten(found)}", todo)
            raise ValueError(msg)
    array = array.astype(bool)
    _check_flat(array, "labels")
    if both_classes and (array.all() or not array.any()):
        found_class = "none" if array.size == 0 else f"only {bool(array[0])}"
        todo = "Evaluate on rows that hold both classes."
        msg = problem(
            "`labels` to hold both classes", f"{found_class} in {array.size:,} rows", todo
        )
        raise ValueError(msg)
    return array


def as_vector(values: ArrayLike, argument: str, n: int) -> NDArray[np.float64]:
    """Return ``n`` finite numbers as float64."""
    array = np.asarray(values, dtype=np.float64)
    _check_flat(array, argument)
    _check_length(len(array), argument, n)
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        msg = problem(
            f"`{argument}` to be finite", f"{bad:,} NaN or infinite values", "Drop these rows."
        )
        raise ValueError(msg)
    return array


def as_probabilities(values: ArrayLike, argument: str, n: int) -> NDArray[np.float64]:
    """Return ``n`` numbers in [0, 1] as float64."""
    array = as_vector(values, argument, n)
    if array.size and (array.min() < 0 or array.max() > 1):
        found = f"values from {array.min():g} to {array.max():g}"
        msg = problem(f"`{argument}` in [0, 1]", found, "Pass probabilities, not logits.")
        raise ValueError(msg)
    return array


def as_weights(values: ArrayLike | None, n: int) -> NDArray[np.float64]:
    """Return ``n`` non-negative weights; ``None`` means one for each row."""
    if values is None:
        return np.ones(n)
    array = as_vector(values, "sample_weight", n)
    if array.size and array.min() < 0:
        msg = problem("`sample_weight` >= 0", f"{array.min():g}", "Drop or mend negative weights.")
        raise ValueError(msg)
    return array


def as_codes(groups: ArrayLike | None, n: int, argument: str = "groups") -> NDArray[np.intp]:
    """Number the clusters of ``n`` rows from 0; ``None`` makes each row its own cluster."""
    if groups is None:
        return np.arange(n)
    series = pd.Series(np.asarray(groups))
    _check_length(len(series), argument, n)
    codes, _ = pd.factorize(series, sort=True)
    missing = int(np.count_nonzero(codes < 0))
    if missing:
        msg = problem(
            f"`{argument}` without missing values",
            f"{missing:,} missing",
            f"Name a {'donor' if argument == 'groups' else 'cohort'} for each row or drop these rows.",
        )
        raise ValueError(msg)
    return codes


def same_models(expected: list[Hashable], found: list[Hashable], argument: str) -> None:
    """Raise ``KeyError`` unless ``found`` holds every model of ``expected``."""
    missing = [name for name in expected if name not in found]
    if missing:
        msg = problem(
            f"`{argument}` to hold every model of `scores`",
            f"none for {shorten(missing)}",
            f"Add them to `{argument}`.",
        )
        raise KeyError(msg)


def _check_flat(array: NDArray[Any], argument: str) -> None:
    if array.ndim != 1:
        todo = "Pass one value per row."
        msg = problem(f"`{argument}` to be one-dimensional", f"shape {array.shape}", todo)
        raise ValueError(msg)


def _check_length(length: int, argument: str, n: int) -> None:
    if length != n:
        todo = "Pass arrays of one length, in the same row order."
        msg = problem(f"`{argument}` to hold {n:,} values, one per label", f"{length:,}", todo)
        raise ValueError(msg)
