"""The clinical table of BeatAML on the samples of an expression table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._constants import EVENT_KEY, TIME_KEY
from dtp_scvi._validate import problem, shorten
from dtp_scvi.datasets._beataml_links import DNA, PATIENT, RNA, id_columns
from dtp_scvi.datasets._clinical_values import (
    category,
    column_of,
    events,
    lenient_numbers,
    times,
)
from dtp_scvi.datasets._join import check_joins

if TYPE_CHECKING:
    from dtp_scvi.datasets._report import Report
    from dtp_scvi.datasets._tables import Table

_CATEGORIES: Final = {
    "wave": "cohort",
    "stage": "diseaseStageAtSpecimenCollection",
    "specimen_type": "specimenType",
    "sex": "consensus_sex",
    "eln2017": "ELN2017",
    "flt3_itd": "FLT3-ITD",
    "npm1": "NPM1",
    "fab": "fabBlastMorphology",
}
_NUMBERS: Final = {
    "age": "ageAtDiagnosis",
    "age_at_sampling": "ageAtSpecimenAcquisition",
    "days_from_first_specimen": "timeOfSampleCollectionRelativeToInclusion",
    "blasts_bm": "%.Blasts.in.BM",
    "blasts_pb": "%.Blasts.in.PB",
    "monocytes_pb": "%.Monocytes.in.PB",
    "wbc": "wbcCount",
}
# The data dictionary of the release: no date of diagnosis, so that there is no survival.
_NO_SURVIVAL: Final = -1
_MARROW: Final = "Bone Marrow Aspirate"


def clinical_columns(table: Table, samples: pd.Index, report: Report) -> pd.DataFrame:
    """
    Return the clinical columns of ``samples``, joined by RNA sample.

    Raises
    ------
    KeyError
        If there is no column with survival or vital status.
    ValueError
        If no sample is in the table, an RNA sample has two rows, a time is negative or no
        number, or a vital status is none of dead, alive and unknown.
    """
    ids = id_columns(table)
    rna = ids[RNA]
    check_joins(samples, rna[rna != ""], ("the expression", table.name), "RNA samples")
    twice = rna[(rna != "") & rna.duplicated(keep=False)].unique()
    if len(twice):
        msg = problem(
            f"one row of {table.name} for each RNA sample",
            f"several for {shorten(twice)}",
            "Keep one row of each.",
        )
        raise ValueError(msg)
    _report_losses(ids, samples, report)
    frame = table.frame.set_axis(pd.Index(rna, name=None))
    frame = frame.loc[frame.index.isin(samples)].reindex(samples)
    result = _survival(frame, table.name, report)
    for name, option in _CATEGORIES.items():
        column = column_of(frame, [option], name, table.name, needed=False)
        if column is not None:
            result[name] = category(frame[column])
    for name, option in _NUMBERS.items():
        column = column_of(frame, [option], name, table.name, needed=False)
        if column is not None:
            result[name] = lenient_numbers(frame[column], column, "clinical", report)
    if {"specimen_type", "blasts_bm", "blasts_pb"} <= set(result):
        marrow = (result["specimen_type"] == _MARROW).to_numpy()
        blood = result["specimen_type"].notna().to_numpy() & ~marrow
        own = result["blasts_bm"].where(marrow, result["blasts_pb"].where(blood))
        result["blast_percentage"] = own
    return result


def _survival(frame: pd.DataFrame, where: str, report: Report) -> pd.DataFrame:
    time_column = column_of(frame, ["overallSurvival"], "days of survival", where)
    event_column = column_of(frame, ["vitalStatus"], "vital status", where)
    raw = frame[time_column]
    none = (pd.to_numeric(raw, errors="coerce") == _NO_SURVIVAL).to_numpy()
    time = times(raw.mask(none), str(time_column), where)
    event = events(frame[event_column], str(event_column), where)
    report.add("clinical", frame.index[none], "overallSurvival is -1, so missing", outcome="kept")
    # The release writes 0 days where nothing is known of the patient.
    unknown = event.isna() & time.notna()
    report.add(
        "clinical", frame.index[unknown], "vital status unknown: no survival", outcome="kept"
    )
    untimed = event.notna() & time.isna() & ~none
    report.add("clinical", frame.index[untimed], "overallSurvival is missing", outcome="kept")
    return pd.DataFrame({TIME_KEY: time.mask(event.isna()), EVENT_KEY: event.mask(time.isna())})


def _report_losses(ids: pd.DataFrame, samples: pd.Index, report: Report) -> None:
    without = ids[RNA] == ""
    name = ids[DNA].where(ids[DNA] != "", "patient " + ids[PATIENT])
    report.add("clinical", name[without], "specimen without an RNA sample")
    other = ~without & ~ids[RNA].isin(samples)
    report.add("clinical", ids.loc[other, RNA], "RNA sample is not in the expression table")
    alone = samples[~samples.isin(ids[RNA])]
    report.add("expression", alone, "not in the clinical table", outcome="kept")


def one_per_patient(obs: pd.DataFrame) -> np.ndarray:
    """Tell which sample of each patient is taken: diagnosis first, then the earliest."""
    stage = obs["stage"].astype(str) if "stage" in obs else pd.Series("", index=obs.index)
    day = obs.get("days_from_first_specimen", pd.Series(np.nan, index=obs.index))
    order = pd.DataFrame(
        {
            "later": stage != "Initial Diagnosis",
            "day": day.fillna(np.inf),
            "sample": obs["sample"],
        }
    ).sort_values(["later", "day", "sample"])
    first = obs.loc[order.index].drop_duplicates("patient").index
    return np.asarray(obs.index.isin(first))
