"""Relate a score to survival: Cox per SD first, a split last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from dtp_scvi._constants import (
    KEY_ADDED,
    LOGIT_SUFFIX,
    RANK_SUFFIX,
    SCORE_SUFFIX,
    SIMULATION_KEY,
    SURVIVAL_KEY,
)
from dtp_scvi._docs import docs
from dtp_scvi._optional import require
from dtp_scvi._validate import check_positive_int, check_range, problem
from dtp_scvi.stats import concordance_interval, median_follow_up, time_dependent_auc_interval
from dtp_scvi.tl._survival_cox import EVENTS_PER_TERM, EXTRA, Row, cox_rows, design
from dtp_scvi.tl._survival_input import check_patients, read_patients
from dtp_scvi.tl._survival_split import (
    check_cut,
    km_table,
    no_curves,
    no_split_rows,
    split,
    split_rows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from dtp_scvi.tl._survival_input import Patients

_DEFAULT_SCORE: Final = f"{KEY_ADDED}{LOGIT_SUFFIX}"


@docs.dedent
def survival(
    adata: AnnData,
    *,
    time_key: str = "time",
    event_key: str = "event",
    score_key: str = _DEFAULT_SCORE,
    covariates: Sequence[str] = (),
    strata: Sequence[str] = (),
    cut: Literal["median", "tertiles"] | float = "median",
    patient_key: str | None = None,
    horizon: float | Sequence[float] | None = None,
    n_boot: int = 1000,
    seed: int | None = 0,
    key_added: str = SURVIVAL_KEY,
) -> pd.DataFrame:
    """Relate a score to survival: hazard ratio per SD, its checks, and a prespecified split.

    The score enters Cox models as it is, per standard deviation. The split into groups by
    ``cut`` is there for the figure: no cut is searched for. Patients that lack a value in any
    named column are left out of everything, so all rows rest on the same patients. An association
    is no effect: what goes with both score and survival shows here as well.

    Needs lifelines: ``pip install 'dtp-scvi[survival]'``.

    Parameters
    ----------
    %(adata)s
    time_key
        Column of ``obs`` with the time to event or loss, at least 0, in any unit.
    event_key
        Column of ``obs``: 1 or true where the event (death, relapse) was seen, 0 or false where
        the patient was lost or alive at that time.
    score_key
        Column of ``obs`` with the score. The default, the log-odds of ``dtp.tl.score``, does not
        saturate as the probability does, and does not depend on which patients it is ranked with.
    covariates
        Columns of ``obs`` for a second, adjusted model: numbers as they are, anything else as
        categories.
    strata
        Columns of ``obs`` whose combinations have a baseline hazard of their own, such as the
        study, in the Cox models; the log-rank test is made within them, too.
    cut
        How groups are made: ``"median"``, ``"tertiles"``, or a score. Patients at the cut belong
        to the higher group. Fix it before looking.
    patient_key
        Column of ``obs`` with the patient. Named, the scores and numeric covariates of a
        patient's rows are averaged. By default ``obs["patient"]`` where it is there, and several
        rows of a patient are an error; without that column each row is a patient.
    horizon
        Times at which the time-dependent AUC is taken; the restricted means end at the longest.
        By default the median follow-up (reverse Kaplan-Meier), or the median time of the events
        where the former has none before it or nobody beyond it.
    n_boot
        Resamples of patients for the intervals of concordance and AUC.
    %(seed)s
    %(key_added)s

    Returns
    -------
    A table with columns ``term``, ``estimate``, ``low``, ``high`` (95 % interval), ``p``, ``n``
    (patients), ``n_events`` and ``sentence``, and these terms in order:

    ``hazard_ratio``
        Per SD of the score, the score alone (within ``strata``), by a Wald interval.
    ``hazard_ratio_adjusted``
        The same beside ``covariates``; only where there are any.
    ``proportional_hazards``
        Chi-squared of the scaled Schoenfeld residuals of the score against the rank of the event
        time, in the adjusted model where there is one (Grambsch & Therneau 1994,
        doi:10.1093/biomet/81.3.515).
    ``non_linearity``
        Likelihood ratio of a restricted cubic spline against the straight line in that model.
    ``concordance``
        Harrell's, of the score alone; **above 0.5 a higher score means an earlier event**.
    ``auc_at_<horizon>``
        Cumulative/dynamic AUC, of the score alone, same sign;
        :func:`dtp_scvi.stats.time_dependent_auc`.
    ``logrank``
        Chi-squared over the groups of ``cut``, neither adjusted nor stratified.
    ``logrank_stratified``
        The same within ``strata``: observed minus expected events and their covariance are
        summed over strata. Only where there are any.
    ``rmst_difference``
        Restricted mean survival time up to the longest horizon, high minus low group.

    Written to ``adata.uns["dtp_survival"]``: this ``table``; ``km``, the curve of each group
    (``group``, ``time``, ``survival``, ``low``, ``high``, ``at_risk``, ``censored``), empty where
    no split is made; ``cox``, all terms of the last Cox model, covariates per unit; ``params``,
    among them ``cut_values``, ``n_rows``, ``n_dropped``, ``missing`` (rows by column), and
    ``no_split``, the reason why no split was made, else ``""``; ``simulated``. No split is made where
    80 % of the model's probabilities lie above 0.95 or below 0.05 (unless ``score_key`` is the
    rank), where ties at a quantile leave groups 10 points off their share, or where a group holds
    fewer than 10 patients.

    Raises
    ------
    ImportError
        lifelines is not installed.
    KeyError
        A column is missing.
    ValueError
        Negative times, events other than 0/1, no event, fewer than 10 complete patients, several
        rows of a patient, a constant score or covariate, one that is collinear with the score, an
        unknown or more than one ``cut``, a horizon outside the follow-up.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(1000, 300)
    >>> bulk = dtp.datasets.simulate_cohort(150, cells=cells, n_drugs=4)
    >>> table = dtp.tl.survival(bulk, score_key="true_persister_fraction", n_boot=50)
    >>> table["term"].tolist()[:3]
    ['hazard_ratio', 'proportional_hazards', 'non_linearity']
    >>> bool(table.loc[0, "estimate"] > 1)
    True
    """
    require("lifelines", EXTRA)
    covariates, strata = _names(covariates, "covariates"), _names(strata, "strata")
    rule = check_cut(cut)
    check_positive_int(n_boot, "n_boot")
    patients = read_patients(
        adata,
        time_key=time_key,
        event_key=event_key,
        score_key=score_key,
        covariates=covariates,
        strata=strata,
        patient_key=patient_key,
    )
    check_patients(patients, score_key, event_key)
    columns = design(patients)
    horizons = _horizons(horizon, patients)
    rows, cox = cox_rows(patients, columns, score_key)
    rows += _discrimination(patients, horizons, score_key, n_boot, seed)
    groups, values, reason = split(patients, rule, score_key)
    rows += (
        no_split_rows(patients, reason) if reason else split_rows(patients, groups, horizons[-1])
    )
    table = _table(rows, patients)
    params = {
        "time_key": time_key,
        "event_key": event_key,
        "score_key": score_key,
        "covariates": np.array(covariates, dtype=object),
        "strata": np.array(strata, dtype=object),
        "cut": rule,
        "cut_values": np.array(values),
        "no_split": reason,
        "horizon": np.array(horizons),
        "few_events": patients.n_events < EVENTS_PER_TERM * (columns.shape[1] + 1),
        "n_boot": n_boot,
        "seed": -1 if seed is None else seed,
        **_facts(patients),
    }
    adata.uns[key_added] = {
        "table": table.set_axis(table.index.astype(str), axis=0),
        "km": no_curves() if reason else km_table(patients, groups),
        "cox": cox,
        "params": params,
        "simulated": _simulated(adata, score_key),
    }
    return table


def _facts(patients: Patients) -> dict[str, Any]:
    """Say whom the result rests on."""
    return {
        "patient_key": patients.patient_key,
        "n_patients": len(patients.frame),
        "n_events": patients.n_events,
        "n_rows": patients.n_rows,
        "n_dropped": patients.n_dropped,
        "n_averaged": patients.n_averaged,
        "missing": patients.missing,
        "score_sd": float(patients.frame["score"].std(ddof=1)),
    }


def _names(keys: Sequence[str], argument: str) -> list[str]:
    if isinstance(keys, str):
        msg = problem(f"`{argument}` as a list of columns", repr(keys), f"Pass [{keys!r}].")
        raise TypeError(msg)
    return [str(key) for key in keys]


def _horizons(horizon: float | Sequence[float] | None, patients: Patients) -> list[float]:
    """Times asked for, rising, each with events before and patients beyond it."""
    frame = patients.frame
    first = float(frame.loc[frame["event"] == 1, "time"].min())
    longest = float(frame["time"].max())
    if horizon is None:
        middle = median_follow_up(frame["time"], frame["event"])
        # Follow-up has no median where nearly all patients have their event.
        inside = first <= middle < longest
        return [middle if inside else float(frame.loc[frame["event"] == 1, "time"].median())]
    values = sorted({float(value) for value in np.atleast_1d(np.asarray(horizon, dtype=float))})
    if not values:
        msg = problem("`horizon` to hold a time", "none", "Leave it out for the median follow-up.")
        raise ValueError(msg)
    for value in values:
        check_range(value, "horizon", 0.0, inclusive=False)
        if not first <= value < longest:
            msg = problem(
                f"`horizon` from the first event ({first:g}) to before the longest time "
                f"({longest:g})",
                f"{value:g}",
                "Choose a time within the follow-up, in the unit of `time_key`.",
            )
            raise ValueError(msg)
    return values


def _discrimination(
    patients: Patients, horizons: list[float], score_key: str, n_boot: int, seed: int | None
) -> list[Row]:
    frame = patients.frame
    time, event, score = (frame[name].to_numpy() for name in ("time", "event", "score"))
    value, low, high = concordance_interval(time, event, score, n_boot=n_boot, seed=seed)
    text = (
        f"Of two patients, the one with the higher {score_key} has the event first in {value:.0%} "
        f"of comparable pairs (Harrell's concordance {value:.3f}, 95 % interval {low:.3f} to "
        f"{high:.3f}; above 0.5 means that a higher score goes with earlier events)."
    )
    rows = [Row("concordance", text, value, low, high)]
    for end in horizons:
        value, low, high = time_dependent_auc_interval(
            time, event, score, end, n_boot=n_boot, seed=seed
        )
        text = (
            f"{score_key} tells patients with an event up to {end:g} from those beyond it with an "
            f"AUC of {value:.3f} (95 % interval {low:.3f} to {high:.3f}; above 0.5 means that a "
            "higher score goes with earlier events)."
        )
        rows.append(Row(f"auc_at_{end:g}", text, value, low, high))
    return rows


def _table(rows: list[Row], patients: Patients) -> pd.DataFrame:
    table = pd.DataFrame([vars(row) for row in rows])
    table["n"], table["n_events"] = len(patients.frame), patients.n_events
    if patients.n_dropped:
        gaps = ", ".join(f"{key} {n:,}" for key, n in patients.missing.items())
        table.loc[0, "sentence"] += (
            f" {patients.n_dropped:,} of {patients.n_rows:,} rows were left out for missing values "
            f"({gaps})."
        )
    order = ["term", "estimate", "low", "high", "p", "n", "n_events", "sentence"]
    return table[order]


def _simulated(adata: AnnData, score_key: str) -> bool:
    """Tell whether the data, or those the score was taken on, were simulated."""
    prefix = score_key
    for suffix in (LOGIT_SUFFIX, SCORE_SUFFIX, RANK_SUFFIX):
        prefix = prefix.removesuffix(suffix)
    record = adata.uns.get(prefix, {})
    recorded = bool(record.get("simulated", False)) if hasattr(record, "get") else False
    return SIMULATION_KEY in adata.uns or recorded
