"""Find out which way round a table of genes and samples lies, by the names of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import GENE_HEADERS, SymbolResolver, align_genes, header_word

if TYPE_CHECKING:
    from collections.abc import Sequence


def gene_column(names: Sequence[str]) -> str | None:
    """Return the column that names genes best, if there is one."""
    words = {header_word(name): name for name in reversed(names)}
    return next((words[word] for word in GENE_HEADERS if word in words), None)


def genes_in_rows(
    rows: Sequence[str],
    columns: Sequence[str],
    genes: Sequence[str] | None,
    *,
    where: str,
    has_notes: bool,
) -> tuple[bool, str]:
    """
    Tell whether genes are in rows, and word the evidence.

    Parameters
    ----------
    rows, columns
        Names down and across.
    genes
        Names of the genes to look for; by default all that the bundled table of symbols knows.
    where
        Name of the table, for messages.
    has_notes
        Whether there is a text column that might hold the names.
    """
    by_row, by_column = _found(rows, genes), _found(columns, genes)
    if by_row == by_column == 0:
        wanted = "known genes" if genes is None else f"the model's genes ({shorten(genes, 3)})"
        msg = problem(
            f"names of {wanted} in the first column or the first line of {where}",
            f"{shorten(rows, 3)} down and {shorten(columns, 3)} across",
            "Name the column with gene names by `gene_key`." if has_notes else "Check it.",
        )
        raise ValueError(msg)
    if genes is None:
        # A few samples may be called like genes, so that numbers of names would mislead.
        share_row, share_column = by_row / max(len(rows), 1), by_column / max(len(columns), 1)
        counted = (
            f"{by_row:,} of {len(rows):,} names in the first column are genes, "
            f"{by_column:,} of {len(columns):,} in the first line"
        )
        if share_row == share_column:
            msg = problem(
                f"genes along one side of {where}", counted, "Set `orientation`, or pass `genes`."
            )
            raise ValueError(msg)
        in_rows = share_row > share_column
    else:
        counted = (
            f"{by_row:,} of {len(genes):,} model genes are named in the first column, "
            f"{by_column:,} in the first line"
        )
        in_rows = by_row >= by_column
    return in_rows, f"Genes are in {'rows' if in_rows else 'columns'}: {counted}."


def _found(names: Sequence[str], genes: Sequence[str] | None) -> int:
    if genes is not None:
        return int(align_genes(names, genes).observed.sum())
    # Numbers are row numbers or Entrez ids here, never dates; "S1" and "A2" are aliases of genes,
    # but more often samples.
    resolved = SymbolResolver.bundled().look_up(list(names), serials=False)
    return sum(how in ("exact", "case", "previous", "ensembl") for _, how, _ in resolved)
