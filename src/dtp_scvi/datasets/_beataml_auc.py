"""The drug response of BeatAML, wide or as curve fits, on the samples of an expression table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import near_matches, problem, shorten
from dtp_scvi.datasets._beataml_links import DNA, PATIENT, RNA
from dtp_scvi.datasets._clinical_values import column_of, identifiers, is_missing
from dtp_scvi.datasets._join import check_joins

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dtp_scvi.datasets._beataml_links import Links
    from dtp_scvi.datasets._report import Report
    from dtp_scvi.datasets._tables import Table

AUC_LOW: Final = 0.0
AUC_HIGH: Final = 300.0
_TRUE: Final = frozenset({"true", "1", "1.0", "yes", "y"})
_FALSE: Final = frozenset({"false", "0", "0.0", "no", "n"})


def is_long(frame: pd.DataFrame) -> bool:
    """Tell whether a table lists one curve fit a row."""
    return {"inhibitor", "auc"} <= {str(name).lower() for name in frame.columns}


def long_auc(table: Table, report: Report, *, combinations: bool) -> pd.DataFrame:
    """
    Return patient, RNA and DNA sample, drug and AUC of the fits that count, one a row.

    Fits that the study left out, that did not converge, or, unless asked for, of drug
    combinations, are dropped where the table has the column that says so.
    """
    frame = table.frame
    if not is_long(frame):
        return _melt(table)
    result = pd.DataFrame(
        {
            PATIENT: identifiers(frame[column_of(frame, [PATIENT], "patients", table.name)]),
            RNA: _optional_ids(frame, RNA),
            DNA: _optional_ids(frame, DNA),
            "drug": frame[column_of(frame, ["inhibitor"], "drugs", table.name)].astype(str),
        }
    )
    column = column_of(frame, ["auc"], "AUC", table.name)
    result["auc"] = _numeric(frame[column], str(column), table.name, result["drug"])
    name = result[RNA].where(result[RNA] != "", result[DNA])
    name = name.where(name != "", "patient " + result[PATIENT])
    keep = np.ones(len(frame), bool)
    for flag, reason in (
        ("paper_inclusion", "curve fit that the study left out"),
        ("converged", "curve fit that did not converge"),
    ):
        column = column_of(frame, [flag], flag, table.name, needed=False)
        if column is not None:
            bad = keep & ~_truth(frame[column], column, table.name)
            report.add("auc", name[bad], reason)
            keep &= ~bad
    column = column_of(frame, ["type"], "type", table.name, needed=False)
    if column is not None and not combinations:
        bad = keep & (frame[column].astype(str).str.lower() != "single-agent").to_numpy()
        report.add("auc", name[bad], "combination of drugs")
        keep &= ~bad
    bad = keep & result["auc"].isna().to_numpy()
    report.add("auc", name[bad], "AUC is missing")
    kept = result.loc[keep & ~bad].reset_index(drop=True)
    # What the study left out may be anything.
    _check_scale(kept["auc"], "auc", table.name, name[keep & ~bad].reset_index(drop=True))
    return kept


def _melt(table: Table) -> pd.DataFrame:
    """Turn a table of patients (or samples) x drugs into one value a row."""
    frame = table.frame
    if frame.index.name is not None:
        frame = frame.reset_index()
    key = column_of(frame, [PATIENT], "patients", table.name, needed=False)
    kind = PATIENT
    if key is None:
        key = column_of(frame, [RNA], "samples", table.name, needed=False)
        kind = RNA
    if key is None:
        key, kind = column_of(frame, [PATIENT, RNA], "patients", table.name), PATIENT
    ids = identifiers(frame[key])
    repeated = ids[ids.duplicated()].unique()
    if len(repeated) or (ids == "").any():
        msg = problem(
            f"every {kind} of {table.name} once",
            f"{shorten(repeated)} twice or more" if len(repeated) else "rows without one",
            "Keep one row of each, or take the median over its rows.",
        )
        raise ValueError(msg)
    drugs = frame.drop(columns=key)
    values = {}
    for drug in drugs:
        numbers = _numeric(drugs[drug], str(drug), table.name, ids)
        _check_scale(numbers, str(drug), table.name, ids)
        values[str(drug)] = numbers.to_numpy()
    wide = pd.DataFrame(values, index=pd.Index(ids, name=kind)).rename_axis(columns="drug")
    tall = wide.stack(future_stack=True).rename("auc").dropna().reset_index()
    for other in (PATIENT, RNA, DNA):
        if other not in tall:
            tall[other] = ""
    return tall


def _optional_ids(frame: pd.DataFrame, name: str) -> pd.Series:
    column = column_of(frame, [name], name, "", needed=False)
    if column is None:
        return pd.Series("", index=frame.index, dtype=object)
    return identifiers(frame[column])


def _truth(values: pd.Series, column: str, where: str) -> np.ndarray:
    words = values.astype(str).str.lower().str.strip()
    strange = values[~words.isin(_TRUE | _FALSE) & ~values.map(is_missing)]
    if len(strange):
        msg = problem(
            f"true or false in column {column!r} of {where}",
            shorten(strange.unique()),
            "Mend or empty these cells.",
        )
        raise ValueError(msg)
    return words.isin(_TRUE).to_numpy()


def _numeric(values: pd.Series, column: str, where: str, names: pd.Series) -> pd.Series:
    """Return AUC as float64, or say which is text."""
    if values.isna().all():
        return pd.Series(np.nan, index=values.index, dtype=np.float64)
    if not pd.api.types.is_numeric_dtype(values.dtype) or values.dtype == bool:
        text = [(n, v) for n, v in zip(names, values, strict=True) if isinstance(v, str)]
        shown = [f"{value!r} for {name}" for name, value in text] or [str(values.dtype)]
        msg = problem(
            f"AUC as numbers in column {column!r} of {where}",
            shorten(shown, 3),
            "Convert the column with pandas.to_numeric, and look at what fails.",
        )
        raise ValueError(msg)
    return values.astype(np.float64)


def _check_scale(numbers: pd.Series, column: str, where: str, names: pd.Series) -> None:
    off = numbers.notna() & ~numbers.between(AUC_LOW, AUC_HIGH)
    if off.any():
        shown = [f"{v:g} for {n}" for n, v in zip(names[off], numbers[off], strict=True)]
        msg = problem(
            f"AUC between {AUC_LOW:g} and {AUC_HIGH:g} in column {column!r} of {where}",
            shorten(shown, 3),
            "Check the column: BeatAML gives the area under the viability curve in percent.",
        )
        raise ValueError(msg)


def pick_drugs(fits: pd.DataFrame, drugs: Sequence[str] | None) -> pd.DataFrame:
    """Return the fits of ``drugs``, in any case, under the names of the table."""
    if drugs is None:
        return fits
    known = {str(name).lower(): str(name) for name in fits["drug"].unique()}
    for drug in drugs:
        if drug.lower() not in known:
            msg = problem(
                "every one of `drugs` in the AUC table",
                repr(drug),
                near_matches(drug, known.values()),
            )
            raise KeyError(msg)
    return fits.loc[fits["drug"].isin([known[drug.lower()] for drug in drugs])]


def match_auc(
    fits: pd.DataFrame, links: Links, samples: pd.Index, report: Report, *, match: str
) -> tuple[pd.DataFrame, str]:
    """Return samples x drugs, the median over fits, and by what they were matched."""
    of_specimen = _specimens(fits, links)
    if match == "auto":
        match = "specimen" if (fits[[RNA, DNA]] != "").any(axis=None) else "patient"
    if match == "specimen":
        if (fits[[RNA, DNA]] == "").all(axis=None):
            msg = problem(
                "an AUC table that names specimens",
                "patients only",
                'Pass match="patient", which takes the median over the specimens of a patient.',
            )
            raise ValueError(msg)
        key, of_sample = of_specimen, pd.Series(samples, index=samples)
        what = "RNA samples"
    else:
        patient = fits[PATIENT].where(fits[PATIENT] != "", fits[RNA].map(links.patient_of))
        key = patient.fillna("")
        of_sample = pd.Series([links.patient_of[name] for name in samples], index=samples)
        what = "patients"
    check_joins(of_sample, key[key != ""], ("the expression", "the AUC table"), what)
    lost = ~key.isin(of_sample)
    name = key.where(key != "", fits[DNA]).where(lambda n: n != "", fits[PATIENT])
    nothing = lost & (key == "")
    report.add("auc", name[nothing], f"names none of the {what}")
    report.add("auc", name[lost & ~nothing], f"not among the {what} of the expression table")
    used = fits.loc[~lost].assign(key=key[~lost])
    n_fits = used.groupby(["key", "drug"]).size()
    several = n_fits[n_fits > 1].index.get_level_values("key")
    report.add("auc", several, "several fits of one drug; their median was taken", outcome="kept")
    wide = used.pivot_table(index="key", columns="drug", values="auc", aggfunc="median")
    auc = wide.reindex(of_sample.to_numpy()).set_axis(samples).rename_axis(columns=None)
    report.add("expression", samples[auc.isna().all(axis=1)], "no drug response", outcome="kept")
    gone = sorted(set(fits["drug"]) - set(wide.columns))
    report.add("auc", gone, "drug without a value on any sample")
    return auc.astype(np.float64), match


def _specimens(fits: pd.DataFrame, links: Links) -> pd.Series:
    """Return the RNA sample of each fit: as named, or by way of the DNA sample."""
    return fits[RNA].where(fits[RNA] != "", fits[DNA].map(links.rna_of).fillna(""))
