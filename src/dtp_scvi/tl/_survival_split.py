"""Groups by a cut that was fixed beforehand: Kaplan-Meier, log-rank, restricted means."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._optional import require
from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.stats import rmst_difference
from dtp_scvi.tl._survival_cox import EXTRA, Row, p_text
from dtp_scvi.tl._survival_logrank import logrank_rows, logrank_terms

if TYPE_CHECKING:
    from dtp_scvi.tl._survival_input import Patients

CUTS: Final = ("median", "tertiles")
KM_COLUMNS: Final = ("group", "time", "survival", "low", "high", "at_risk", "censored")
# As in the transfer check: from here on the calls of a model are one and the same.
_SATURATED: Final = 0.8
_HIGH, _LOW = 0.95, 0.05
# A group may be this much larger or smaller than its quantile says.
_OFF: Final = 0.1
_FEWEST: Final = 10


def check_cut(cut: object) -> str | float:
    """Return the cut, or say why there can be only one."""
    if isinstance(cut, list | tuple | set | np.ndarray | dict):
        msg = problem(
            "`cut` to be one rule that was fixed beforehand",
            f"{len(cut)} of them",
            "The best of several cuts shows a difference where there is none; pass "
            "'median', 'tertiles' or one number, and read the hazard ratio per SD first.",
        )
        raise ValueError(msg)
    if isinstance(cut, Real) and not isinstance(cut, bool) and np.isfinite(float(cut)):
        return float(cut)
    check_one_of(cut, [*CUTS, "a finite number"] if not isinstance(cut, str) else CUTS, "cut")
    return str(cut)


def split(
    patients: Patients, cut: str | float, score_key: str
) -> tuple[np.ndarray, list[float], str]:
    """
    Group of each patient, the values cut at, and why there are no groups ("" where there are).

    A patient at the cut belongs to the higher group.
    """
    score = patients.frame["score"].to_numpy()
    shares = {"median": [0.5], "tertiles": [1 / 3, 2 / 3]}.get(str(cut), [])
    values = [float(v) for v in np.quantile(score, shares)] if shares else [float(cut)]
    names = np.array(["low", "high"] if len(values) == 1 else ["low", "middle", "high"])
    codes = np.searchsorted(np.array(values), score, side="right")
    groups = names[codes].astype(object)
    reason = _saturated(patients, score_key) or _off(codes, names, quantiles=bool(shares))
    return groups, values, reason


def _saturated(patients: Patients, score_key: str) -> str:
    if "probability" not in patients.frame:
        return ""
    known = patients.frame["probability"].dropna()
    above, below = float((known > _HIGH).mean()), float((known < _LOW).mean())
    if len(known) == 0 or max(above, below) < _SATURATED:
        return ""
    where = f"{above:.0%} of the probabilities lie above {_HIGH:g}"
    if below > above:
        where = f"{below:.0%} of the probabilities lie below {_LOW:g}"
    return (
        f"The scores saturate: {where}, so both sides of any cut are called alike. Read the "
        "hazard ratio per SD; to split by order alone, pass the rank as `score_key` in place of "
        f"{score_key!r}."
    )


def _off(codes: np.ndarray, names: np.ndarray, *, quantiles: bool) -> str:
    n_groups = len(names)
    sizes = np.bincount(codes, minlength=n_groups)
    found = ", ".join(f"{name} {size:,}" for name, size in zip(names, sizes, strict=True))
    shares = sizes / sizes.sum()
    if quantiles and np.abs(shares - 1 / n_groups).max() > _OFF:
        return (
            f"Too many patients share the score at the cut: {n_groups} equal groups were meant, "
            f"found {found}. Read the hazard ratio per SD."
        )
    if sizes.min() < _FEWEST:
        return (
            f"The cut leaves fewer than {_FEWEST} patients in a group ({found}). Read the hazard "
            "ratio per SD."
        )
    return ""


def km_table(patients: Patients, groups: np.ndarray) -> pd.DataFrame:
    """Kaplan-Meier curve of each group with log-log intervals and numbers at risk."""
    lifelines = require("lifelines", EXTRA)
    parts = []
    for name in ordered(groups):
        rows = patients.frame[groups == name]
        fitted = lifelines.KaplanMeierFitter().fit(rows["time"], rows["event"])
        counts = fitted.event_table
        ends = fitted.confidence_interval_survival_function_
        parts.append(
            pd.DataFrame(
                {
                    "group": name,
                    "time": counts.index.to_numpy(dtype=np.float64),
                    "survival": fitted.survival_function_.iloc[:, 0].to_numpy(),
                    "low": ends.iloc[:, 0].to_numpy(),
                    "high": ends.iloc[:, 1].to_numpy(),
                    "at_risk": counts["at_risk"].to_numpy(dtype=np.int64),
                    "censored": counts["censored"].to_numpy(dtype=np.int64),
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    return table.set_axis(table.index.astype(str), axis=0)


def no_curves() -> pd.DataFrame:
    """Return the same table with no row."""
    kinds = dict.fromkeys(KM_COLUMNS, np.float64) | {"group": object}
    return pd.DataFrame({name: np.empty(0, kind) for name, kind in kinds.items()})


def ordered(groups: np.ndarray) -> list[str]:
    """Groups that hold patients, from high to low."""
    return [name for name in ("high", "middle", "low") if (groups == name).any()]


def split_rows(patients: Patients, groups: np.ndarray, horizon: float) -> list[Row]:
    """Log-rank tests over all groups, and the restricted means of the outer two."""
    tests = logrank_rows(patients, groups, ordered(groups))
    return [*tests, _restricted_means(patients, groups, horizon)]


def no_split_rows(patients: Patients, reason: str) -> list[Row]:
    """Return the same rows where there are no groups."""
    terms = [*logrank_terms(patients), "rmst_difference"]
    return [Row(term, f"No groups: {reason}") for term in terms]


def _restricted_means(patients: Patients, groups: np.ndarray, horizon: float) -> Row:
    outer = np.isin(groups, ["high", "low"])
    frame, high = patients.frame[outer], groups[outer] == "high"
    longest = min(float(frame["time"][rows].max()) for rows in (high, ~high))
    if horizon > longest:
        text = (
            f"Not computed: a group is followed only up to {longest:g}, short of the horizon "
            f"{horizon:g}."
        )
        return Row("rmst_difference", text)
    found = rmst_difference(frame["time"].to_numpy(), frame["event"].to_numpy(), high, horizon)
    side = "shorter" if found.value < 0 else "longer"
    text = (
        f"Up to {horizon:g}, the mean time without an event is {abs(found.value):.4g} {side} in the "
        f"high than in the low group (95 % interval of the difference {found.low:.4g} to "
        f"{found.high:.4g}, {p_text(found.p_value)}; in the unit of time)."
    )
    return Row("rmst_difference", text, found.value, found.low, found.high, found.p_value)
