"""Read tables that summarise dependencies by gene, and lists of genes."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_file, problem, shorten
from dtp_scvi.data import header_word
from dtp_scvi.datasets._evidence_file import find_columns, read_evidence
from dtp_scvi.datasets._gene_rows import by_gene, gene_columns, name_genes, sign
from dtp_scvi.datasets._read_depmap import plain_symbol
from dtp_scvi.datasets._tables import Table

if TYPE_CHECKING:
    from dtp_scvi.datasets._evidence_file import Source

_WANTED: Final = {
    "effect_mean": ("meaneffect", "effectmean"),
    "effect_median": ("medianeffect", "effectmedian"),
    "effect_min": ("mineffect", "effectmin"),
    "effect_max": ("maxeffect", "effectmax"),
    "share_dependent": ("fracprobgt05", "sharedependent", "fracdependent"),
    "share_below_minus_half": ("fracdepltminus05", "sharebelowminushalf"),
    "dependency_mean": ("depprobmean", "dependencymean"),
    "n_lines": ("ncelllines", "nlines", "nmodels"),
    "expression_mean": ("amlmeantpmlog1p", "meantpmlog1p", "expressionmean"),
}
_HEADERS: Final = frozenset({"gene", "genes", "symbol", "genesymbol", "hugosymbol"})


def read_depmap_summary(path: Source) -> pd.DataFrame:
    """
    Read a table that summarises, gene by gene, the effects over the lines of one disease.

    Parameters
    ----------
    path
        One gene a row with ``mean_effect`` or ``median_effect``, and optionally ``n_cell_lines``,
        ``min_effect``, ``max_effect``, ``frac_prob_gt_05``, ``frac_dep_lt_minus05``,
        ``dep_prob_mean`` and ``aml_mean_tpm_log1p``, in any spelling; as it is, gzipped or
        zipped, or a table in memory.

    Returns
    -------
    One gene a row, indexed by approved symbol: of ``effect_mean``, ``effect_median``,
    ``effect_min``, ``effect_max``, ``share_dependent`` (probability above 0.5),
    ``share_below_minus_half`` (effect below -0.5), ``dependency_mean``, ``n_lines`` and
    ``expression_mean`` those that the file has. Ready-made ranks, scores and marks of known
    targets are not read; ``columns_ignored`` lists them. ``attrs["dtp_report"]`` as in
    :func:`~dtp_scvi.datasets.read_hpa`, with ``background``, what the genes are compared to.

    Raises
    ------
    ValueError
        When there is neither mean nor median effect, or no column of genes.

    Notes
    -----
    Such a table says nothing of other diseases: how *selective* a dependency is, it can't tell.
    Rows of one gene are averaged.

    Examples
    --------
    >>> import pandas as pd
    >>> from dtp_scvi import datasets
    >>> table = pd.DataFrame({"gene": ["MYC", "C1ORF122"], "median_effect": [-2.2, -0.3]})
    >>> datasets.read_depmap_summary(table).index.tolist()
    ['MYC', 'C1orf122']
    """
    table = read_evidence(path, "summary", "a summary of dependencies by gene")
    frame = table.frame
    if header_word(frame.index.name) in _HEADERS:
        frame = frame.reset_index()
    found, absent = find_columns(frame, _WANTED)
    if "effect_mean" not in found and "effect_median" not in found:
        msg = problem(
            f"mean_effect or median_effect in {table.name}",
            shorten(frame.columns, 6),
            "Pass a matrix of lines x genes to read_depmap_effect instead, or rename the column.",
        )
        raise ValueError(msg)
    symbol, ensembl = gene_columns(frame, table.name)
    names = name_genes(
        None if symbol is None else [plain_symbol(name) for name in frame[symbol]],
        None if ensembl is None else frame[ensembl].astype(str).tolist(),
        table.name,
    )
    numbers = pd.DataFrame(
        {own: pd.to_numeric(frame[name], errors="coerce") for own, name in found.items()}
    ).astype(np.float64)
    out = by_gene(numbers, names, "mean", "mean")
    read = {symbol, ensembl, *found.values()}
    return sign(
        out,
        "depmap_summary",
        table,
        names.report,
        columns_found=found,
        columns_absent=absent,
        columns_ignored=[str(name) for name in frame.columns if name not in read],
        background=f"the {len(out):,} genes of {table.name}",
    )


def read_gene_list(path: str | Path) -> pd.DataFrame:
    r"""
    Read a list of genes, such as common essentials of DepMap or BAGEL.

    Parameters
    ----------
    path
        One gene a line, first of its columns: ``AchillesCommonEssentialControls.csv`` (``A1BG
        (1)`` below a header), BAGEL's lists (symbols, no header); as it is or gzipped.

    Returns
    -------
    One gene a row, indexed by approved symbol, with ``name`` as in the file; each gene once.
    ``attrs["dtp_report"]`` as in :func:`~dtp_scvi.datasets.read_hpa`.

    Raises
    ------
    ValueError
        When none of the names is a human gene.
    FileNotFoundError
        When there is no such file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from dtp_scvi import datasets
    >>> _ = Path("essential.csv").write_text("Gene\nAARS (16)\nRPL3 (6122)\n")
    >>> datasets.read_gene_list("essential.csv")["name"].to_dict()
    {'AARS1': 'AARS (16)', 'RPL3': 'RPL3 (6122)'}
    """
    path = Path(path)
    check_file(path, "a list of genes, one a line")
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    given = [line.replace(";", ",").replace("\t", ",").split(",")[0].strip(' "') for line in lines]
    if given and header_word(given[0]) in _HEADERS:
        given = given[1:]
    names = name_genes([plain_symbol(name) for name in given], None, path.name)
    out = by_gene(pd.DataFrame({"name": given}, dtype=object), names, _first(), "the first row")
    return sign(out, "gene_list", Table(out, "gene_list", path.name), names.report)


def _first() -> dict[str, Any]:
    return {"name": "first"}
