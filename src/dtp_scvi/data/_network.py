"""Gene sets and signatures as a network: one row a set and gene, under approved symbols."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_file, near_matches, problem, shorten
from dtp_scvi.data._gmt import parse_gmt
from dtp_scvi.data._network_damaged import COLUMNS, warn_damaged
from dtp_scvi.data._symbols import SymbolResolver

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Column names in use for each role, the first one found is taken; case is ignored.
_NAMES: Final = {
    "source": ("source", "set", "gene_set", "geneset", "signature", "pathway", "term"),
    "target": ("target", "gene", "symbol", "gene_symbol", "genesymbol", "hgnc_symbol"),
    "weight": ("weight", "coefficient", "coef", "mor"),
}
_SEPARATORS: Final = {".csv": ",", ".tsv": "\t", ".txt": "\t"}

# Name -> genes, or -> gene -> weight; or a table.
Sets: TypeAlias = Mapping[str, Any] | pd.DataFrame


def read_network(
    path: str | Path, *, name: str | None = None, resolver: SymbolResolver | None = None
) -> pd.DataFrame:
    r"""
    Read gene sets or a signature with coefficients as a network.

    Parameters
    ----------
    path
        A ``.gmt`` file (weights are 1), or a ``.csv``, ``.tsv`` or ``.txt`` table with a column
        of genes (``target``, ``gene``, ``symbol``), and where there are any of sets (``source``,
        ``set``, ``signature``, ``pathway``, ``term``) and of weights (``weight``,
        ``coefficient``, ``mor``). Either may be gzipped.
    name
        Name of the set, for a table without a column of sets; by default that of the file.
    resolver
        Symbol table; by default :meth:`SymbolResolver.bundled`.

    Returns
    -------
    As :func:`as_network`.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        For a file of another kind, and as :func:`as_network`.

    Warns
    -----
    UserWarning
        As :func:`as_network`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from dtp_scvi.data import read_network
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "mine.csv")
    ...     _ = path.write_text("gene,coefficient\nCD34,0.5\nGPR56,-0.1\n")
    ...     net = read_network(path)
    >>> net[["source", "target", "weight", "original", "how"]].values.tolist()
    [['mine', 'CD34', 0.5, 'CD34', 'exact'], ['mine', 'ADGRG1', -0.1, 'GPR56', 'previous']]
    """
    path = Path(path)
    check_file(path, "gene sets")
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    kind = suffixes[-1] if suffixes else ""
    if kind != ".gmt" and kind not in _SEPARATORS:
        msg = problem(
            "a .gmt, .csv, .tsv or .txt file", path.name, "Rename it after what it holds."
        )
        raise ValueError(msg)
    table: Sets = parse_gmt(path) if kind == ".gmt" else _read_table(path, _SEPARATORS[kind])
    own_name = path.name.split(".")[0] if name is None else name
    return as_network(table, name=own_name, resolver=resolver)


def as_network(
    sets: Sets, *, name: str = "set", resolver: SymbolResolver | None = None
) -> pd.DataFrame:
    """
    Bring gene sets into one form, with genes under approved symbols.

    Parameters
    ----------
    sets
        Set name -> genes, or -> gene -> weight; or a table as :func:`read_network` reads it.
    name
        Name of the set, for a table without a column of sets.
    resolver
        Symbol table; by default :meth:`SymbolResolver.bundled`.

    Returns
    -------
    One row a set and gene, in order: ``source`` (set), ``target`` (approved symbol, or the name
    as it was where none is known), ``weight`` (1 without any), as decoupler takes them, and
    ``original`` (the name given), ``how`` it was resolved (see :class:`SymbolResolver`) and
    ``candidates``, the genes that an ambiguous or damaged name may stand for. A name damaged by a
    spreadsheet has a symbol where one gene explains it. Names of one gene within a set are one row.

    Raises
    ------
    KeyError
        When no column holds genes.
    TypeError
        When ``sets`` is neither a mapping nor a table.
    ValueError
        Without rows, for a missing name, a weight that is missing, infinite or 0, and for two
        weights of one gene in one set.

    Warns
    -----
    UserWarning
        When a spreadsheet turned symbols into dates or numbers; see :func:`damaged_symbols`. A
        network that was resolved before is taken without the warning.

    Examples
    --------
    >>> from dtp_scvi.data import as_network
    >>> as_network({"LSC": ["CD34", "KIAA0125", "FAM30A"]})[["source", "target"]].values.tolist()
    [['LSC', 'CD34'], ['LSC', 'FAM30A']]
    """
    table = _from_table(sets, name) if isinstance(sets, pd.DataFrame) else _from_mapping(sets)
    if table.empty:
        msg = problem("gene sets", "none", "Pass at least one set with genes.")
        raise ValueError(msg)
    _check_values(table)
    resolver = SymbolResolver.bundled() if resolver is None else resolver
    names = table["original"].tolist()
    resolved = resolver.resolve(names)
    table["target"] = resolved["symbol"].where(resolved["symbol"].notna(), table["original"])
    table["how"] = resolved["how"].astype(object)
    several = resolved["candidates"].map(len).to_numpy() > 1
    table["candidates"] = np.where(several, resolved["candidates"].map("|".join), "")
    net = _merge(table[list(COLUMNS)])
    if not (isinstance(sets, pd.DataFrame) and "original" in sets):
        warn_damaged(net)
    return net


def _read_table(path: Path, separator: str) -> pd.DataFrame:
    try:
        # Symbols such as NA and NAN are names here, and 42617 is no number.
        return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        msg = problem(
            f"{path.name} to be a table",
            str(error).splitlines()[0],
            "Check what the file holds, and that its ending says so.",
        )
        raise ValueError(msg) from error


def _from_mapping(sets: Any) -> pd.DataFrame:
    if not isinstance(sets, Mapping):
        msg = problem(
            "gene sets as a mapping, a table or a path",
            type(sets).__name__,
            'Pass {"name": ["GENE", ...]}.',
        )
        raise TypeError(msg)
    rows: list[tuple[str, str, float]] = []
    for name, genes in sets.items():
        if isinstance(genes, str):
            msg = problem(f"a list of genes for set {name!r}", repr(genes), f"Pass [{genes!r}].")
            raise TypeError(msg)
        weights = genes if isinstance(genes, Mapping) else dict.fromkeys(genes, 1.0)
        rows += [(str(name), gene, weight) for gene, weight in weights.items()]
    return pd.DataFrame(rows, columns=["source", "original", "weight"])


def _from_table(table: pd.DataFrame, name: str) -> pd.DataFrame:
    found = {role: _find(table.columns, names) for role, names in _NAMES.items()}
    if found["target"] is None:
        todo = f"{near_matches('target', table.columns)} Rename the column of genes to 'target'."
        msg = problem("a column of genes", shorten(table.columns), todo)
        raise KeyError(msg)
    # What was resolved before is resolved from the same names again.
    genes = "original" if "original" in table else found["target"]
    source, weight = found["source"], found["weight"]
    return pd.DataFrame(
        {
            "source": name if source is None else table[source].to_numpy(),
            "original": table[genes].to_numpy(),
            "weight": 1.0 if weight is None else table[weight].to_numpy(),
        },
        index=range(len(table)),
    )


def _find(columns: Iterable[object], names: Sequence[str]) -> Any:
    by_name = {str(column).strip().lower(): column for column in columns}
    return next((by_name[name] for name in names if name in by_name), None)


def _check_values(table: pd.DataFrame) -> None:
    """Make names text and weights numbers, in place, or say which row is at fault."""
    for column, what in (("source", "set"), ("original", "gene")):
        missing = table[column].isna() | (table[column].astype(str).str.strip() == "")
        if missing.any():
            row = int(np.flatnonzero(missing)[0])
            msg = problem(
                f"a {what} in every row", f"none in {missing.sum():,} (first: {row})", "Mend it."
            )
            raise ValueError(msg)
        table[column] = table[column].astype(str).str.strip().astype(object)
    weight = pd.to_numeric(table["weight"], errors="coerce").astype(np.float64)
    bad = ~np.isfinite(weight) | (weight == 0)
    if bad.any():
        row = table.loc[bad].iloc[0]
        found = f"{row['weight']!r} for {row['original']} in {row['source']}"
        msg = problem("finite weights other than 0", found, "Mend or remove that row.")
        raise ValueError(msg)
    table["weight"] = weight


def _merge(table: pd.DataFrame) -> pd.DataFrame:
    """Keep one row of each gene within a set."""
    again = table.duplicated(["source", "target"], keep=False)
    weights = table[again].groupby(["source", "target"])["weight"].nunique()
    if (weights > 1).any():
        source, target = weights[weights > 1].index[0]
        msg = problem(
            f"one weight of {target} in {source}",
            "several, under its names or repeats",
            "Keep one of these rows.",
        )
        raise ValueError(msg)
    return table.drop_duplicates(["source", "target"]).reset_index(drop=True)
