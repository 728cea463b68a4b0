"""Log-rank tests over groups: of all patients, and within strata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import chi2

from dtp_scvi._optional import require
from dtp_scvi._validate import shorten
from dtp_scvi.tl._survival_cox import EXTRA, Row, p_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dtp_scvi.tl._survival_input import Patients


def logrank_terms(patients: Patients) -> list[str]:
    """Return the tests there are: the one within strata only where there are strata."""
    return ["logrank", "logrank_stratified"] if patients.strata.shape[1] else ["logrank"]


def logrank_rows(patients: Patients, groups: np.ndarray, names: list[str]) -> list[Row]:
    """Test whether the curves of the groups differ, once more within strata if there are any."""
    rows = [_plain(patients, groups, names)]
    return [*rows, _within(patients, groups, names)] if patients.strata.shape[1] else rows


def stratified_logrank(
    time: NDArray[np.float64],
    event: NDArray[np.bool_],
    groups: np.ndarray,
    strata: np.ndarray,
) -> tuple[float, float, int]:
    """
    Log-rank test over groups: observed minus expected events are summed over strata.

    Patients are compared with those of their own stratum alone, so that strata may have any
    baseline hazard (Klein & Moeschberger 2003, Survival Analysis, section 7.5).

    Parameters
    ----------
    time, event
        Time and whether the event was seen, one a patient.
    groups, strata
        Group and stratum of each patient, two groups or more.

    Returns
    -------
    Chi-squared, p and degrees of freedom (groups - 1); NaN for the former two where some groups
    are never at risk beside the others within a stratum.
    """
    codes = np.unique(groups, return_inverse=True)[1]
    n_groups = int(codes.max()) + 1
    excess, variance = np.zeros(n_groups), np.zeros((n_groups, n_groups))
    for name in np.unique(strata):
        here = strata == name
        more, spread = _one_stratum(time[here], event[here], codes[here], n_groups)
        excess += more
        variance += spread
    freedom = n_groups - 1
    if np.linalg.matrix_rank(variance) < freedom:
        return float("nan"), float("nan"), freedom
    # The excesses add up to 0: one of them is left out.
    part = excess[:-1]
    found = float(part @ np.linalg.solve(variance[:-1, :-1], part))
    return found, float(chi2.sf(found, freedom)), freedom


def _one_stratum(
    time: NDArray[np.float64], event: NDArray[np.bool_], codes: np.ndarray, n_groups: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Observed minus expected events of each group, and their hypergeometric covariance."""
    excess, variance = np.zeros(n_groups), np.zeros((n_groups, n_groups))
    for moment in np.unique(time[event]):
        at_risk = np.bincount(codes[time >= moment], minlength=n_groups)
        deaths = np.bincount(codes[event & (time == moment)], minlength=n_groups)
        n, d = int(at_risk.sum()), int(deaths.sum())
        share = at_risk / n
        excess += deaths - d * share
        if n > 1:
            spread = d * (n - d) / (n - 1)
            variance += spread * (np.diag(share) - np.outer(share, share))
    return excess, variance


def _plain(patients: Patients, groups: np.ndarray, names: list[str]) -> Row:
    test = require("lifelines.statistics", EXTRA).multivariate_logrank_test
    frame = patients.frame
    found: Any = test(frame["time"].to_numpy(), groups, frame["event"].to_numpy())
    sizes = ", ".join(f"{name} {int((groups == name).sum()):,}" for name in names)
    p = float(found.p_value)
    text = (
        f"The Kaplan-Meier curves of the {len(names)} groups {_shown(p)} (log-rank over all "
        f"patients, {p_text(p)}; {sizes}). A split throws information away: the hazard ratio per "
        "SD comes first."
    )
    return Row("logrank", text, float(found.test_statistic), p=p)


def _within(patients: Patients, groups: np.ndarray, names: list[str]) -> Row:
    frame, columns = patients.frame, shorten(patients.strata.columns, 10)
    strata = patients.strata.groupby(list(patients.strata.columns)).ngroup().to_numpy()
    found, p, freedom = stratified_logrank(
        frame["time"].to_numpy(dtype=np.float64), frame["event"].to_numpy() == 1, groups, strata
    )
    if np.isnan(p):
        text = (
            f"Not computed: within strata of {columns}, events never happen with all "
            f"{len(names)} groups at risk beside one another."
        )
        return Row("logrank_stratified", text)
    n_strata = len(np.unique(strata))
    within = f"Within the {n_strata:,} strata" if n_strata > 1 else "Within the only stratum"
    text = (
        f"{within} of {columns} the {len(names)} groups "
        f"{_shown(p)} (stratified log-rank, chi-squared {found:.2f} on {freedom} df, {p_text(p)})."
    )
    return Row("logrank_stratified", text, found, p=p)


def _shown(p: float) -> str:
    return "differ" if p < 0.05 else "are not shown to differ"
