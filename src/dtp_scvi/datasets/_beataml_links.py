"""Which RNA sample of BeatAML belongs to which patient and which DNA sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd

from dtp_scvi._validate import problem
from dtp_scvi.datasets._clinical_values import category, column_of, identifiers
from dtp_scvi.datasets._join import check_joins, unique_links

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dtp_scvi.datasets._report import Report
    from dtp_scvi.datasets._tables import Table

PATIENT: Final = "dbgap_subject_id"
RNA: Final = "dbgap_rnaseq_sample"
DNA: Final = "dbgap_dnaseq_sample"
_CONTROL: Final = "rna_control"


@dataclass(frozen=True)
class Links:
    """RNA sample -> patient, DNA sample -> RNA sample, and RNA samples of healthy people."""

    patient_of: dict[str, str]
    rna_of: dict[str, str]
    controls: frozenset[str]


def id_columns(table: Table, needed: Sequence[str] = (RNA,)) -> pd.DataFrame:
    """Return patient, RNA and DNA sample of every row as text, empty where there is none."""
    columns = {
        name: column_of(table.frame, [name], "ids", table.name, needed=name in needed)
        for name in (PATIENT, RNA, DNA)
    }
    blank = pd.Series("", index=table.frame.index, dtype=object)
    return pd.DataFrame(
        {name: blank if c is None else identifiers(table.frame[c]) for name, c in columns.items()}
    )


def link(tables: list[Table], auc: Table) -> Links:
    """
    Collect who is who from the sample map, the clinical table and the curve fits, used or not.

    Raises
    ------
    ValueError
        If an RNA sample has two patients.
    """
    pairs = [id_columns(table) for table in tables]
    everything = pd.concat([*pairs, id_columns(auc, needed=())], ignore_index=True)
    where = ", ".join(table.name for table in (*tables, auc))
    controls: set[str] = set()
    for table, ids in zip(tables, pairs, strict=True):
        column = column_of(table.frame, [_CONTROL], "controls", table.name, needed=False)
        if column is not None:
            healthy = table.frame[column].astype(str).str.lower().str.startswith("healthy")
            controls |= set(ids.loc[healthy, RNA])
    # A specimen may have been sequenced twice; its DNA sample then leads to no one RNA sample.
    specimens = everything.loc[(everything[RNA] != "") & (everything[DNA] != "")]
    clear = specimens.groupby(DNA)[RNA].transform("nunique") == 1
    return Links(
        unique_links(everything, RNA, PATIENT, where),
        unique_links(specimens[clear], DNA, RNA, where),
        frozenset(controls),
    )


def usable_samples(samples: pd.Index, links: Links, report: Report) -> pd.Index:
    """Return the samples that have a patient and are no healthy control."""
    if not links.patient_of:
        msg = problem(
            "a table that says which RNA sample is of which patient",
            "none",
            "Pass `sample_map` or `clinical`.",
        )
        raise ValueError(msg)
    check_joins(samples, links.patient_of, ("the expression", "the tables of ids"), "RNA samples")
    control = samples.isin(links.controls)
    unknown = ~samples.isin(list(links.patient_of)) & ~control
    report.add("expression", samples[control], "healthy control")
    report.add("expression", samples[unknown], "no table says which patient it is of")
    return samples[~(control | unknown)]


def map_columns(table: Table, samples: pd.Index, report: Report) -> pd.DataFrame:
    """Return wave and stage of ``samples`` as the sample map has them."""
    ids = id_columns(table)
    lost = ids.loc[~ids[RNA].isin(samples)]
    name = lost[RNA].where(lost[RNA] != "", "patient " + lost[PATIENT])
    report.add("sample_map", name, "not among the samples that are kept")
    frame = table.frame.set_axis(pd.Index(ids[RNA], name=None))
    frame = frame.loc[~frame.index.duplicated()].reindex(samples)
    result = pd.DataFrame(index=samples)
    for key, option in (("wave", "cohort"), ("stage", "diseaseStageAtSpecimenCollection")):
        column = column_of(frame, [option], key, table.name, needed=False)
        if column is not None:
            result[key] = category(frame[column])
    return result
