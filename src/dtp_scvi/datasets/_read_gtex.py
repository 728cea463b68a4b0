"""Read median expression of healthy tissues from GTEx."""

from __future__ import annotations

import gzip
import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_file, problem
from dtp_scvi.datasets._evidence_file import read_evidence, unzip
from dtp_scvi.datasets._read_hpa_tables import tissue_table
from dtp_scvi.datasets._tables import Table, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dtp_scvi.datasets._evidence_file import Source

_WHAT: Final = "GTEx's gene_median_tpm.gct (or .gct.gz), or HPA's table of GTEx"
_UNITS: Final = ("tpm", "ntpm", "ptpm")


def read_gtex(path: Source, *, tissues: Sequence[str] | None = None) -> pd.DataFrame:
    r"""
    Read median TPM by tissue of GTEx: a gct file, or the aggregation by HPA.

    Parameters
    ----------
    path
        ``GTEx_Analysis_..._gene_median_tpm.gct``, as it is, gzipped or zipped; HPA's
        ``rna_tissue_gtex.tsv``, one gene and tissue a row, or one gene a row and one tissue a
        column; or a table in memory.
    tissues
        Tissues to keep, in any case of letters and punctuation; all by default.

    Returns
    -------
    Genes x tissues, TPM, float64, indexed by approved symbol. Rows of one gene (such as those of
    the pseudoautosomal regions) are merged by the highest value in each tissue, which errs on
    the side of finding a target in normal tissue. ``attrs["dtp_report"]`` as in
    :func:`~dtp_scvi.datasets.read_hpa`, with ``unit`` and ``layout`` (``"gct"``, ``"long"`` or
    ``"wide"``).

    Raises
    ------
    ValueError
        When a gct file lacks its two header lines or holds fewer rows or columns than they say,
        when there is no column of genes, or a value is negative or text.
    KeyError
        When one of ``tissues`` is not there; near matches are named.

    Notes
    -----
    Of GTEx's 56,000 genes those without an approved symbol, mostly pseudogenes and provisional
    names, are listed in the report under ``unmatched``.

    Examples
    --------
    >>> from pathlib import Path
    >>> from dtp_scvi import datasets
    >>> lines = ["#1.2", "1\t2", "Name\tDescription\tLung\tWhole Blood"]
    >>> _ = Path("m.gct").write_text("\n".join([*lines, "ENSG00000157404.15\tKIT\t2.5\t0.1"]))
    >>> datasets.read_gtex("m.gct", tissues=["whole_blood"]).loc["KIT"].to_dict()
    {'Whole Blood': 0.1}
    """
    if isinstance(path, pd.DataFrame) or not _is_gct(str(path)):
        table = read_evidence(path, "gtex", _WHAT)
        return tissue_table(table, "gtex", _UNITS, tissues)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(path)
        check_file(archive, _WHAT)
        inside = archive
        if archive.name.lower().endswith(".zip"):
            inside = unzip(archive, Path(folder), _WHAT)
        table = replace(_read_gct(inside), name=archive.name)
    frame = tissue_table(table, "gtex", _UNITS, tissues)
    report: dict[str, Any] = next(iter(frame.attrs.values()))
    report |= {"unit": "TPM", "layout": "gct"}
    return frame


def _is_gct(name: str) -> bool:
    return name.lower().removesuffix(".zip").removesuffix(".gz").endswith(".gct")


def _read_gct(path: Path) -> Table:
    lines = _first_lines(path)
    sizes = lines[1].split() if len(lines) > 1 else []
    if not lines or not lines[0].startswith("#1.") or len(sizes) != 2 or not _whole(sizes):
        found = " and ".join(repr(line[:40]) for line in lines[:2]) or "an empty file"
        msg = problem(
            f"{path.name} to begin with the two header lines of a gct file, '#1.2' and the numbers "
            "of rows and columns",
            found,
            "Download the file again, or put the two lines back; a plain table can be read when "
            "it is called .tsv.",
        )
        raise ValueError(msg)
    with tempfile.TemporaryDirectory() as folder:
        # The shared reader skips comment lines, but the line of numbers is none.
        plain = Path(folder) / f"{path.name.lower().removesuffix('.gz')}.tsv"
        with _open(path) as source, plain.open("w", encoding="utf-8") as target:
            for number, line in enumerate(source):
                if number >= 2:
                    target.write(line)
        table = read_table(plain, "gtex", what=_WHAT)
    _check_size(table.frame, [int(size) for size in sizes], path.name)
    drop = [name for name in table.frame.columns if str(name).lower() == "id"]
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    return Table(table.frame.drop(columns=drop), "gtex", path.name, digest, path.stat().st_size)


def _check_size(frame: pd.DataFrame, sizes: list[int], where: str) -> None:
    found = [len(frame), frame.select_dtypes(np.number).shape[1]]
    if found[0] != sizes[0] or found[1] < sizes[1]:
        msg = problem(
            f"{where} to hold {sizes[0]:,} rows and {sizes[1]:,} tissues, as its second line says",
            f"{found[0]:,} rows and {found[1]:,} columns of numbers",
            "The file is cut off or was edited: download it again.",
        )
        raise ValueError(msg)


def _open(path: Path) -> Any:
    with path.open("rb") as binary:
        zipped = binary.read(2) == b"\x1f\x8b"
    opener: Any = gzip.open if zipped else open
    return opener(path, "rt", encoding="utf-8-sig")


def _first_lines(path: Path) -> list[str]:
    with _open(path) as handle:
        return [line.rstrip("\r\n") for _, line in zip(range(2), handle, strict=False)]


def _whole(words: list[str]) -> bool:
    return all(word.isdigit() for word in words)
