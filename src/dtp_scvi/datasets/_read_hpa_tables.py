"""Read the single tables of the Human Protein Atlas: location, staining, RNA by tissue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import problem, shorten
from dtp_scvi.datasets._evidence_file import find_columns, pick_tissues, read_evidence
from dtp_scvi.datasets._gene_rows import by_gene, gene_columns, name_genes, sign
from dtp_scvi.datasets._hpa_flags import (
    NOT_AVAILABLE,
    RELIABILITIES,
    best_reliability,
    clean_reliability,
    join_words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dtp_scvi.datasets._evidence_file import Source
    from dtp_scvi.datasets._tables import Table

# As HPA words them; "Not representative" is no measurement.
LEVELS: Final = {"Not detected": 0.0, "Low": 1.0, "Medium": 2.0, "High": 3.0}
_NUMBERED: Final = re.compile(r" \d+$")


def read_hpa_subcellular(path: Source) -> pd.DataFrame:
    """
    Read ``subcellular_location.tsv`` of the Human Protein Atlas.

    Parameters
    ----------
    path
        The file as it is, gzipped or zipped, or a table in memory.

    Returns
    -------
    One gene a row, indexed by approved symbol: ``subcellular_location`` (main and additional
    locations, joined by ``", "``), ``main_location``, ``extracellular_location``, and
    ``HPA_reliability_IF`` (``"Enhanced"``, ``"Supported"``, ``"Approved"``, ``"Uncertain"`` or
    ``"Not available"``). ``attrs["dtp_report"]`` as in :func:`~dtp_scvi.datasets.read_hpa`.

    Raises
    ------
    ValueError
        When there is no column of genes or of main locations.

    Examples
    --------
    >>> import pandas as pd
    >>> from dtp_scvi import datasets
    >>> place = pd.DataFrame({"Gene name": ["KIT"], "Main location": ["Plasma membrane;Cytosol"]})
    >>> datasets.read_hpa_subcellular(place)["subcellular_location"].tolist()
    ['Plasma membrane, Cytosol']
    """
    table = read_evidence(path, "subcellular", "HPA's subcellular_location.tsv")
    wanted = {
        "main_location": ("mainlocation", "subcellularmainlocation"),
        "additional_location": ("additionallocation", "subcellularadditionallocation"),
        "extracellular_location": ("extracellularlocation",),
        "reliability": ("reliability", "reliabilityif"),
    }
    found, absent = find_columns(table.frame, wanted)
    _need(table, found, ("main_location",))
    text = {name: table.frame[column].fillna("").astype(str) for name, column in found.items()}
    empty = pd.Series("", index=table.frame.index)
    main = text["main_location"]
    additional = text.get("additional_location", empty)
    out = pd.DataFrame(
        {
            "subcellular_location": [
                join_words(row, ", ") for row in zip(main, additional, strict=True)
            ],
            "main_location": [join_words([word], ", ") for word in main],
            "extracellular_location": text.get("extracellular_location", empty),
            "HPA_reliability_IF": clean_reliability(text.get("reliability", empty))[0],
        }
    )
    names = _names(table)
    rule: dict[str, Any] = {name: lambda row: join_words(row, ", ") for name in out.columns}
    rule["HPA_reliability_IF"] = best_reliability
    out = by_gene(out, names, rule, "lists joined; the better reliability")
    report = names.report | {"columns_found": found, "columns_absent": absent}
    return sign(out, "hpa_subcellular", table, report)


def read_hpa_normal_tissue(path: Source, *, tissues: Sequence[str] | None = None) -> pd.DataFrame:
    """
    Read ``normal_tissue.tsv`` of the Human Protein Atlas: staining of healthy tissue.

    Parameters
    ----------
    path
        The file as it is, gzipped or zipped, or a table in memory: one gene, tissue and cell
        type a row.
    tissues
        Tissues to keep, in any case of letters; all by default.

    Returns
    -------
    One gene a row, indexed by approved symbol: ``HPA_reliability_IH``, then a column a tissue
    with the highest level over its cell types and over samples that HPA numbers (``skin 1``,
    ``skin 2``): 0 not detected, 1 low, 2 medium, 3 high, NaN not stained or not representative.
    ``attrs["dtp_report"]`` as in :func:`~dtp_scvi.datasets.read_hpa`, with ``levels_unknown``.

    Raises
    ------
    ValueError
        When there is no column of genes, tissues or levels.
    KeyError
        When one of ``tissues`` is not there; near matches are named.

    Examples
    --------
    >>> import pandas as pd
    >>> from dtp_scvi import datasets
    >>> stained = pd.DataFrame({"Gene name": ["KIT", "KIT"], "Tissue": ["skin 1", "skin 2"]})
    >>> stained[["Level", "Reliability"]] = [["Low", "Enhanced"], ["High", "Enhanced"]]
    >>> datasets.read_hpa_normal_tissue(stained).loc["KIT"].to_dict()
    {'HPA_reliability_IH': 'Enhanced', 'skin': 3.0}
    """
    table = read_evidence(path, "normal_tissue", "HPA's normal_tissue.tsv")
    wanted = {"tissue": ("tissue",), "level": ("level",), "reliability": ("reliability",)}
    found, absent = find_columns(table.frame, wanted)
    _need(table, found, ("tissue", "level"))
    levels = table.frame[found["level"]].astype("category")
    rows = Rows(table, table.frame[found["tissue"]], levels.astype(object).map(LEVELS), plain=True)
    wide = rows.spread(tissues)
    wide.insert(0, "HPA_reliability_IH", _reliability(table.frame, found, rows))
    names = name_genes(rows.symbols, rows.ensembl, table.name)
    rule: dict[str, Any] = dict.fromkeys(wide.columns, "max")
    rule["HPA_reliability_IH"] = best_reliability
    wide = by_gene(wide, names, rule, "highest level; the better reliability")
    report = names.report | {
        "columns_found": found,
        "columns_absent": absent,
        "levels_unknown": sorted(set(map(str, levels.cat.categories)) - set(LEVELS)),
    }
    return sign(wide, "hpa_normal_tissue", table, report)


def read_hpa_consensus(path: Source, *, tissues: Sequence[str] | None = None) -> pd.DataFrame:
    """
    Read ``rna_tissue_consensus.tsv`` of the Human Protein Atlas: RNA by healthy tissue.

    Parameters
    ----------
    path
        One gene and tissue a row, as HPA publishes it, or one gene a row and one tissue a
        column; as it is, gzipped or zipped, or a table in memory.
    tissues
        Tissues to keep, in any case of letters; all by default.

    Returns
    -------
    Genes x tissues, float64, indexed by approved symbol; NaN where not measured, as HPA has for
    some genes in some tissues. Rows of one gene are merged by the
    highest value in each tissue, which errs on the side of finding a target in normal tissue.
    ``attrs["dtp_report"]`` as in :func:`~dtp_scvi.datasets.read_hpa`, with ``unit`` (``"nTPM"``,
    ``"NX"``, ``"TPM"``; of a wide table as its name tells, or empty) and ``layout``.

    Raises
    ------
    ValueError
        When there is no column of genes or no value, or a value is negative or text.
    KeyError
        When one of ``tissues`` is not there; near matches are named.

    Examples
    --------
    >>> import pandas as pd
    >>> from dtp_scvi import datasets
    >>> long = pd.DataFrame({"Gene name": ["KIT"] * 2, "Tissue": ["liver", "lung"]})
    >>> long["nTPM"] = [1.5, 20.0]
    >>> datasets.read_hpa_consensus(long).loc["KIT"].to_dict()
    {'liver': 1.5, 'lung': 20.0}
    """
    table = read_evidence(path, "consensus", "HPA's rna_tissue_consensus.tsv")
    return tissue_table(table, "hpa_consensus", ("ntpm", "nx", "tpm", "ptpm"), tissues)


def tissue_table(
    table: Table, kind: str, units: tuple[str, ...], tissues: Sequence[str] | None
) -> pd.DataFrame:
    """Return genes x tissues from a long or a wide table; of a long one the first unit it has."""
    found, _ = find_columns(table.frame, {"tissue": ("tissue",), "value": units})
    if "tissue" in found:
        _need(table, found, ("tissue", "value"))
        value = _numbers(table.frame[[found["value"]]], table.name).iloc[:, 0]
        rows = Rows(table, table.frame[found["tissue"]], value)
        wide = rows.spread(tissues)
        unit, layout = found["value"], "long"
        names = name_genes(rows.symbols, rows.ensembl, table.name)
    else:
        names = _names(table)
        genes = [name for name in gene_columns(table.frame, table.name) if name is not None]
        wide = _numbers(table.frame.drop(columns=genes), table.name)
        wide = wide[pick_tissues(wide.columns, tissues)]
        layout = "wide"
        lower = table.name.lower()
        unit = next((name for name in ("nTPM", "TPM", "NX") if name.lower() in lower), "")
    wide = by_gene(wide, names, "max", "highest value in each tissue").astype(np.float64)
    return sign(wide, kind, table, names.report, unit=unit, layout=layout)


class Rows:
    """A long table, one gene and tissue a row; genes are numbered, for the files are long."""

    def __init__(
        self, table: Table, tissue: pd.Series, value: pd.Series, *, plain: bool = False
    ) -> None:
        columns = gene_columns(table.frame, table.name)
        keys = table.frame[[name for name in columns if name is not None]].astype(str)
        self.codes = keys.groupby(list(keys.columns), sort=False).ngroup().to_numpy()
        pairs = keys.drop_duplicates()
        self.symbols, self.ensembl = (
            None if name is None else pairs[name].tolist() for name in columns
        )
        self._there = tissue.notna().to_numpy()
        places, names = pd.factorize(tissue.fillna("").astype(str))
        words = [_NUMBERED.sub("", name) if plain else name for name in names]
        self._tissue = np.array(words, dtype=object)[places]
        self._value = value.to_numpy(np.float64)

    @property
    def n_genes(self) -> int:
        """Number of pairs of symbol and id."""
        return int(self.codes.max()) + 1

    def spread(self, tissues: Sequence[str] | None) -> pd.DataFrame:
        """Return genes x tissues, the highest value in each."""
        long = pd.DataFrame({"g": self.codes, "t": self._tissue, "v": self._value})[self._there]
        wanted = pick_tissues(dict.fromkeys(long["t"]), tissues)
        highest = long.groupby(["g", "t"], sort=False)["v"].max()
        wide = highest.unstack().reindex(columns=wanted, index=range(self.n_genes))
        return wide.rename_axis(columns=None)


def _reliability(frame: pd.DataFrame, found: dict[str, str], rows: Rows) -> list[str]:
    """Return the best reliability of each gene."""
    best = np.full(rows.n_genes, len(RELIABILITIES))
    if "reliability" in found:
        places, words = pd.factorize(frame[found["reliability"]].fillna(""))
        cleaned = clean_reliability(pd.Series(words))[0]
        ranks = np.array([(*RELIABILITIES, NOT_AVAILABLE).index(word) for word in cleaned])
        np.minimum.at(best, rows.codes, ranks[places])
    return [(*RELIABILITIES, NOT_AVAILABLE)[rank] for rank in best]


def _names(table: Table) -> Any:
    symbol, ensembl = gene_columns(table.frame, table.name)
    lists = [None if c is None else table.frame[c].astype(str).tolist() for c in (symbol, ensembl)]
    return name_genes(lists[0], lists[1], table.name)


def _need(table: Table, found: dict[str, str], names: tuple[str, ...]) -> None:
    missing = [name.replace("_", " ") for name in names if name not in found]
    if missing:
        msg = problem(
            f"{table.name} to have the columns {shorten(n.replace('_', ' ') for n in names)}",
            f"no column {shorten(missing)} among {shorten(table.frame.columns, 6)}",
            "Check that this is the file you meant.",
        )
        raise ValueError(msg)


def _numbers(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    numeric = frame.apply(pd.to_numeric, errors="coerce")
    text = [str(name) for name in frame if (frame[name].notna() & numeric[name].isna()).any()]
    low = [str(name) for name in numeric if (numeric[name] < 0).any()]
    if text or low or numeric.shape[1] == 0:
        found = f"text in {shorten(text)}" if text else f"negative values in {shorten(low)}"
        todo = "Drop columns that are no tissue; values are TPM, not their logarithm."
        msg = problem(
            f"expression >= 0 in the columns of {where}",
            found if text or low else "no column of numbers",
            todo,
        )
        raise ValueError(msg)
    return numeric
