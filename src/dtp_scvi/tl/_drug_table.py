"""One row a drug: correlation with the score, given covariates, given the other drugs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, spearmanr

from dtp_scvi._logging import progress
from dtp_scvi.stats import (
    auroc_interval,
    other_drugs_rank,
    partial_rank_correlation,
    rank_correlation,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dtp_scvi.tl._drug_input import Patients

_FEWEST_FOR_PARTIAL: Final = 20
_FEWEST_IN_TERTILE: Final = 5

COLUMNS: Final = [
    "drug",
    "n",
    "n_missing",
    "tested",
    "reason",
    "rho",
    "low",
    "high",
    "p",
    "q",
    "partial_n",
    "partial_rho",
    "partial_low",
    "partial_high",
    "partial_p",
    "partial_q",
    "auroc",
    "auroc_low",
    "auroc_high",
    "rho_other_drugs",
    "specific_n",
    "specific_rho",
    "specific_low",
    "specific_high",
    "specific_p",
    "specific_q",
]
_TEXT: Final = ("drug", "reason")
_COUNTS: Final = ("n", "n_missing", "partial_n", "specific_n")


@dataclass(frozen=True)
class Draws:
    """How resamples are drawn."""

    n_boot: int
    seed: int | None

    def arguments(self) -> dict[str, Any]:
        """As the functions of ``stats`` take them."""
        return {"n_boot": self.n_boot, "seed": self.seed}


def drug_table(
    patients: Patients,
    tested: NDArray[np.bool_],
    min_patients: int,
    draws: Draws,
    *,
    verbose: bool,
) -> pd.DataFrame:
    """One row per drug, the most strongly correlated first, then those that were not tested."""
    used = patients.resistance.loc[:, tested]
    others = dict(zip(used.columns, other_drugs_rank(used.to_numpy()).T, strict=True))
    rows = []
    with progress(int(tested.sum()), "Drugs", verbose=verbose, unit="drugs") as bar:
        for drug, use in zip(patients.resistance.columns, tested, strict=True):
            values = patients.resistance[drug].to_numpy()
            row = _counted(drug, values)
            if use:
                row |= _tested(patients, values, others[drug], draws)
                bar.update()
            else:
                row["reason"] = _reason(values, min_patients)
            rows.append(row)
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    table["tested"] = tested
    table["reason"] = table["reason"].fillna("")
    for name in _COUNTS:
        table[name] = table[name].fillna(0).astype(np.int64)
    for prefix in ("", "partial_", "specific_"):
        table[f"{prefix}q"] = _false_discovery(table[f"{prefix}p"].to_numpy(dtype=np.float64))
    for name in set(COLUMNS) - {*_TEXT, *_COUNTS, "tested"}:
        table[name] = table[name].astype(np.float64)
    order = ["tested", "rho", "drug"]
    return table.sort_values(order, ascending=[False, False, True], ignore_index=True)


def _counted(drug: str, values: NDArray[np.float64]) -> dict[str, Any]:
    measured = int(np.count_nonzero(~np.isnan(values)))
    return {"drug": drug, "n": measured, "n_missing": len(values) - measured}


def _reason(values: NDArray[np.float64], min_patients: int) -> str:
    present = values[~np.isnan(values)]
    if len(present) == 0:
        return "never measured in a scored patient"
    if len(present) < min_patients:
        return f"{len(present)} patients, fewer than {min_patients}"
    return f"one value ({present[0]:g}) in all {len(present)} patients"


def _tested(
    patients: Patients, values: NDArray[np.float64], other: NDArray[np.float64], draws: Draws
) -> dict[str, Any]:
    kept = ~np.isnan(values)
    x, y = patients.score[kept], values[kept]
    main = rank_correlation(x, y, **draws.arguments())
    row: dict[str, Any] = {"rho": main.rho, "low": main.low, "high": main.high, "p": main.p}
    row |= _given(x, y, patients.covariates.to_numpy()[kept], "partial", draws)
    row |= _tertiles(x, y, draws)
    elsewhere = other[kept]
    both = ~np.isnan(elsewhere)
    if both.sum() >= _FEWEST_FOR_PARTIAL and len(np.unique(elsewhere[both])) > 1:
        row["rho_other_drugs"] = float(spearmanr(x[both], elsewhere[both]).statistic)
        row |= _given(x, y, elsewhere[:, None], "specific", draws)
    return row


def _given(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    covariates: NDArray[np.float64],
    prefix: str,
    draws: Draws,
) -> dict[str, Any]:
    """The correlation given covariates, in the patients who have all of them."""
    kept = ~np.isnan(covariates).any(axis=1)
    n = int(kept.sum())
    if covariates.shape[1] == 0 or n < _FEWEST_FOR_PARTIAL + covariates.shape[1]:
        return {}
    found = partial_rank_correlation(x[kept], y[kept], covariates[kept], **draws.arguments())
    numbers = {"n": n, "rho": found.rho, "low": found.low, "high": found.high, "p": found.p}
    return {f"{prefix}_{name}": value for name, value in numbers.items()}


def _tertiles(x: NDArray[np.float64], y: NDArray[np.float64], draws: Draws) -> dict[str, float]:
    """AUROC of the score for the most resistant against the least resistant third."""
    low, high = np.quantile(y, [1 / 3, 2 / 3])
    ends = (y <= low) | (y >= high)
    label = y[ends] >= high
    if low >= high or min(label.sum(), (~label).sum()) < _FEWEST_IN_TERTILE:
        return {}
    value, lower, upper = auroc_interval(label, x[ends], **draws.arguments())
    return {"auroc": value, "auroc_low": lower, "auroc_high": upper}


def _false_discovery(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Benjamini-Hochberg over what was tested."""
    q = np.full(len(p), np.nan)
    kept = ~np.isnan(p)
    if kept.any():
        q[kept] = false_discovery_control(p[kept], method="bh")
    return q
