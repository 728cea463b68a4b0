"""Read TCGA-LAML: bulk expression with survival."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._constants import COHORT_KEY, EVENT_KEY, PATIENT_KEY, TIME_KEY
from dtp_scvi._validate import check_one_of, problem, shorten
from dtp_scvi.datasets._clinical_values import category, column_of, lenient_numbers
from dtp_scvi.datasets._join import check_joins
from dtp_scvi.datasets._read_bulk import read_bulk
from dtp_scvi.datasets._read_clinical import clinical_frame
from dtp_scvi.datasets._report import Report
from dtp_scvi.datasets._tables import file_records, read_table

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

_BARCODE: Final = re.compile(r"^(TCGA[-.]\w{2}[-.]\w{4})(?:[-.]|$)", re.IGNORECASE)
_NUMBERS: Final = {
    "age": ("Diagnosis Age", "AGE"),
    "blast_percentage": ("Bone Marrow Blast Percentage", "BM_BLAST_PERCENTAGE"),
    "blasts_pb": ("PB Blast Percentage", "PB_BLAST_PERCENTAGE"),
    "wbc": ("WBC",),
}
_CATEGORIES: Final = {
    "sex": ("Sex", "SEX"),
    "fab": ("FAB",),
    "risk": ("Risk1", "Risk (Molecular)", "RISK_MOLECULAR"),
    "risk_cytogenetic": ("Risk (Cyto)", "RISK_CYTO"),
    "cytogenetics": ("Abnormality", "Cytogenetics", "CYTOGENETICS"),
}


def read_tcga_laml(
    expression: str | Path | pd.DataFrame,
    clinical: str | Path | pd.DataFrame,
    *,
    endpoint: Literal["os", "dfs"] = "os",
) -> AnnData:
    """
    Read TCGA-LAML into an AnnData of samples with overall or disease-free survival.

    Parameters
    ----------
    expression
        Genes x samples, or the other way round, as :func:`~dtp_scvi.datasets.read_bulk` takes it; samples are named
        by barcodes (``TCGA-AB-2802``, with or without what follows).
    clinical
        Clinical table as :func:`~dtp_scvi.datasets.read_clinical` takes it: of cBioPortal, or a plain table of
        patient, ``Time`` (days) and ``Dead``.
    endpoint
        ``"os"``, or ``"dfs"`` where the table has it.

    Returns
    -------
    Annotated data, a sample of ``expression`` a row, with

    ``X``
        Values as they are, dense float32.
    ``obs``
        ``"sample"``, ``"patient"``, ``"time"`` (days), ``"event"`` (1 happened, 0 censored) and,
        where the table has them, ``"age"``, ``"sex"``, ``"fab"``, ``"risk"``,
        ``"risk_cytogenetic"``, ``"cytogenetics"``, ``"blast_percentage"`` (marrow),
        ``"blasts_pb"``, ``"wbc"``. Missing values are NaN.
    ``uns["dtp_cohort"]``
        ``"cohort"``, ``"reader"``, ``"version"``, ``"orientation"``, ``"time_unit"``,
        ``"endpoint"``, ``"source"``, ``"attribution"``, ``"files"``, ``"counts"`` and
        ``"report"``, with every row that found no partner.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        As :func:`~dtp_scvi.datasets.read_bulk` and :func:`~dtp_scvi.datasets.read_clinical` do; names that are no barcodes; two
        samples of one patient; no patient on both sides.

    Notes
    -----
    Published tables of this cohort differ in follow-up: compare them before you pool them.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> genes = pd.DataFrame({"TCGA-AB-0001": [1.0, 2.0], "TCGA-AB-0002": [0.5, 4.0]})
    >>> survival = pd.DataFrame({"PatientID": ["TCGA-AB-0001"], "Time": [400.0], "Dead": [1]})
    >>> cohort = dtp.datasets.read_tcga_laml(genes.set_axis(["CD34", "KIT"]), survival)
    >>> cohort.obs[["time", "event"]].to_numpy().tolist()
    [[400.0, 1.0], [nan, nan]]
    """
    check_one_of(endpoint, ("os", "dfs"), "endpoint")
    adata = read_bulk(expression)
    table = read_table(clinical, "clinical")
    report = Report()
    report.extend(adata.uns[COHORT_KEY]["report"])
    patients = _patients(adata.obs_names, "expression")
    survival = clinical_frame(table.frame, table.name, endpoint=endpoint)
    survival.index = pd.Index(_patients(pd.Index(survival[PATIENT_KEY]), table.name))
    survival = survival.loc[~survival.index.duplicated()]
    check_joins(patients, survival.index, ("the expression", table.name), "patients")
    found = survival.reindex(patients).set_axis(adata.obs_names)
    adata.obs = _obs(found, patients, table.name, report)
    _report_losses(adata.obs, patients, survival, report)
    usable = adata.obs[[TIME_KEY, EVENT_KEY]].notna().all(axis=1)
    adata.uns[COHORT_KEY].update(
        {
            "cohort": "TCGA-LAML",
            "reader": "dtp_scvi.datasets.read_tcga_laml",
            "version": __version__,
            "time_unit": "days",
            "endpoint": endpoint,
            "source": "The Cancer Genome Atlas, acute myeloid leukemia (cBioPortal laml_tcga_pub)",
            "attribution": "The Cancer Genome Atlas Research Network, N Engl J Med 368:2059 (2013)",
            "files": pd.concat(
                [adata.uns[COHORT_KEY]["files"], file_records([table]).set_axis(["1"])]
            ),
            "counts": {
                "samples": adata.n_obs,
                "patients": len(set(patients)),
                "with_survival": int(usable.sum()),
                "events": int(adata.obs.loc[usable, EVENT_KEY].sum()),
            },
            "report": report.frame(),
        }
    )
    return adata


def _patients(names: pd.Index, where: str) -> list[str]:
    """Return the patient in each barcode; every one once."""
    found = [_BARCODE.match(str(name)) for name in names]
    strange = [str(name) for name, match in zip(names, found, strict=True) if match is None]
    if strange:
        msg = problem(
            f"barcodes like TCGA-AB-2802 in {where}", shorten(strange), "Check the names."
        )
        raise ValueError(msg)
    patients = pd.Index([match[1].upper().replace(".", "-") for match in found if match])
    if where == "expression" and patients.has_duplicates:
        msg = problem(
            "one sample a patient",
            f"several of {shorten(patients[patients.duplicated()].unique())}",
            "Keep one sample of each patient.",
        )
        raise ValueError(msg)
    return list(patients)


def _obs(found: pd.DataFrame, patients: list[str], where: str, report: Report) -> pd.DataFrame:
    obs = pd.DataFrame({"sample": found.index.astype(str)}, index=found.index)
    obs[PATIENT_KEY] = pd.Categorical(patients)
    obs[TIME_KEY] = found[TIME_KEY].astype(np.float64)
    obs[EVENT_KEY] = found[EVENT_KEY].astype(np.float64)
    for name, options in _NUMBERS.items():
        column = column_of(found, options, name, where, needed=False)
        if column is not None:
            obs[name] = lenient_numbers(found[column], column, "clinical", report)
    for name, options in _CATEGORIES.items():
        column = column_of(found, options, name, where, needed=False)
        if column is not None:
            obs[name] = category(found[column])
    return obs


def _report_losses(
    obs: pd.DataFrame, patients: list[str], survival: pd.DataFrame, report: Report
) -> None:
    known = pd.Index(patients)
    alone = obs.index[~known.isin(survival.index)]
    report.add("expression", alone, "patient is not in the clinical table", outcome="kept")
    half = obs.index[known.isin(survival.index) & obs[[TIME_KEY, EVENT_KEY]].isna().any(axis=1)]
    report.add("expression", half, "time or event is missing", outcome="kept")
    report.add("clinical", survival.index[~survival.index.isin(known)], "no expression")
