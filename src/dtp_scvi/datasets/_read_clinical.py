"""Read survival from clinical tables in the layout of cBioPortal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import pandas as pd

from dtp_scvi._constants import EVENT_KEY, PATIENT_KEY, TIME_KEY
from dtp_scvi._validate import check_one_of, problem, shorten
from dtp_scvi.datasets._clinical_values import (
    DAYS_PER_MONTH,
    column_of,
    events,
    identifiers,
    times,
)
from dtp_scvi.datasets._tables import read_table

if TYPE_CHECKING:
    from pathlib import Path

_PATIENT: Final = ("PATIENT_ID", "Patient ID", "PatientID", "patient")
_SAMPLE: Final = ("SAMPLE_ID", "Sample ID", "sample")
# Words of each endpoint in front of MONTHS and STATUS, file names first, then display names.
_ENDPOINTS: Final = {
    "os": ("OS", "Overall Survival"),
    "dfs": ("DFS", "Disease Free"),
    "pfs": ("PFS", "Progression Free", "Progress Free Survival"),
    "dss": ("DSS", "Disease-specific Survival"),
}
# The short table of the TCGA study: time in days, 1 died.
_PLAIN_TIME: Final = ("Time", "time", "OS_DAYS")
_PLAIN_EVENT: Final = ("Dead", "event", "vital_status")


def read_clinical(
    clinical: str | Path | pd.DataFrame,
    *,
    endpoint: Literal["os", "dfs", "pfs", "dss"] = "os",
    time_unit: Literal["days", "months"] = "days",
) -> pd.DataFrame:
    """
    Read follow-up time and event from a clinical table as cBioPortal publishes it.

    Known are the file layout (``PATIENT_ID``, ``OS_MONTHS``, ``OS_STATUS``, after lines that
    start with ``#``), the layout of the web page (``Patient ID``, ``Overall Survival (Months)``,
    ``Overall Survival Status``) and, for overall survival, a plain table of a patient,
    ``Time`` in days and ``Dead``.

    Parameters
    ----------
    clinical
        Path of the table (.csv, .tsv, .txt, gzipped or not, or .xlsx, which needs the extra
        ``cohort``), or a DataFrame.
    endpoint
        Overall, disease-free, progression-free or disease-specific survival.
    time_unit
        Unit of the result. A month is 365.25 / 12 days.

    Returns
    -------
    A row a sample where the table names samples, else a row a patient, indexed by that name:
    ``"patient"``, ``"time"`` (float64, in ``time_unit``), ``"event"`` (float64: 1 happened, 0
    censored), NaN where missing, and every other column of the table as it is. ``attrs`` says
    ``"time_unit"`` and ``"endpoint"``.

    Raises
    ------
    KeyError
        If there is no column with patients, times or events.
    ValueError
        For a row without a patient, negative times, an event that is neither 0 nor 1, a patient
        or sample that is there twice, or one patient with two times.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> table = pd.DataFrame(
    ...     {
    ...         "PATIENT_ID": ["P1", "P2"],
    ...         "OS_MONTHS": [12.0, 30.5],
    ...         "OS_STATUS": ["1:DECEASED", "0:LIVING"],
    ...     }
    ... )
    >>> clinical = dtp.datasets.read_clinical(table)
    >>> clinical["time"].tolist(), clinical["event"].tolist()
    ([365.25, 928.34375], [1.0, 0.0])
    """
    check_one_of(endpoint, _ENDPOINTS, "endpoint")
    check_one_of(time_unit, ("days", "months"), "time_unit")
    table = read_table(clinical, "clinical")
    return clinical_frame(table.frame, table.name, endpoint=endpoint, time_unit=time_unit)


def clinical_frame(
    frame: pd.DataFrame, where: str, *, endpoint: str = "os", time_unit: str = "days"
) -> pd.DataFrame:
    """Return what :func:`~dtp_scvi.datasets.read_clinical` returns of a table that has been read."""
    patient = column_of(frame, _PATIENT, "patients", where)
    sample = column_of(frame, _SAMPLE, "samples", where, needed=False)
    patients = identifiers(frame[patient])
    names = patients if sample is None else identifiers(frame[sample])
    _check_named(patients, names, where)
    found = frame.set_axis(pd.Index(names, name=None))
    time, event, unit = _survival_columns(found, endpoint, where)
    factor = {"days": 1.0, "months": DAYS_PER_MONTH}
    result = pd.DataFrame(
        {
            PATIENT_KEY: patients.to_numpy(),
            TIME_KEY: times(found[time], time, where) * factor[unit] / factor[time_unit],
            EVENT_KEY: events(found[event], event, where),
        },
        index=found.index,
    )
    _check_repeats(result, where)
    others = found.drop(columns=[c for c in (patient, *result.columns) if c in found])
    result = pd.concat([result, others], axis=1)
    result.attrs = {"time_unit": time_unit, "endpoint": endpoint}
    return result


def _survival_columns(frame: pd.DataFrame, endpoint: str, where: str) -> tuple[str, str, str]:
    """Return the columns of time and event, and the unit of time."""
    words = _ENDPOINTS[endpoint]
    months = [f"{word} MONTHS" for word in words]
    states = [f"{word} STATUS" for word in words]
    plain = endpoint == "os"
    time = column_of(frame, months, "follow-up times", where, needed=not plain)
    unit = "months"
    if time is None:
        unit = "days"
        time = column_of(frame, _PLAIN_TIME, "follow-up times", where, needed=False)
    if time is None:
        time = column_of(frame, months, "follow-up times", where)
    options = [*states, *_PLAIN_EVENT] if plain else states
    event = column_of(frame, options, "events", where)
    return str(time), str(event), unit


def _check_named(patients: pd.Series, names: pd.Series, where: str) -> None:
    for column, what in ((patients, "patient"), (names, "sample")):
        empty = column.index[(column == "").to_numpy()]
        if len(empty):
            msg = problem(
                f"a {what} in every row of {where}",
                f"none in {len(empty):,} rows, as in row {shorten(empty, 3)}",
                "Fill or remove these rows.",
            )
            raise ValueError(msg)


def _check_repeats(result: pd.DataFrame, where: str) -> None:
    repeated = result.index[result.index.duplicated()].unique()
    if len(repeated):
        msg = problem(
            f"every name of {where} once",
            f"{len(repeated):,} twice or more: {shorten(repeated)}",
            "Keep one row of each, or add a column SAMPLE_ID that tells the rows apart.",
        )
        raise ValueError(msg)
    spread = result.groupby(PATIENT_KEY)[[TIME_KEY, EVENT_KEY]].nunique(dropna=False).max(axis=1)
    if (spread > 1).any():
        msg = problem(
            f"one time and event a patient in {where}",
            f"several for {shorten(spread.index[spread > 1])}",
            "Mend these rows.",
        )
        raise ValueError(msg)
