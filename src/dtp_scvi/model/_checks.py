"""Refuse an AnnData that does not fit a model's training data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scvi import REGISTRY_KEYS

from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import Scale
from dtp_scvi.model._registration import read_registration

if TYPE_CHECKING:
    from anndata import AnnData


def classes_of(registry: dict[str, Any]) -> list[str]:
    """Return the classes in a registry of scvi-tools, in sorted order."""
    labels = registry["field_registries"][REGISTRY_KEYS.LABELS_KEY]
    return [str(name) for name in labels["state_registry"]["categorical_mapping"]]


def check_not_empty(adata: AnnData) -> None:
    """Raise where there is no row or no gene."""
    if adata.n_obs and adata.n_vars:
        return
    msg = problem(
        "at least one row and one gene",
        f"{adata.n_obs:,} rows and {adata.n_vars:,} genes",
        "Check the filter that made this object.",
    )
    raise ValueError(msg)


def check_same_genes(adata: AnnData, genes: list[str]) -> None:
    """Raise unless an AnnData has the genes of the training data, in their order."""
    found = np.asarray(adata.var_names, dtype=str)
    if np.array_equal(found, genes):
        return
    same = len(found) == len(genes) and set(found) == set(genes)
    what = "the same genes in another order" if same else f"{len(found):,} other genes"
    msg = problem(
        f"the {len(genes):,} genes that the model was set up with, in their order",
        what,
        "Run adata = adata[:, model_genes].copy(), or load without adata: scoring needs none.",
    )
    raise ValueError(msg)


def check_same_classes(adata: AnnData, arguments: dict[str, Any], classes: list[str]) -> None:
    """Raise unless the labels of an AnnData have the classes of the training data."""
    found = read_registration(adata, arguments).classes
    if list(found) != classes:
        msg = problem(
            f"the classes {', '.join(classes)} in adata.obs[{arguments['labels_key']!r}]",
            shorten(found),
            "Pass the training data, or load without adata: scoring needs none.",
        )
        raise ValueError(msg)


def check_takes_values(model: str, scale: str, *, takes: bool) -> None:
    """Raise where values that are used as they are go to a model of expression."""
    if str(scale) == Scale.AS_IS and not takes:
        msg = problem(
            f"expression for {model}, which normalises it",
            'scale="as_is" (an embedding, z-scores)',
            "Pass counts or their logarithms, or train a model that takes values as they are.",
        )
        raise ValueError(msg)


def check_same_kind(model: str, trained: str, scale: str) -> str:
    """Return the scale to read a query on; raise where it and the training rows do not mix."""
    if trained != Scale.AS_IS:
        check_takes_values(f"this {model}", scale, takes=False)
        return scale
    if str(scale) not in ("auto", Scale.AS_IS):
        msg = problem(
            f'values as they are (scale="as_is"), which this {model} was trained on',
            f"scale={str(scale)!r}",
            "Pass the same kind of values as in training.",
        )
        raise ValueError(msg)
    return str(Scale.AS_IS)
