"""Options that say how a threshold is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtp_scvi._validate import check_key, near_matches, problem
from dtp_scvi.cli._options import Rule

if TYPE_CHECKING:
    from anndata import AnnData

ThresholdRule = Annotated[
    Rule, typer.Option("--threshold-rule", help="How the threshold is chosen, on held-out rows.")
]
Target = Annotated[
    float | None,
    typer.Option("--target", help="Recall (rule recall) or false-positive rate (rule fpr)."),
]
Fixed = Annotated[
    float | None, typer.Option("--fixed", help="The threshold itself (rule fixed), 0 to 1.")
]
Negatives = Annotated[
    str | None,
    typer.Option(
        "--negatives",
        metavar="COLUMN=VALUE",
        help="Negative rows that the false-positive rate is about (rule fpr).",
    ),
]


def threshold_arguments(
    adata: AnnData, rule: Rule, *, target: float | None, fixed: float | None, negatives: str | None
) -> dict[str, Any]:
    """Return ``threshold_rule`` and ``threshold_kwargs`` as the library takes them.

    ``adata`` is set up for :class:`~dtp_scvi.model.DTPTransformer`; ``negatives`` picks among its
    rows outside the positive class.
    """
    given: dict[str, Any] = {"target": target, "fixed": fixed}
    if negatives is not None:
        given["negatives"] = _rows(adata, negatives)
    given = {name: value for name, value in given.items() if value is not None}
    return {"threshold_rule": str(rule), "threshold_kwargs": given}


def _rows(adata: AnnData, text: str) -> Any:
    """Mask of the rows that ``COLUMN=VALUE`` names."""
    column, equals, value = text.partition("=")
    if not equals:
        msg = problem("`negatives` as COLUMN=VALUE", repr(text), "Name a column and a value.")
        raise ValueError(msg)
    check_key(adata.obs, column, "adata.obs", "negatives")
    from dtp_scvi.model import DTPTransformer

    values = adata.obs[column].astype(str).to_numpy()
    negative = ~DTPTransformer.registration(adata).is_positive
    if not (values[negative] == value).any():
        options = near_matches(value, sorted(set(values[negative])))
        found = f"no negative row with {value!r}"
        msg = problem(f"`negatives` to name a value of {column!r}", found, options)
        raise ValueError(msg)
    return negative & (values == value)
