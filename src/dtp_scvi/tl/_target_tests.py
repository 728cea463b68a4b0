"""The tests of a recovery: matched genes, shuffled scores, top lists, and the curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.stats import beta, hypergeom

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_POINTS: Final = 500


def matched(percentile: Array, places: NDArray[np.intp], sets: NDArray[np.intp]) -> dict[str, Any]:
    """Compare the mean percentile of the controls with that of matched random sets."""
    return _against(
        "matched_genes", float(percentile[places].mean()), percentile[sets].mean(axis=1)
    )


def _against(test: str, value: float, null: Array) -> dict[str, Any]:
    """Compare a mean percentile with a null, one-sided, counting what was seen itself."""
    # Wider than the rounding of percentiles in single precision, narrower than a step of the mean.
    count, n = int(np.count_nonzero(null >= value - 1e-7)), len(null)
    low, high = np.quantile(null, [0.025, 0.975])
    return {
        "test": test,
        "value": value,
        "expected": float(null.mean()),
        "null_low": float(low),
        "null_high": float(high),
        "p": (1 + count) / (1 + n),
        # Clopper and Pearson's, of the share that is estimated by counting.
        "p_low": float(beta.ppf(0.025, count, n - count + 1)) if count else 0.0,
        "p_high": float(beta.ppf(0.975, count + 1, n - count)) if count < n else 1.0,
    }


def with_draws(
    rows: list[dict[str, Any]],
    drawn: Mapping[str, pd.DataFrame],
    genes: pd.Index,
    n_genes: int,
) -> list[dict[str, Any]]:
    """Add the interval over resamples of donors, and the test against shuffled scores."""
    if "resampled" in drawn:
        again = drawn["resampled"].loc[genes].to_numpy(np.float64).mean(axis=0)
        rows[0]["value_low"], rows[0]["value_high"] = np.quantile(again, [0.025, 0.975])
    if "shuffled" in drawn and len(drawn["shuffled"]) == n_genes:
        null = drawn["shuffled"].loc[genes].to_numpy(np.float64).mean(axis=0)
        more = {name: rows[0].get(name, np.nan) for name in ("value_low", "value_high")}
        rows.append(_against("shuffled_score", rows[0]["value"], null) | more)
    return rows


def top_list(ranks: Array, places: NDArray[np.intp], length: int) -> dict[str, Any]:
    """Count controls among the first ones; ties at the border are all in."""
    n, n_controls = len(ranks), len(places)
    row: dict[str, Any] = {"test": f"top_{length}", "k": length}
    if length >= n:
        return row | {"note": f"only {n:,} genes are ranked"}
    inside = int(np.count_nonzero(ranks <= length))
    found = int(np.count_nonzero(ranks[places] <= length))
    null = hypergeom(n, n_controls, inside)
    return row | {
        "value": found,
        "expected": float(null.mean()),
        "null_low": float(null.ppf(0.025)),
        "null_high": float(null.ppf(0.975)),
        "p": float(null.sf(found - 1)),
        "note": "" if inside == length else f"{inside:,} genes: ties at the border",
    }


def curve(ranks: Array, places: NDArray[np.intp], sets: NDArray[np.intp]) -> pd.DataFrame:
    """Count controls and matched random genes up to each rank, or up to 500 of them."""
    n = len(ranks)
    at = np.unique(np.linspace(1, n, min(n, _POINTS)).round())
    found = (ranks[places][:, None] <= at).sum(axis=0)
    random = sum((ranks[column][:, None] <= at).astype(np.int16) for column in sets.T)
    low, high = np.quantile(random, [0.025, 0.975], axis=0)
    mean = np.asarray(random).mean(axis=0)
    return pd.DataFrame(
        {"rank": at, "found": found, "random": mean, "random_low": low, "random_high": high}
    )
