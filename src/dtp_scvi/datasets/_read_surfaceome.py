"""Read which proteins several sources place at the cell surface."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pandas as pd

from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import header_word
from dtp_scvi.datasets._evidence_file import read_evidence
from dtp_scvi.datasets._gene_rows import by_gene, gene_columns, name_genes, sign

if TYPE_CHECKING:
    from dtp_scvi.datasets._evidence_file import Source

SOURCES: Final = ("surfy", "cspa", "uniprot", "go", "hpa")
# Prediction trained on surface proteins, capture at the surface, imaging of the membrane. UniProt
# and GO hold annotations that partly rest on one another, so they are no such evidence alone.
_DIRECT: Final = ("surfy", "cspa", "hpa")
_FLAG: Final = re.compile(rf"^({'|'.join(SOURCES)})(?:surface)?(?:flag)?$")
_SURFY_LABEL: Final = "surfaceomelabel"
_CSPA_CATEGORY: Final = "cspacategory"
_TRUE: Final = frozenset({"1", "1.0", "true", "yes", "y", "surface"})
_FALSE: Final = frozenset({"0", "0.0", "false", "no", "n", "nonsurface", "", "nan", "none"})


def read_surfaceome(path: Source) -> pd.DataFrame:
    """
    Read flags of surface proteins by source, and grade them into two tiers.

    Parameters
    ----------
    path
        A table with a column a source, named after it (``surfy``, ``cspa``, ``uniprot``, ``go``,
        ``hpa``, with or without ``_surface_flag`` or ``_flag``), 0/1, yes/no or empty; or the
        table that SURFY published (``table_S3_surfaceome.xlsx``, or a sheet of it as text), of
        which ``Surfaceome Label`` and ``CSPA category`` are read. Other columns are ignored and
        listed. As it is, gzipped or zipped, or a table in memory; workbooks need the extra
        ``cohort``.

    Returns
    -------
    One gene a row, indexed by approved symbol: a boolean column for each source that the file
    has, and

    ``n_sources``
        How many of them say surface.
    ``loose``
        At least one does.
    ``strict``
        At least two do, and one of them is SURFY (a predictor trained on surface proteins), CSPA
        (captured at the surface) or HPA (seen at the plasma membrane). UniProt and GO together
        don't suffice. Of a file with one source alone nothing is strict.

    ``attrs["dtp_report"]`` as in :func:`~dtp_scvi.datasets.read_hpa`, with ``sources``,
    ``columns_ignored``, and ``strict``, the rule.

    Raises
    ------
    ValueError
        When there is no column of a source or of genes, or a flag is neither yes nor no.

    Notes
    -----
    Of the published table of SURFY only the layout is known to the tests, by synthetic files: a
    line of group names above the header, ``UniProt gene``, ``Ensembl gene`` (several are
    separated by semicolons; the first counts), ``Surfaceome Label`` (``surface`` or
    ``nonsurface``) and ``CSPA category`` (``1 - high confidence``, ``2 - putative`` and
    ``3 - unspecific``, of which the first two count).

    Examples
    --------
    >>> import pandas as pd
    >>> from dtp_scvi import datasets
    >>> flags = pd.DataFrame({"symbol": ["KIT", "MYC"], "surfy": [1, 0], "cspa": [1, 0]})
    >>> datasets.read_surfaceome(flags)[["n_sources", "loose", "strict"]].values.tolist()
    [[2, True, True], [0, False, False]]
    """
    table = read_evidence(path, "surfaceome", "a table of surface proteins (SURFY, CSPA ...)")
    frame = _promote_header(table.frame)
    columns = _source_columns(frame)
    if not columns:
        msg = problem(
            f"a column of a source in {table.name} ({', '.join(SOURCES)}, or 'Surfaceome Label')",
            shorten(frame.columns, 6),
            "Name the columns of flags after their sources.",
        )
        raise ValueError(msg)
    symbol, ensembl = gene_columns(frame, table.name)
    names = name_genes(
        None if symbol is None else frame[symbol].astype(str).str.split(";").str[0].tolist(),
        None if ensembl is None else frame[ensembl].astype(str).str.split(";").str[0].tolist(),
        table.name,
    )
    out = pd.DataFrame(
        {source: _flags(frame[columns[source]], source, table.name) for source in columns}
    )
    out = by_gene(out, names, "max", "surface where any row says so").astype(bool)
    n_sources = out.sum(axis=1).astype("int64")
    direct = out[[source for source in _DIRECT if source in out]].any(axis=1)
    out = out.assign(n_sources=n_sources, loose=n_sources >= 1, strict=(n_sources >= 2) & direct)
    read = {symbol, ensembl, *columns.values()}
    return sign(
        out,
        "surfaceome",
        table,
        names.report,
        sources=list(columns),
        columns_ignored=[str(name) for name in frame.columns if name not in read],
        strict="at least two sources, and SURFY, CSPA or HPA among them",
    )


def _promote_header(frame: pd.DataFrame) -> pd.DataFrame:
    """Take the header from one of the first lines where a line of group names stands above it."""
    if _source_columns(frame):
        return frame
    for number, row in enumerate(frame.head(5).itertuples(index=False, name=None)):
        named = frame.iloc[number + 1 :].set_axis([str(word) for word in row], axis=1)
        if _source_columns(named):
            return named.reset_index(drop=True)
    return frame


def _source_columns(frame: pd.DataFrame) -> dict[str, str]:
    words = {header_word(name): str(name) for name in reversed(list(frame.columns))}
    if _SURFY_LABEL in words:
        found = {"surfy": words[_SURFY_LABEL]}
        return found | ({"cspa": words[_CSPA_CATEGORY]} if _CSPA_CATEGORY in words else {})
    flags = {hit[1]: name for word, name in words.items() if (hit := _FLAG.match(word))}
    return {source: flags[source] for source in SOURCES if source in flags}


def _flags(values: pd.Series, source: str, where: str) -> pd.Series:
    if header_word(values.name) == _CSPA_CATEGORY:
        return values.astype(str).str.strip().str.match(r"[12]\b")
    words = values.astype(str).str.strip().str.lower()
    strange = sorted(set(words) - _TRUE - _FALSE)
    if strange:
        msg = problem(
            f"0 or 1, yes or no in the column {source} of {where}",
            shorten(strange),
            "Mend these cells.",
        )
        raise ValueError(msg)
    return words.isin(_TRUE)
