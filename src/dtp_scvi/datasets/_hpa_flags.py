"""Surface and antibody flags from what the Human Protein Atlas says of a protein."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._constants import REPORT_KEY
from dtp_scvi._validate import problem
from dtp_scvi.datasets._gene_rows import GENE

if TYPE_CHECKING:
    from collections.abc import Iterable

YES: Final = "Yes"
NO: Final = "No"
NOT_AVAILABLE: Final = "Not available"
# The best first.
RELIABILITIES: Final = ("Enhanced", "Supported", "Approved", "Uncertain")
LOCATION: Final = "plasma membrane"
# Of the classes of HPA, those of proteins that are, or may be, at the surface. Nuclear receptors
# hold the word receptor, and are none.
_CLASS_WORDS: Final = (
    "predicted membrane",
    "cd marker",
    "g-protein coupled receptor",
    "gpcr",
    "ion channel",
    "transporter",
    "receptor",
)
_NOT_SURFACE: Final = ("nuclear receptor",)

FLAGS: Final = (
    "HPA_surface_protein",
    "HPA_surface_evidence",
    "HPA_plasma_membrane",
    "HPA_antibody_reliability",
)
_TEXT: Final = ("protein_class", "subcellular_location")
_RELIABILITY: Final = ("HPA_reliability_IH", "HPA_reliability_IF")


def surface_class(text: str) -> bool:
    """Whether one of the classes in ``text`` is that of a surface protein."""
    for name in text.lower().split(","):
        if any(word in name for word in _CLASS_WORDS) and not any(w in name for w in _NOT_SURFACE):
            return True
    return False


def join_words(texts: Iterable[object], separator: str) -> str:
    """Join what is listed in ``texts``, split at commas and semicolons, each word once."""
    words = (
        word.strip()
        for text in texts
        if isinstance(text, str)
        for word in text.replace(";", ",").split(",")
    )
    return separator.join(dict.fromkeys(word for word in words if word))


def best_reliability(values: Iterable[object]) -> str:
    """Return the best of several reliabilities."""
    there = set(values)
    return next((level for level in RELIABILITIES if level in there), NOT_AVAILABLE)


def clean_reliability(values: pd.Series) -> tuple[pd.Series, list[str]]:
    """Return reliabilities as HPA spells them today, and the words that are none of them."""
    words = values.fillna("").astype(str).str.strip().str.capitalize()
    known = words.isin(RELIABILITIES)
    unknown = sorted(set(words[~known]) - {"", NOT_AVAILABLE, "Na", "Nan"})
    return words.where(known, NOT_AVAILABLE), unknown


def add_flags(frame: pd.DataFrame, *, has_class: bool, has_location: bool) -> pd.DataFrame:
    """Add :data:`FLAGS` to class, location and the two reliabilities."""
    membrane = frame["subcellular_location"].str.lower().str.contains(LOCATION, regex=False)
    by_class = frame["protein_class"].map(surface_class).astype(bool)
    surface = membrane | by_class
    evidence = np.select(
        [by_class & membrane, by_class, membrane], ["class, location", "class", "location"], ""
    )
    ih, fluorescence = frame["HPA_reliability_IH"], frame["HPA_reliability_IF"]
    unknown = not (has_class or has_location)
    return frame.assign(
        HPA_surface_protein=NOT_AVAILABLE if unknown else np.where(surface, YES, NO),
        HPA_surface_evidence=evidence,
        HPA_plasma_membrane=np.where(membrane, YES, NO) if has_location else NOT_AVAILABLE,
        HPA_antibody_reliability=ih.where(ih != NOT_AVAILABLE, fluorescence),
    )


def hpa_flags(
    hpa: pd.DataFrame | None = None,
    *,
    subcellular: pd.DataFrame | None = None,
    normal_tissue: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """
    Combine the tables of the Human Protein Atlas that are at hand into one set of flags.

    Parameters
    ----------
    hpa
        What :func:`~dtp_scvi.datasets.read_hpa` returned: class, location and both reliabilities.
    subcellular
        What :func:`~dtp_scvi.datasets.read_hpa_subcellular` returned: location and its
        reliability (IF).
    normal_tissue
        What :func:`~dtp_scvi.datasets.read_hpa_normal_tissue` returned: reliability of the
        staining (IH). A protein that only this table knows gets no surface flag of its own.

    Returns
    -------
    One gene a row, of any of the tables, with ``protein_class``, ``subcellular_location``,
    ``HPA_surface_protein``, ``HPA_surface_evidence``, ``HPA_plasma_membrane``,
    ``HPA_reliability_IH``, ``HPA_reliability_IF`` and ``HPA_antibody_reliability`` as
    :func:`~dtp_scvi.datasets.read_hpa` explains them, and ``has_class`` and ``has_location``:
    whether class and location of this gene were in the tables at all. Where neither was,
    ``HPA_surface_protein`` is ``"Not available"``. A "No" without a class means only that the
    protein was not seen at the plasma membrane.

    Raises
    ------
    ValueError
        When no table is given.

    Examples
    --------
    >>> import pandas as pd
    >>> from dtp_scvi import datasets
    >>> place = pd.DataFrame(
    ...     {"Gene name": ["CD47", "MYC"], "Main location": ["Plasma membrane", "Nucleoplasm"]}
    ... )
    >>> place["Reliability"] = ["Supported", "Enhanced"]
    >>> flags = datasets.hpa_flags(subcellular=datasets.read_hpa_subcellular(place))
    >>> flags["HPA_surface_protein"].to_dict()
    {'CD47': 'Yes', 'MYC': 'No'}
    """
    given = {"hpa": hpa, "subcellular": subcellular, "normal_tissue": normal_tissue}
    tables = {name: table for name, table in given.items() if table is not None}
    if not tables:
        msg = problem("a table of HPA", "none", "Pass `hpa`, `subcellular` or `normal_tissue`.")
        raise ValueError(msg)
    genes = pd.Index(
        list(dict.fromkeys(gene for table in tables.values() for gene in table.index)), name=GENE
    )
    out = pd.DataFrame(index=genes)
    for name in _TEXT:
        parts = [table[name].reindex(genes) for table in tables.values() if name in table]
        out[name] = [join_words(row, ", ") for row in zip(*parts, strict=True)] if parts else ""
    for name in _RELIABILITY:
        parts = [table[name].reindex(genes) for table in tables.values() if name in table]
        out[name] = (
            [best_reliability(row) for row in zip(*parts, strict=True)] if parts else NOT_AVAILABLE
        )
    out = add_flags(out, has_class=True, has_location=True)
    out["has_class"] = out["protein_class"] != ""
    out["has_location"] = out["subcellular_location"] != ""
    neither = ~(out["has_class"] | out["has_location"])
    out.loc[neither, "HPA_surface_protein"] = NOT_AVAILABLE
    out.loc[~out["has_location"], "HPA_plasma_membrane"] = NOT_AVAILABLE
    reports = {name: table.attrs.get(REPORT_KEY, {}) for name, table in tables.items()}
    out.attrs[REPORT_KEY] = {
        "kind": "hpa_flags",
        "genes": len(out),
        "with_class": int(out["has_class"].sum()),
        "with_location": int(out["has_location"].sum()),
        "tables": {name: str(report.get("file", "")) for name, report in reports.items()},
    }
    return out
