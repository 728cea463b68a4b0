"""Read dependency screens of DepMap: gene effect or dependency by line, and the lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import problem, shorten
from dtp_scvi.datasets._evidence_file import find_columns, read_evidence
from dtp_scvi.datasets._gene_rows import GENE, name_genes, sign

if TYPE_CHECKING:
    from dtp_scvi.datasets._evidence_file import Source
    from dtp_scvi.datasets._gene_rows import GeneNames
    from dtp_scvi.datasets._tables import Table

MODEL: Final = "model"
# "A1BG (1)", and what R makes of it.
_GENE_COLUMN: Final = re.compile(r"^(\S+?)(?: \((?:\d+|nan|unknown)\)|\.\.\d+\.)$", re.IGNORECASE)
_MODEL_ID: Final = re.compile(r"^(ACH|SIDM|PDO)[-_]?\d+$", re.IGNORECASE)
_IDS: Final = ("modelid", "depmapid", "broadid", "achillesid")
_MODEL_COLUMNS: Final = {
    MODEL: _IDS,
    "disease": ("oncotreeprimarydisease", "primarydisease", "disease"),
    "lineage": ("oncotreelineage", "lineage", "lineage1", "sampletissue", "tissue"),
    "subtype": ("oncotreesubtype", "subtype", "diseasesubtype", "lineagesubtype", "lineage3"),
    "name": ("strippedcelllinename", "celllinename", "celllinedisplayname"),
}


def plain_symbol(name: object) -> str:
    """Return the symbol in ``"SYMBOL (ENTREZ)"``, or the name as it is."""
    text = str(name).strip()
    found = _GENE_COLUMN.match(text)
    return found[1] if found else text


def read_depmap_effect(path: Source) -> pd.DataFrame:
    """
    Read ``CRISPRGeneEffect.csv`` or ``CRISPRGeneDependency.csv`` of DepMap.

    Parameters
    ----------
    path
        The file as it is, gzipped or zipped: models in rows, columns ``SYMBOL (ENTREZ)``. Plain
        symbols are taken as well. Or such a table in memory, models as its index.

    Returns
    -------
    Models x genes, float32, rows named by ``model`` (``ACH-000001``), columns by approved symbol
    ``gene``, NaN where not measured. Gene effect: 0 none, about -1 the median of common essential
    genes; dependency: probability that the line depends on the gene.
    ``attrs["dtp_report"]`` as in :func:`~dtp_scvi.datasets.read_hpa`, where rows are genes; and
    ``kind`` (``"depmap_effect"`` or, with all values in [0, 1], ``"depmap_dependency"``),
    ``models`` and ``columns_ignored`` (those of text, such as names of lines).

    Raises
    ------
    ValueError
        When the table lies on its side (genes in rows), a model is there twice, or no column is
        named after a gene.

    Notes
    -----
    Several columns of one gene are averaged, unless one of them has the approved symbol: then
    that one stays, and the others are listed as superseded.

    Examples
    --------
    >>> import pandas as pd
    >>> from dtp_scvi import datasets
    >>> effect = pd.DataFrame({"FLT3 (2322)": [-1.25, 0.0]}, index=["ACH-000001", "ACH-000002"])
    >>> datasets.read_depmap_effect(effect)["FLT3"].tolist()
    [-1.25, 0.0]
    """
    what = "DepMap's CRISPRGeneEffect.csv or CRISPRGeneDependency.csv"
    table = read_evidence(path, "gene_effect", what, named_rows=True)
    frame, ignored = _models_in_rows(table)
    _check_models(frame, table)
    names = name_genes([plain_symbol(name) for name in frame.columns], None, table.name)
    out = _merge_columns(frame, names)
    values = out.to_numpy()
    inside = bool(np.nanmin(values) >= 0 and np.nanmax(values) <= 1)
    kind = "depmap_dependency" if inside else "depmap_effect"
    return sign(out, kind, table, names.report, models=len(out), columns_ignored=ignored)


def _models_in_rows(table: Table) -> tuple[pd.DataFrame, list[str]]:
    """Return the columns of numbers, rows named by model; raise where genes are in rows."""
    frame = table.frame
    found, _ = find_columns(frame, {MODEL: _IDS})
    if found and not frame.index.astype(str).str.match(_MODEL_ID).any():
        frame = frame.set_index(found[MODEL])
    rows, columns = list(map(str, frame.index[:500])), list(map(str, frame.columns[:500]))
    genes_down = sum(bool(_GENE_COLUMN.match(name)) for name in rows)
    models_across = sum(bool(_MODEL_ID.match(name)) for name in columns)
    if genes_down > len(rows) / 2 or models_across > len(columns) / 2:
        msg = problem(
            f"models in rows and genes in columns of {table.name}",
            f"{shorten(rows, 3)} down and {shorten(columns, 3)} across",
            "The table lies on its side: transpose it (`table.T`).",
        )
        raise ValueError(msg)
    numeric = frame.select_dtypes(np.number)
    ignored = [str(name) for name in frame.columns if name not in numeric.columns]
    if numeric.shape[1] == 0:
        msg = problem(
            f"columns of numbers in {table.name}", shorten(columns, 4), "Check the file."
        )
        raise ValueError(msg)
    return numeric, ignored


def _check_models(frame: pd.DataFrame, table: Table) -> None:
    twice = frame.index[frame.index.duplicated()]
    if len(twice):
        msg = problem(
            f"each model once in {table.name}",
            f"{shorten(twice)} several times",
            "Keep one row of each, or average them.",
        )
        raise ValueError(msg)


def _merge_columns(frame: pd.DataFrame, names: GeneNames) -> pd.DataFrame:
    out = frame.loc[:, names.kept].astype(np.float32)
    out.columns = pd.Index(names.symbol[names.kept], name=GENE, dtype=object)
    out.index = pd.Index(out.index.astype(str), name=MODEL)
    twice = out.columns.duplicated(keep=False)
    names.report["merged"] = sorted(set(out.columns[twice]))
    names.report["merge_rule"] = "mean"
    if twice.any():
        order = out.columns.unique()
        mean = out.loc[:, twice].T.groupby(level=0, sort=False).mean().T
        out = pd.concat([out.loc[:, ~twice], mean], axis=1)[order].rename_axis(columns=GENE)
    return out


def read_depmap_models(path: Source) -> pd.DataFrame:
    """
    Read ``Model.csv`` of DepMap: which disease and lineage a line is of.

    Parameters
    ----------
    path
        The file as it is, gzipped or zipped, or a table in memory. Columns are found by name
        whatever the release calls them (``ModelID`` or ``DepMap_ID``, ``OncotreePrimaryDisease``
        or ``primary_disease``, ``OncotreeLineage`` or ``lineage``).

    Returns
    -------
    One model a row, indexed by ``model``: ``disease``, and, where the file has them, ``lineage``,
    ``subtype`` and ``name``; empty where unknown. ``attrs["dtp_report"]``: ``rows``,
    ``columns_found``, ``columns_absent``, ``file``, ``sha256``, ``release``.

    Raises
    ------
    ValueError
        When there is no column of models or of diseases, or a model is there twice.

    Examples
    --------
    >>> import pandas as pd
    >>> from dtp_scvi import datasets
    >>> lines = pd.DataFrame({"ModelID": ["ACH-000001"], "OncotreeLineage": ["Myeloid"]})
    >>> lines["OncotreePrimaryDisease"] = "Acute Myeloid Leukemia"
    >>> datasets.read_depmap_models(lines).loc["ACH-000001"].to_dict()
    {'disease': 'Acute Myeloid Leukemia', 'lineage': 'Myeloid'}
    """
    table = read_evidence(path, "models", "DepMap's Model.csv")
    frame = table.frame
    if frame.index.name and not find_columns(frame, {MODEL: _IDS})[0]:
        frame = frame.reset_index(names=MODEL)
    wanted: dict[str, Any] = {**_MODEL_COLUMNS, MODEL: (*_IDS, MODEL)}
    found, absent = find_columns(frame, wanted)
    missing = [name for name in (MODEL, "disease") if name not in found]
    if missing:
        msg = problem(
            f"{table.name} to name models and diseases (ModelID, OncotreePrimaryDisease)",
            f"no column of {shorten(missing)} among {shorten(frame.columns, 6)}",
            "Check that this is DepMap's Model.csv.",
        )
        raise ValueError(msg)
    out = pd.DataFrame(
        {own: frame[name].fillna("").astype(str) for own, name in found.items()}
    ).set_index(MODEL)
    _check_models(out, table)
    report = {"rows": len(out), "columns_found": found, "columns_absent": absent}
    return sign(out, "depmap_models", table, report)
