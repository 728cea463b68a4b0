"""The observed value among the permuted ones; a comparison of like with like, or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._validate import problem, shorten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def stored_values(
    observed: Mapping[str, Any],
    ours: Mapping[str, Any],
    *,
    mark: str,
    models: Sequence[str],
    model_arguments: str | None,
) -> dict[tuple[str, str], float]:
    """Values of a stored result, or an error that names how its protocol differs."""
    params = observed["params"]
    theirs = dict(params["arguments"])
    differ = [
        f"{name} {theirs.get(name)!r} and {ours.get(name)!r}"
        for name in sorted({*theirs, *ours})
        if theirs.get(name) != ours.get(name)
    ]
    if params["fingerprint"] != mark:
        differ.append("the rows, labels or donors of the data")
    if model_arguments is not None and params["model_arguments"] != model_arguments:
        differ.append(f"arguments of the model {params['model_arguments']} and {model_arguments}")
    if differ:
        msg = problem(
            "`observed` from the same protocol on the same data",
            "; ".join(differ),
            "Leave `observed` out, or pass a result of this protocol.",
        )
        raise ValueError(msg)
    table = observed["metrics"].set_index(["model", "metric"])["value"]
    lost = [name for name in models if (name, "auroc") not in table.index]
    if lost:
        msg = problem(
            "`observed` to hold every model", f"none for {shorten(lost)}", "Leave them out."
        )
        raise ValueError(msg)
    return {key: float(value) for key, value in table.items() if key[0] in models}


def summarise_draws(draws: pd.DataFrame, truth: Mapping[tuple[str, str], float]) -> pd.DataFrame:
    """Place each observed value among the permutations."""
    rows = []
    for (model, metric), part in draws.groupby(["model", "metric"], sort=False):
        values, seen = part["value"].to_numpy(), truth[model, metric]
        # Rounding must not part equal ranks.
        as_high = int((values >= seen - 1e-12).sum())
        low, high = np.nanquantile(values, [0.025, 0.975])
        rows.append(
            {
                "model": model,
                "metric": metric,
                "observed": seen,
                "mean": float(np.nanmean(values)),
                "sd": float(np.nanstd(values)),
                "low": float(low),
                "high": float(high),
                "n_permutations": len(values),
                "n_as_high": as_high,
                "p": (as_high + 1) / (len(values) + 1),
            }
        )
    return pd.DataFrame(rows)
