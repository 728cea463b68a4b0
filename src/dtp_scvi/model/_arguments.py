"""Check and complete what training is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._validate import check_positive_int, check_range, problem

if TYPE_CHECKING:
    from collections.abc import Sequence

# Folds of the training donors: the linear part is cross-fitted on them, members hold one out each.
N_FOLDS = 5
MOST_DROPOUT = 0.95


def check_architecture(
    n_programs: int, n_components: int, d_model: int, n_blocks: int, n_heads: int, n_members: int
) -> None:
    for value, name in (
        (n_programs, "n_programs"),
        (n_components, "n_components"),
        (d_model, "d_model"),
        (n_blocks, "n_blocks"),
        (n_heads, "n_heads"),
        (n_members, "n_members"),
    ):
        check_positive_int(value, name)
    check_range(n_members, "n_members", 1, N_FOLDS)
    check_heads(d_model, n_heads)


def check_heads(d_model: int, n_heads: int) -> None:
    if d_model % n_heads:
        msg = problem(
            "`n_heads` to divide `d_model`", f"d_model={d_model}, n_heads={n_heads}", "Change one."
        )
        raise ValueError(msg)


def check_dropout(dropout: float, gene_dropout: tuple[float, float]) -> tuple[float, float]:
    """Return the range of the genes' rate as numbers; raise where a rate is out of range."""
    check_range(dropout, "dropout", 0, MOST_DROPOUT)
    low, high = gene_dropout
    check_range(low, "gene_dropout[0]", 0, high)
    check_range(high, "gene_dropout[1]", low, MOST_DROPOUT)
    return float(low), float(high)


def recipe_of(defaults: Mapping[str, Any], **asked: Any) -> dict[str, Any]:
    """Fill what was not asked for by what a schedule takes by default."""
    recipe = {**defaults, **{name: value for name, value in asked.items() if value is not None}}
    for name in ("max_epochs", "batch_size"):
        check_positive_int(recipe[name], name)
    return recipe


def class_weights(
    given: str | Mapping[str, float] | None, classes: Sequence[str], codes: np.ndarray
) -> np.ndarray:
    if given is None:
        return np.ones(len(classes))
    if given == "balanced":
        counts = np.bincount(codes, minlength=len(classes))
        return len(codes) / (len(classes) * counts)
    if not isinstance(given, Mapping) or set(given) != set(classes):
        msg = problem(
            f"`class_weight` to be 'balanced' or to weigh {', '.join(classes)}",
            repr(given),
            "Name every class once.",
        )
        raise ValueError(msg)
    weights = np.array([given[name] for name in classes], dtype=float)
    for weight in weights:
        check_range(float(weight), "class_weight", 0, inclusive=False)
    return weights
