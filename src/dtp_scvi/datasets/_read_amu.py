"""Read the published table of 160 genes and checkpoint-inhibitor response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi import __version__
from dtp_scvi._constants import AS_READ_LAYER, COHORT_KEY, RESPONSE_KEY
from dtp_scvi._logging import warn
from dtp_scvi._validate import shorten
from dtp_scvi.datasets._amu_rows import (
    INFERRED,
    LOW_CORRELATION,
    Copies,
    find_copies,
    row_table,
    study_table,
)
from dtp_scvi.datasets._amu_values import Shares, read_shares
from dtp_scvi.datasets._report import Report
from dtp_scvi.datasets._tables import file_records, read_table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Of 160 genes, four samples of the released table lack 48 to 135, the next one 37.
_MANY_ZEROS: Final = 0.25
_LEAK: Final = 0.25


def read_amu(
    path: str | Path | pd.DataFrame,
    *,
    annotation: str | Path | pd.DataFrame | None = None,
    genes: Iterable[str] | None = None,
) -> AnnData:
    """
    Read the AMU table of 160 genes and response, and say what is wrong with it.

    Every row is closed to a sum of 1: in the released file the response was in the total, so that
    the sum of a row gives its label away.

    Parameters
    ----------
    path
        ``four.csv``, or a mended or resampled table of the same layout: a gene a column, shares
        of a total (or -ln of them, zeros left at 0), and a column ``response`` or
        ``response_amu`` of 0 and 1.
    annotation
        Table with ``amu_label``, ``block``, ``sample``, ``recist`` and ``label_from_recist``, a
        row of the released 207 each; labels and patients are taken from it where it knows a
        sample.
    genes
        Genes to keep, in this order, matched through aliases; those missing are listed. ``None``
        takes all columns.

    Returns
    -------
    Annotated data, a row of the table each, with

    ``X``
        Shares that sum to 1, dense float64. Go on with
        :func:`dtp_scvi.pp.close_composition`.
    ``layers["as_read"]``
        Values of the file; :func:`dtp_scvi.pp.audit` shows the leak in it.
    ``obs``
        ``"response"`` (1, 0, NaN), ``"response_as_released"``, ``"patient"`` (one for all copies of a row, and for
        samples of one patient), ``"n_zeros"``, ``"many_zeros"`` (a quarter of the genes or more),
        ``"row_sum_as_read"``; ``"study"`` and ``"study_basis"`` where the rows are the released
        207; with an annotation ``"sample"`` and ``"recist"``.
    ``uns["dtp_cohort"]``
        ``"cohort"``, ``"reader"``, ``"version"``, ``"scale"``, ``"source"``, ``"files"``,
        ``"counts"``, ``"row_sum_auroc"`` (of the released label), ``"missing_genes"``,
        ``"studies"`` where they are inferred, and ``"report"``.

    Raises
    ------
    FileNotFoundError, KeyError, ValueError
        No such file; no response; labels other than 0 and 1; words, missing or negative values;
        rows that do not sum to about 1; an annotation of other rows; none of the genes.

    Notes
    -----
    No column of studies was released. ``"study"`` is **inferred** from the order of rows and the
    numbers of responders of each block, and ``"study_basis"`` says for which rows a sample name
    confirms it. A study whose mean profile correlates with those of the others by less than 0.5 (median)
    has its genes under wrong names, in all likelihood. What was found is warned of, in one warning.

    Examples
    --------
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> table = pd.DataFrame({"CD8A": [0.2, 0.6], "TNF": [0.8, 0.4], "response": [0, 1]})
    >>> adata = dtp.datasets.read_amu(table)
    >>> adata.shape, adata.obs["response"].tolist()
    ((2, 2), [0.0, 1.0])
    """
    table = read_table(path, "expression")
    report = Report()
    shares = read_shares(table, genes, report)
    notes = None if annotation is None else read_table(annotation, "annotation")
    copies = find_copies(shares.closed)
    obs = row_table(shares.label, copies, notes)
    obs["n_zeros"] = (shares.closed == 0).sum(axis=1)
    obs["many_zeros"] = obs["n_zeros"] >= _MANY_ZEROS * len(shares.genes)
    obs["row_sum_as_read"] = shares.sums.total
    adata = AnnData(
        shares.closed,
        obs=obs,
        var=pd.DataFrame(index=pd.Index(shares.genes)),
        layers={AS_READ_LAYER: shares.as_read},
    )
    record: dict[str, Any] = {
        "cohort": "AMU: melanoma, checkpoint inhibitors",
        "reader": "dtp_scvi.datasets.read_amu",
        "version": __version__,
        "scale": shares.scale,
        "source": "Tables released with AMU (Yin et al.); GSE78220, GSE91061 and others",
        "files": file_records([table] if notes is None else [table, notes]),
        "row_sum_auroc": shares.sums.auroc(shares.label == 1),
        "missing_genes": np.array(shares.missing, dtype=object),
    }
    if "study" in obs:
        record["studies"] = study_table(obs, shares.closed)
    record["counts"] = _counts(obs, copies, shares)
    _complain(table.name, obs, copies, shares, record, report)
    record["report"] = report.frame()
    adata.uns[COHORT_KEY] = record
    return adata


def _counts(obs: pd.DataFrame, copies: Copies, shares: Shares) -> dict[str, int]:
    label = obs[RESPONSE_KEY]
    changed = (label.notna() & (label != obs["response_as_released"])).sum()
    return {
        "samples": len(obs),
        "patients": int(obs["patient"].nunique()),
        "response": int((label == 1).sum()),
        "no_response": int((label == 0).sum()),
        "unknown": int(label.isna().sum()),
        "labels_changed": int(changed),
        "copies": copies.n,
        "rows_not_closed": shares.sums.n_open,
        "many_zeros": int(obs["many_zeros"].sum()),
    }


def _complain(
    name: str,
    obs: pd.DataFrame,
    copies: Copies,
    shares: Shares,
    record: dict[str, Any],
    report: Report,
) -> None:
    """Put every finding into the report, and the grave ones into one warning."""
    counts, found = record["counts"], []
    score = record["row_sum_auroc"]
    report.add(
        "expression", obs.index[shares.sums.deviation != 0], "did not sum to 1", outcome="kept"
    )
    if abs(score - 0.5) >= _LEAK:
        found.append(f"the row sum alone tells responders (AUROC {score:.3f}); rows were closed")
    repeated = copies.first != np.arange(len(obs))
    report.add("expression", obs.index[repeated], "a copy of another row", outcome="kept")
    if copies.n:
        found.append(f"{copies.n:,} rows are copies of another; keep a patient in one fold")
    report.add("expression", obs.index[obs["many_zeros"]], "many zeros", outcome="kept")
    if counts["many_zeros"]:
        found.append(f"{counts['many_zeros']} samples lack a quarter of the genes or more")
    report.add(
        "expression", obs.index[obs[RESPONSE_KEY].isna()], "response is not known", outcome="kept"
    )
    if shares.missing:
        found.append(f"{len(shares.missing)} genes are missing: {shorten(shares.missing)}")
    found += _study_findings(obs, record, report)
    if found:
        warn(f'{name}: {"; ".join(found)}. See uns["{COHORT_KEY}"]["report"].')


def _study_findings(obs: pd.DataFrame, record: dict[str, Any], report: Report) -> list[str]:
    if "study" not in obs:
        report.add(
            "expression", ["all"], "rows are not the released 207: no study", outcome="kept"
        )
        return []
    guessed = obs.index[obs["study_basis"] == INFERRED]
    report.add("expression", guessed, f"study {INFERRED}", outcome="kept")
    studies = record["studies"]
    odd = studies[studies["profile_correlation"] < LOW_CORRELATION]
    for name in odd["study"]:
        reason = "mean profile is unlike the others': genes under wrong names?"
        report.add("study", [name], reason, outcome="kept")
    return [
        f"genes of {name} look misnamed (its mean profile correlates by {value:.2f} with the others')"
        for name, value in zip(odd["study"], odd["profile_correlation"], strict=True)
    ]
