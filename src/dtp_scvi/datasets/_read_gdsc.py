"""Read cell lines with expression, ln IC50 and labels of GDSC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anndata as ad
import pandas as pd
from anndata import AnnData

from dtp_scvi import __version__
from dtp_scvi._constants import COHORT_KEY, LN_IC50_KEY, RESPONSE_KEY
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_file, check_key, check_one_of, problem, shorten
from dtp_scvi.data import check_object, detect_scale
from dtp_scvi.datasets._gdsc_drugs import (
    Repeated,
    check_unit,
    name_drugs,
    pick_drugs,
    read_drug_table,
)
from dtp_scvi.datasets._gdsc_labels import (
    CLASSES,
    contradicted,
    drop_unmeasured,
    join_labels,
    line_ids,
    read_labels,
    refuse_contradicted,
)
from dtp_scvi.datasets._report import Report
from dtp_scvi.datasets._tables import Table, file_records, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_gdsc(
    expression: str | Path | AnnData,
    *,
    labels: str | Path | pd.DataFrame | None = None,
    drug_table: str | Path | pd.DataFrame | None = None,
    drugs: str | Sequence[str] | None = None,
    line_key: str = "cosmic_id",
    repeated: Repeated = "most",
    unmeasured: Literal["drop", "keep"] = "drop",
    on_contradiction: Literal["drop", "keep", "error"] = "drop",
) -> AnnData:
    """
    Read cell lines with drug response, and drop labels that no measurement stands behind.

    Parameters
    ----------
    expression
        Lines x genes as h5ad or AnnData, with ``obsm["ln_ic50"]``: a table of lines x drugs of
        ln(IC50 in µM), missing where a line was not measured.
    labels
        Table of lines x drugs with ``resistant``, ``sensitive`` or nothing; lines are named by
        COSMIC id, with or without a prefix (``DATA.906793``). Released tables are complete, so
        labels of pairs that were never measured have been filled in.
    drug_table
        Table with ``gdsc_id``, as columns of ``obsm["ln_ic50"]`` are called, ``name``, and
        whatever else is known (SMILES, targets). ``None`` takes the columns for names.
    drugs
        Drugs to keep, by name in any spelling (``PLX4720``, ``PLX-4720``), or by id.
    line_key
        Column of ``obs`` with the COSMIC id of a line.
    repeated
        What to do with a drug that was screened more than once: ``"most"`` takes each line's value
        from the screen with most lines, or from the next where that did not measure it;
        ``"mean"`` the mean of what was measured; ``"separate"`` keeps them apart as
        ``"name [id]"``.
    unmeasured
        What to do with labels where there is no IC50: ``"keep"`` is there to reproduce work that
        used them.
    on_contradiction
        What to do with drugs whose resistant lines have the lower median IC50.

    Returns
    -------
    Annotated data, a line a row, with

    ``X``
        Expression as read; its scale is in the record.
    ``obsm["ln_ic50"]``
        Lines x drugs, float64, columns named by drug (``/`` becomes ``-``); missing where not
        measured.
    ``obsm["response"]``
        Lines x drugs with labels: categories ``"resistant"`` and ``"sensitive"``; missing where
        there is no label. Only with ``labels``.
    ``uns["dtp_cohort"]``
        ``"cohort"``, ``"reader"``, ``"version"``, ``"scale"``, ``"files"``, ``"drugs"`` (the drug
        table by name), ``"counts"`` (lines, drugs, and labels read, dropped and kept) and
        ``"report"``.

    Raises
    ------
    FileNotFoundError, KeyError
        No such file; no ``obsm["ln_ic50"]``, no ``line_key``, or a drug that is not there.
    ValueError
        IC50 in another unit; lines or drugs that are there twice; no line in common; other words
        than the two; labels of most drugs, or with ``on_contradiction="error"`` of any, the wrong
        way round.

    Warns
    -----
    UserWarning
        When labels were kept without a measurement, or drugs run against their IC50.

    Notes
    -----
    A label says on which side of a drug's own threshold a line lies. Tables by different authors
    rest on different screens and thresholds: ``drug_table`` may hold ``ln_ic50_threshold``, which is
    kept in the record and not applied.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> lines = ad.AnnData(np.ones((3, 2), np.float32))
    >>> lines.obs["cosmic_id"] = ["11", "12", "13"]
    >>> ic50 = pd.DataFrame({"Drug-A": [-1.0, 2.0, np.nan]}, index=lines.obs_names)
    >>> lines.obsm["ln_ic50"] = ic50
    >>> words = ["sensitive", "resistant", "resistant"]
    >>> table = pd.DataFrame({"DRUG.A": words}, index=["DATA.11", "DATA.12", "DATA.13"])
    >>> read = dtp.datasets.read_gdsc(lines, labels=table)
    >>> read.obsm["response"]["Drug-A"].tolist()
    ['sensitive', 'resistant', nan]
    >>> read.uns["dtp_cohort"]["counts"]["labels_unmeasured"]
    1
    """
    check_one_of(repeated, ("most", "mean", "separate"), "repeated")
    check_one_of(unmeasured, ("drop", "keep"), "unmeasured")
    check_one_of(on_contradiction, ("drop", "keep", "error"), "on_contradiction")
    adata, tables = _lines(expression), []
    report = Report()
    ic50 = _measured(adata)
    if drug_table is None:
        known = pd.DataFrame({"gdsc_id": ic50.columns, "name": ic50.columns})
        where = "obsm['ln_ic50']"
    else:
        tables.append(read_table(drug_table, "drugs"))
        known, where = tables[-1].frame, tables[-1].name
    ic50, described = name_drugs(
        ic50, read_drug_table(known, ic50.columns, where), repeated, report
    )
    if drugs is not None:
        chosen = pick_drugs(described, drugs)
        ic50, described = ic50[chosen], described.loc[chosen]
    counts = {"lines": adata.n_obs, "drugs": ic50.shape[1], "measured": int(ic50.count().sum())}
    if labels is not None:
        tables.append(read_table(labels, "labels", named_rows=True))
        check_key(adata.obs, line_key, "adata.obs", "line_key")
        ids = line_ids(adata.obs[line_key], line_key)
        words = read_labels(tables[-1].frame, tables[-1].name)
        if drugs is not None:
            words = words.loc[:, words.columns.isin(described["word"])]
        joined = join_labels(words, ids, adata.obs_names, described, tables[-1].name, report)
        found = _settle(joined, ic50, report, unmeasured, on_contradiction)
        adata.obsm[RESPONSE_KEY] = _categories(found)
        counts |= _counts(words, joined, ic50, found)
    adata.obsm[LN_IC50_KEY] = ic50
    adata.uns[COHORT_KEY] = _record(adata, described, tables, counts, report)
    return adata


def _lines(expression: str | Path | AnnData) -> AnnData:
    if isinstance(expression, AnnData):
        check_object(expression, view=True)
        return expression.copy()
    path = Path(expression)
    check_file(path, "cell lines as .h5ad")
    return ad.read_h5ad(path)


def _measured(adata: AnnData) -> pd.DataFrame:
    """Return ln IC50 as a table with unique columns, in the unit it should have."""
    check_key(adata.obsm, LN_IC50_KEY, "adata.obsm", "ln_ic50")
    frame = adata.obsm[LN_IC50_KEY]
    if not isinstance(frame, pd.DataFrame):
        msg = problem(
            f'a DataFrame in obsm["{LN_IC50_KEY}"], one named column a drug',
            type(frame).__name__,
            "Name the columns: pd.DataFrame(values, index=adata.obs_names, columns=drugs).",
        )
        raise TypeError(msg)
    ic50 = frame.astype("float64")
    ic50.columns = ic50.columns.astype(str)
    twice = ic50.columns[ic50.columns.duplicated()]
    if len(twice):
        msg = problem(
            f'each drug once in obsm["{LN_IC50_KEY}"]',
            f"{shorten(twice)} again",
            "Name screens apart by their ids, and pass `drug_table` with their names.",
        )
        raise ValueError(msg)
    check_unit(ic50.to_numpy())
    return ic50


def _settle(
    joined: pd.DataFrame,
    ic50: pd.DataFrame,
    report: Report,
    unmeasured: str,
    on_contradiction: str,
) -> pd.DataFrame:
    """Leave out what no measurement stands behind, or say that it was kept."""
    kept = drop_unmeasured(joined, ic50, report) if unmeasured == "drop" else joined
    if unmeasured == "keep":
        n = int((joined.notna() & ic50.isna()).sum().sum())
        warn(f"{n:,} labels were kept though no IC50 of that line and drug was measured.")
    wrong = contradicted(kept, ic50)
    if wrong and on_contradiction == "error":
        refuse_contradicted(wrong)
    for drug in wrong:
        lines, reason = [drug] * int(kept[drug].count()), "labels run against the IC50"
        report.add(
            "labels", lines, reason, outcome="kept" if on_contradiction == "keep" else "dropped"
        )
    if wrong:
        done = "kept" if on_contradiction == "keep" else "dropped"
        warn(
            f"Resistant lines have the lower median IC50 for {shorten(wrong, 10)}; the labels of "
            f"these drugs were {done}."
        )
    if on_contradiction == "drop":
        kept = kept.drop(columns=wrong)
    return kept.loc[:, kept.notna().any()]


def _categories(found: pd.DataFrame) -> pd.DataFrame:
    """Two named classes a column; plain text would not survive writing where labels are missing."""
    kind = pd.CategoricalDtype(list(CLASSES))
    return pd.DataFrame(
        {name: pd.Categorical(found[name], dtype=kind) for name in found}, index=found.index
    )


def _counts(
    words: pd.DataFrame, joined: pd.DataFrame, ic50: pd.DataFrame, found: pd.DataFrame
) -> dict[str, int]:
    read, kept = int(words.count().sum()), int(found.count().sum())
    return {
        "lines_joined": int(joined.notna().any(axis=1).sum()),
        "drugs_labelled": found.shape[1],
        "labels_read": read,
        "labels_unmeasured": int((joined.notna() & ic50.isna()).sum().sum()),
        "labels_kept": kept,
        "labels_dropped": read - kept,
    }


def _record(
    adata: AnnData,
    drugs: pd.DataFrame,
    tables: list[Table],
    counts: dict[str, int],
    report: Report,
) -> dict[str, Any]:
    words = drugs.drop(columns="word").select_dtypes(exclude="number").columns
    return {
        "cohort": "Cell lines with GDSC drug response",
        "reader": "dtp_scvi.datasets.read_gdsc",
        "version": __version__,
        "scale": str(detect_scale(adata.X).scale),
        "response_unit": "ln(IC50 in µM)",
        "drugs": drugs.drop(columns="word")
        .fillna(dict.fromkeys(words, ""))
        .astype(dict.fromkeys(words, "str")),
        "files": file_records(tables),
        "counts": counts,
        "report": report.frame(),
    }
