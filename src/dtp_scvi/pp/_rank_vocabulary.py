"""Tokens and medians of genes, and names turned into the ids that a vocabulary has."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dtp_scvi._logging import warn
from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import gene_names
from dtp_scvi.data._gene_files import read_gene_values
from dtp_scvi.data._symbols import ensembl_base

if TYPE_CHECKING:
    from anndata import AnnData

PAD: Final = "<pad>"
_FRAME: Final = ("<cls>", "<eos>")
# 0 is padding and 1 the mask in Geneformer's vocabulary.
_FIRST_TOKEN: Final = 2


class Vocabulary(NamedTuple):
    """
    Genes that have both a token and a median, in the order of their tokens.

    Attributes
    ----------
    genes
        Ids without version.
    tokens, medians
        One each a gene, int32 and float64.
    pad
        The token of padding.
    n_without_median
        How many genes of the vocabulary have no median.
    digest
        SHA-256 of gene and token, 16 digits.
    """

    genes: list[str]
    tokens: np.ndarray
    medians: np.ndarray
    pad: int
    n_without_median: int
    digest: str


def read_vocabulary(medians: Any, vocabulary: Any) -> Vocabulary:
    """Join tokens and medians; special tokens, which are in angle brackets, are no genes."""
    median = {_base(g): v for g, v in read_gene_values(medians, "the medians").items()}
    if vocabulary is None:
        token = {gene: place for place, gene in enumerate(median, start=_FIRST_TOKEN)}
        pad = 0
    else:
        token, pad = _tokens(read_gene_values(vocabulary, "the vocabulary"))
    genes = sorted((gene for gene in token if gene in median), key=token.__getitem__)
    if not genes:
        msg = problem(
            "genes that have a token and a median",
            f"none; medians of {shorten(median, 3)}, tokens of {shorten(token, 3)}",
            "Pass the two files of one model.",
        )
        raise ValueError(msg)
    return Vocabulary(
        genes,
        np.array([token[gene] for gene in genes], np.int32),
        _positive([median[gene] for gene in genes], genes),
        pad,
        len(token) - len(genes),
        hashlib.sha256(json.dumps(sorted(token.items())).encode()).hexdigest()[:16],
    )


def translate(adata: AnnData, gene_key: str | None, mapping: Any) -> np.ndarray:
    """Return the names of the columns, or the Ensembl ids that a mapping gives for them."""
    names = gene_names(adata, gene_key)
    if mapping is None:
        return names
    table = _oriented(read_gene_values(mapping, "the mapping to Ensembl ids", repeats=True))
    # A suffix after "_" marks copies of a gene on other assemblies.
    ids = [ensembl_base(str(table.get(name, "")).split("_")[0]) or "" for name in names]
    if not any(ids):
        msg = problem(
            "names of the object in the mapping",
            f"none; the object has {shorten(names, 3)}, the mapping {shorten(table, 3)}",
            "Pass the column of names that it was made for as `gene_key`.",
        )
        raise ValueError(msg)
    return np.array(ids, dtype=object)


def _base(name: str) -> str:
    return ensembl_base(name) or name


def _tokens(given: dict[str, Any]) -> tuple[dict[str, int], int]:
    wrong = {n: v for n, v in given.items() if not _whole(v)}
    if wrong:
        shown = shorten(f"{n}: {v!r}" for n, v in wrong.items())
        msg = problem("tokens that are whole numbers of 0 or more", shown, "Check the file.")
        raise ValueError(msg)
    tokens = {name: int(value) for name, value in given.items()}
    if len(set(tokens.values())) < len(tokens):
        msg = problem("a token for each gene alone", "tokens that repeat", "Check the file.")
        raise ValueError(msg)
    if PAD not in tokens:
        msg = problem(
            f"{PAD!r} in the vocabulary", f"none among {len(tokens):,}", "Add it, with its token."
        )
        raise ValueError(msg)
    if any(name in tokens for name in _FRAME):
        warn(
            f"The vocabulary has {' and '.join(_FRAME)}: it belongs to a model whose sequences are "
            "framed by them, which is not done here."
        )
    special = {name for name in tokens if name.startswith("<")}
    return {_base(g): t for g, t in tokens.items() if g not in special}, tokens[PAD]


def _whole(value: Any) -> bool:
    try:
        return float(value) == int(float(value)) >= 0
    except (TypeError, ValueError, OverflowError):
        return False


def _positive(values: list[Any], genes: list[str]) -> np.ndarray:
    try:
        medians = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = problem("medians that are numbers", str(error), "Check the file.")
        raise ValueError(msg) from error
    bad = ~(np.isfinite(medians) & (medians > 0))
    if bad.any():
        shown = [f"{gene}: {medians[i]:g}" for i, gene in enumerate(genes) if bad[i]]
        msg = problem(
            "medians of non-zero values, which are above zero",
            f"{len(shown):,} others ({shorten(shown)})",
            "Leave these genes out of the medians.",
        )
        raise ValueError(msg)
    return medians


def _oriented(table: dict[str, Any]) -> dict[str, Any]:
    """Turn a table of id and name, as BioMart writes it, into one of name and id."""
    if any(ensembl_base(str(value).split("_")[0]) for value in table.values()):
        return table
    if not any(ensembl_base(name.split("_")[0]) for name in table):
        msg = problem(
            "a mapping from names to Ensembl ids",
            f"{shorten((f'{n}: {v}' for n, v in table.items()), 3)}",
            "Pass a table with a column of ids that start with ENS.",
        )
        raise ValueError(msg)
    turned: dict[str, Any] = {}
    for identifier, name in table.items():
        # The first id of a name counts, as the file lists it.
        turned.setdefault(str(name), identifier)
    return turned
