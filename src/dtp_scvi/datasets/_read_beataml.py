"""Read BeatAML: expression, ex-vivo drug response, survival, on the samples that join."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._constants import (
    COHORT_KEY,
    DRUG_AUC_KEY,
    EVENT_KEY,
    PATIENT_KEY,
    TIME_KEY,
)
from dtp_scvi._validate import check_one_of
from dtp_scvi.datasets._beataml_auc import AUC_HIGH, AUC_LOW, long_auc, match_auc, pick_drugs
from dtp_scvi.datasets._beataml_clinical import clinical_columns, one_per_patient
from dtp_scvi.datasets._beataml_links import link, map_columns, usable_samples
from dtp_scvi.datasets._read_bulk import name_genes, read_bulk, subset_rows
from dtp_scvi.datasets._report import Report
from dtp_scvi.datasets._tables import Table, file_records, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData

_SYMBOLS: Final = "display_label"
_SOURCE: Final = {
    "cohort": "BeatAML",
    "source": "BeatAML2, waves 1-4, https://biodev.github.io/BeatAML2/",
    "licence": "CC-BY-4.0",
    "attribution": (
        "Bottomly et al., Integrative analysis of drug response and clinical outcome in acute "
        "myeloid leukemia, Cancer Cell 40, 850-864 (2022), doi:10.1016/j.ccell.2022.07.002"
    ),
}
_UNITS: Final = {
    "auc_unit": "area under the viability curve (percent) over log10 concentration",
    "auc_low": AUC_LOW,
    "auc_high": AUC_HIGH,
    "direction": "higher_is_resistant",
    "time_unit": "days",
    "time_from": "diagnosis",
    "event": "1 died, 0 alive at last follow-up",
}


def read_beataml(
    expression: str | Path | pd.DataFrame,
    auc: str | Path | pd.DataFrame,
    clinical: str | Path | pd.DataFrame | None = None,
    sample_map: str | Path | pd.DataFrame | None = None,
    *,
    drugs: Sequence[str] | None = None,
    match: Literal["auto", "specimen", "patient"] = "auto",
    combinations: bool = False,
    one_sample_per_patient: bool = False,
) -> AnnData:
    """
    Read BeatAML into an AnnData of RNA samples with drug response and survival.

    The files of the release for waves 1-4 are read as they are, and so are tables cut from
    them. RNA samples (``BA2123R``), DNA samples and patients (``2000``) are joined by what the
    sample map, the clinical table and the curve fits say of each other; whatever finds no
    partner is listed with the reason.

    Parameters
    ----------
    expression
        ``beataml_waves1to4_norm_exp_dbgap.txt``, ``..._counts_dbgap.txt``, or any table of genes
        x RNA samples, as :func:`~dtp_scvi.datasets.read_bulk` takes it. Genes are named by ``display_label`` where
        there is one.
    auc
        ``beataml_probit_curve_fits_v4_dbgap.txt`` (one fit a row), or a table of patients
        (``dbgap_subject_id``) or RNA samples (``dbgap_rnaseq_sample``) x drugs.
    clinical
        ``beataml_wv1to4_clinical.xlsx`` (needs the extra ``cohort``) or the same as text.
    sample_map
        ``beataml_waves1to4_sample_mapping.xlsx``, or any table with ``dbgap_rnaseq_sample`` and
        ``dbgap_subject_id``. Not needed where ``clinical`` or ``auc`` names both.
    drugs
        Drugs to keep, in any case; all by default.
    match
        ``"specimen"`` gives a sample the response of its own specimen, ``"patient"`` the median
        over all specimens of its patient. By default by specimen where ``auc`` names any.
    combinations
        Whether to keep combinations of drugs, where ``auc`` has a column ``type``.
    one_sample_per_patient
        Whether to keep one sample of each patient: one of the initial diagnosis before any
        other, then the earliest, then the first by name. The response plays no part in it.

    Returns
    -------
    Annotated data, an RNA sample a row in the order of ``expression``, with

    ``X``
        Values as they are, dense float32. The normalised expression is on a log2 scale with
        negative values: it is **not** counts.
    ``obs``
        ``"sample"``, ``"patient"``, and, where a table has them, ``"time"`` (days from
        diagnosis), ``"event"`` (1 died, 0 alive), ``"wave"``, ``"stage"``, ``"specimen_type"``,
        ``"sex"``, ``"eln2017"``, ``"flt3_itd"``, ``"npm1"``, ``"fab"``, ``"age"`` (at
        diagnosis), ``"age_at_sampling"``, ``"days_from_first_specimen"``, ``"blasts_bm"``,
        ``"blasts_pb"``, ``"blast_percentage"`` (of the tissue that was sampled),
        ``"monocytes_pb"`` (percent), ``"wbc"``. Missing is NaN.
    ``obsm["drug_auc"]``
        Samples x drugs, float64, 0-300, **higher is more resistant**, NaN where not measured.
        A slash in a name of a drug becomes ``_``, as HDF5 allows none.
    ``uns["dtp_cohort"]``
        ``"cohort"``, ``"reader"``, ``"version"``, ``"source"``, ``"licence"``,
        ``"attribution"``, units (``"auc_unit"``, ``"auc_low"``, ``"auc_high"``,
        ``"direction"``, ``"time_unit"``, ``"time_from"``, ``"event"``), ``"expression_scale"``,
        ``"orientation"``, ``"match"``, ``"one_sample_per_patient"``, ``"files"`` (role, name,
        SHA-256, size), ``"counts"`` and ``"report"`` (``table``, ``id``, ``rows``,
        ``outcome``, ``reason``).

    Raises
    ------
    KeyError
        If a column or one of ``drugs`` is not there.
    ValueError
        If ids do not join (examples of both sides), an RNA sample has two patients, a patient
        has two rows in a wide ``auc``, AUC is text or outside 0-300, a time is negative or a
        vital status unheard of.

    Notes
    -----
    A patient may have several samples; pass ``obs["patient"]`` on as ``patient_key``. Matched by
    patient, they share one response.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> expression = pd.DataFrame({"BA1R": [5.1, 2.0], "BA2R": [4.0, -1.5]}, index=["CD34", "KIT"])
    >>> auc = pd.DataFrame({"dbgap_subject_id": [11], "Venetoclax": [85.5]})
    >>> who = pd.DataFrame({"dbgap_rnaseq_sample": ["BA1R", "BA2R"], "dbgap_subject_id": [11, 12]})
    >>> cohort = dtp.datasets.read_beataml(expression, auc, sample_map=who)
    >>> cohort.obs["patient"].tolist(), cohort.obsm["drug_auc"]["Venetoclax"].tolist()
    (['11', '12'], [85.5, nan])
    """
    check_one_of(match, ("auto", "specimen", "patient"), "match")
    tables = _read_tables(auc, clinical, sample_map)
    report = Report()
    fits = pick_drugs(long_auc(tables["auc"], report, combinations=combinations), drugs)
    adata = _read_expression(expression, report)
    links = link([table for role, table in tables.items() if role != "auc"], tables["auc"])
    usable = usable_samples(adata.obs_names, links, report)
    adata = subset_rows(adata, adata.obs_names.isin(usable))
    response, match_used = match_auc(fits, links, adata.obs_names, report, match=match)
    adata.obs = _obs(adata.obs_names, links.patient_of, tables, report)
    adata.obsm[DRUG_AUC_KEY] = _storable(response, report)
    if one_sample_per_patient:
        keep = one_per_patient(adata.obs)
        reason = "another sample of its patient was taken"
        report.add("expression", adata.obs_names[~keep], reason)
        adata = subset_rows(adata, keep)
        adata.obs[PATIENT_KEY] = adata.obs[PATIENT_KEY].cat.remove_unused_categories()
    _report_several(adata.obs, report)
    adata.uns[COHORT_KEY].update(
        _SOURCE
        | _UNITS
        | {
            "reader": "dtp_scvi.datasets.read_beataml",
            "version": __version__,
            "expression_scale": _scale(np.asarray(adata.X)),
            "match": match_used,
            "one_sample_per_patient": one_sample_per_patient,
            "files": _files(adata, tables),
            "counts": _counts(adata),
            "report": report.frame(),
        }
    )
    return adata


def _read_tables(auc: Any, clinical: Any, sample_map: Any) -> dict[str, Table]:
    sources = {"auc": auc, "clinical": clinical, "sample_map": sample_map}
    return {
        role: read_table(source, role) for role, source in sources.items() if source is not None
    }


def _read_expression(expression: Any, report: Report) -> AnnData:
    adata = read_bulk(expression)
    if _SYMBOLS in adata.var:
        name_genes(adata, _SYMBOLS)
    report.extend(adata.uns[COHORT_KEY]["report"])
    return adata


def _obs(
    samples: pd.Index, patient_of: dict[str, str], tables: dict[str, Table], report: Report
) -> pd.DataFrame:
    obs = pd.DataFrame({"sample": samples.astype(str)}, index=samples)
    obs[PATIENT_KEY] = pd.Categorical([patient_of[name] for name in samples])
    if "clinical" in tables:
        obs = obs.join(clinical_columns(tables["clinical"], samples, report))
    if "sample_map" in tables:
        mapped = map_columns(tables["sample_map"], samples, report)
        obs = obs.join(mapped[[name for name in mapped if name not in obs]])
    return obs


def _storable(response: pd.DataFrame, report: Report) -> pd.DataFrame:
    slashed = [name for name in response if "/" in str(name)]
    report.add("auc", slashed, "drug; a slash in its name became _", outcome="kept")
    return response.rename(columns={name: str(name).replace("/", "_") for name in slashed})


def _report_several(obs: pd.DataFrame, report: Report) -> None:
    several = obs[PATIENT_KEY].duplicated(keep=False)
    names = obs.loc[several, PATIENT_KEY].astype(str)
    report.add("expression", names, "patient with several samples", outcome="kept")


def _scale(matrix: np.ndarray) -> str:
    whole = bool(np.all((matrix >= 0) & (matrix == np.round(matrix))))
    return "counts" if whole else "log2 normalised, may be negative"


def _files(adata: AnnData, tables: dict[str, Table]) -> pd.DataFrame:
    files = pd.concat([adata.uns[COHORT_KEY]["files"], file_records(list(tables.values()))])
    return files.set_axis([str(number) for number in range(len(files))])


def _counts(adata: AnnData) -> dict[str, int]:
    obs, auc = adata.obs, adata.obsm[DRUG_AUC_KEY]
    patients = obs[PATIENT_KEY].astype(str)
    counts = {
        "samples": adata.n_obs,
        "patients": int(patients.nunique()),
        "patients_with_several_samples": int((patients.value_counts() > 1).sum()),
        "drugs": auc.shape[1],
        "auc_values": int(auc.notna().to_numpy().sum()),
        "patients_with_auc": int(patients[auc.notna().any(axis=1)].nunique()),
    }
    if TIME_KEY in obs:
        usable = obs[[TIME_KEY, EVENT_KEY]].notna().all(axis=1)
        first = ~patients[usable].duplicated()
        counts["patients_with_survival"] = int(first.sum())
        counts["patients_with_event"] = int(obs.loc[usable, EVENT_KEY][first].sum())
    return counts
