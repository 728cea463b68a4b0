"""Read gene sets from a GMT file."""

from __future__ import annotations

import gzip
from pathlib import Path

from dtp_scvi._logging import warn
from dtp_scvi._validate import problem, shorten
from dtp_scvi.data._damaged import original_symbols, serials_are_dates


def read_gmt(path: str | Path) -> dict[str, list[str]]:
    r"""
    Read gene sets: one a line, tab-separated name, description and genes.

    Parameters
    ----------
    path
        A local ``.gmt`` file, or a gzipped one.

    Returns
    -------
    Set name -> its genes, in the order of the file, repeats removed.

    Raises
    ------
    ValueError
        For a line without a gene, a set name that repeats, a file without sets, and one that is
        no text.

    Warns
    -----
    UserWarning
        When symbols were turned into dates or numbers by a spreadsheet; they are kept as they are.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from dtp_scvi.data import read_gmt
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "sets.gmt")
    ...     _ = path.write_text("LSC\tmade up\tCD34\tGPR56\n")
    ...     read_gmt(path)
    {'LSC': ['CD34', 'GPR56']}
    """
    path = Path(path)
    sets = parse_gmt(path)
    _warn_damaged(sets, path)
    return sets


def parse_gmt(path: Path) -> dict[str, list[str]]:
    """Return the sets of a GMT file as they are: :func:`read_gmt` without its warning."""
    sets: dict[str, list[str]] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        name, genes = _parse(line, f"{path.name}, line {number}")
        if name in sets:
            msg = problem(
                "set names that differ",
                f"{name!r} again in {path.name}, line {number}",
                "Rename one of them.",
            )
            raise ValueError(msg)
        sets[name] = genes
    if not sets:
        msg = problem(f"gene sets in {path.name}", "none", "Check that the file is complete.")
        raise ValueError(msg)
    return sets


def _lines(path: Path) -> list[str]:
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig") as handle:
            return handle.readlines()
    except (UnicodeDecodeError, gzip.BadGzipFile) as error:
        msg = problem(
            f"{path.name} to be a GMT file, which is text", str(error), "Check what it holds."
        )
        raise ValueError(msg) from error


def _parse(line: str, where: str) -> tuple[str, list[str]]:
    fields = [field.strip() for field in line.rstrip("\r\n").split("\t")]
    genes = list(dict.fromkeys(field for field in fields[2:] if field))
    if not fields[0] or not genes:
        msg = problem(
            "a set name, a description and at least one gene, separated by tabs",
            f"{len(fields)} fields in {where}",
            "Mend or remove this line.",
        )
        raise ValueError(msg)
    return fields[0], genes


def _warn_damaged(sets: dict[str, list[str]], path: Path) -> None:
    serials = serials_are_dates([gene for genes in sets.values() for gene in genes])
    damaged = {
        gene: name
        for name, genes in sets.items()
        for gene in genes
        if original_symbols(gene, serials=serials) is not None
    }
    if damaged:
        shown = shorten(f"{gene} in {name}" for gene, name in damaged.items())
        warn(
            f"{len(damaged)} symbols of {path.name} were turned into dates or numbers by a "
            f"spreadsheet and match no gene: {shown}. Take the symbols from the original source."
        )
