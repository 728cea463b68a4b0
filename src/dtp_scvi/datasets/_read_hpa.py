"""Read the table of all proteins of the Human Protein Atlas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from dtp_scvi._logging import warn
from dtp_scvi._validate import shorten
from dtp_scvi.datasets._evidence_file import find_columns, read_evidence
from dtp_scvi.datasets._gene_rows import by_gene, gene_columns, name_genes, sign
from dtp_scvi.datasets._hpa_flags import (
    FLAGS,
    NOT_AVAILABLE,
    add_flags,
    best_reliability,
    clean_reliability,
    join_words,
)

if TYPE_CHECKING:
    from dtp_scvi.datasets._evidence_file import Source

_WANTED: Final = {
    "uniprot": ("uniprot", "uniprotid"),
    "protein_class": ("proteinclass",),
    "location": ("subcellularlocation",),
    "main_location": ("subcellularmainlocation", "mainlocation"),
    "additional_location": ("subcellularadditionallocation", "additionallocation"),
    "reliability_ih": ("reliabilityih", "reliabilityihc"),
    "reliability_if": ("reliabilityif", "reliabilityic"),
    "rna_tissue_specificity": ("rnatissuespecificity", "rnatscategory", "rnatissuecategory"),
    "antibody": ("antibody",),
}
_LOCATIONS: Final = ("location", "main_location", "additional_location")
_COLUMNS: Final = (
    "ensembl",
    "uniprot",
    "protein_class",
    "subcellular_location",
    *FLAGS[:3],
    "HPA_reliability_IH",
    "HPA_reliability_IF",
    FLAGS[3],
    "antibody",
    "rna_tissue_specificity",
)


def read_hpa(path: Source) -> pd.DataFrame:
    """
    Read ``proteinatlas.tsv`` of the Human Protein Atlas, of any release.

    Parameters
    ----------
    path
        ``proteinatlas.tsv``, as it is, gzipped or zipped; an excerpt of it (search results, or as
        R packages spell the columns, ``Reliability..IH.``); or a table in memory. Nothing is
        downloaded.

    Returns
    -------
    One gene a row, indexed by approved symbol ``gene``; text, empty where unknown:

    ``ensembl``, ``uniprot``, ``protein_class``, ``subcellular_location``, ``antibody``, ``rna_tissue_specificity``
        As in the file; lists are joined by ``", "``. Locations are main and additional ones.
    ``HPA_surface_protein``
        ``"Yes"`` where a class is that of predicted membrane proteins, CD markers, G-protein
        coupled or other receptors (not nuclear ones), ion channels or transporters, or a location
        is the plasma membrane; ``"No"`` otherwise; ``"Not available"`` for all genes where the
        file has neither column. Predicted membrane proteins and transporters may be of any
        membrane of the cell: this is a loose flag.
    ``HPA_surface_evidence``
        What it rests on: ``"class"``, ``"location"``, ``"class, location"`` or nothing.
    ``HPA_plasma_membrane``
        ``"Yes"`` where a location is the plasma membrane, ``"No"``, or ``"Not available"`` where
        the file has no locations.
    ``HPA_reliability_IH``, ``HPA_reliability_IF``
        Of staining of tissue and of immunofluorescence: ``"Enhanced"``, ``"Supported"``,
        ``"Approved"``, ``"Uncertain"`` or ``"Not available"``.
    ``HPA_antibody_reliability``
        IH where available, else IF.

    ``attrs["dtp_report"]``: ``rows``, ``matched``, ``genes``, ``how`` (names were understood),
    ``unmatched``, ``ambiguous``, ``damaged`` (by a spreadsheet), ``superseded`` (an older name of
    a gene that has a row of its own), ``merged`` and ``merge_rule``, ``columns_found`` and
    ``columns_absent``, ``unknown_reliabilities``, ``file``, ``sha256`` and ``release``, empty
    unless the file's name tells it.

    Raises
    ------
    ValueError
        When no column names genes, or none of the names is a human gene.
    FileNotFoundError
        When there is no such file.

    Notes
    -----
    Genes are matched by Ensembl id, else by symbol. Rows of one gene are merged: lists are
    joined, the better reliability stays.

    Examples
    --------
    >>> import pandas as pd
    >>> from dtp_scvi import datasets
    >>> atlas = pd.DataFrame(
    ...     {"Gene": ["IL3RA", "MYC"], "Protein class": ["CD markers", "Transcription factors"]}
    ... )
    >>> atlas["Reliability (IH)"] = ["Uncertain", None]
    >>> table = datasets.read_hpa(atlas)
    >>> table.loc["IL3RA", ["HPA_surface_protein", "HPA_antibody_reliability"]].tolist()
    ['Yes', 'Uncertain']
    >>> table.attrs["dtp_report"]["columns_absent"][:2]
    ['uniprot', 'location']
    """
    table = read_evidence(path, "hpa", "HPA's proteinatlas.tsv (or .tsv.zip)")
    frame = table.frame
    symbol, ensembl = gene_columns(frame, table.name)
    names = name_genes(_texts(frame, symbol), _texts(frame, ensembl), table.name)
    found, absent = find_columns(frame, _WANTED)
    out = pd.DataFrame({"ensembl": _text(frame, ensembl)}, index=frame.index)
    for name in ("uniprot", "antibody", "rna_tissue_specificity", "protein_class"):
        out[name] = [join_words([text], ", ") for text in _text(frame, found.get(name))]
    places = [_text(frame, found.get(name)) for name in _LOCATIONS]
    out["subcellular_location"] = [join_words(row, ", ") for row in zip(*places, strict=True)]
    unknown: list[str] = []
    for own, name in (
        ("HPA_reliability_IH", "reliability_ih"),
        ("HPA_reliability_IF", "reliability_if"),
    ):
        out[own], strange = clean_reliability(_text(frame, found.get(name)))
        unknown += strange
    if unknown:
        warn(
            f"Reliabilities of {table.name} that HPA does not use today count as "
            f"{NOT_AVAILABLE!r}: {shorten(unknown)}."
        )
    out = by_gene(out, names, _merge_rule(out), "lists joined; the better reliability")
    has_location = any(name in found for name in _LOCATIONS)
    out = add_flags(out, has_class="protein_class" in found, has_location=has_location)
    return sign(
        out[list(_COLUMNS)],
        "hpa",
        table,
        names.report,
        columns_found=found,
        columns_absent=absent,
        unknown_reliabilities=unknown,
    )


def _texts(frame: pd.DataFrame, column: str | None) -> list[str] | None:
    return None if column is None else frame[column].astype(str).tolist()


def _text(frame: pd.DataFrame, column: str | None) -> pd.Series:
    if column is None:
        return pd.Series("", index=frame.index, dtype=object)
    return frame[column].astype(object).where(frame[column].notna(), "").astype(str)


def _merge_rule(frame: pd.DataFrame) -> dict[str, Any]:
    return {
        name: best_reliability if name.startswith("HPA_") else (lambda row: join_words(row, ", "))
        for name in frame.columns
    }
