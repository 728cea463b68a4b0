"""Columns of public expression tables that describe genes and are no samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# Headers that stand beside samples in public files, without case and punctuation. The first
# ones name genes, the best first.
GENE_HEADERS: Final = (
    "hugosymbol",
    "hgncsymbol",
    "approvedsymbol",
    "genesymbol",
    "symbol",
    "genename",
    "displaylabel",
    "ensemblgeneid",
    "ensemblid",
    "ensembl",
    "stableid",
    "geneid",
    "gene",
)
_OTHER_COLUMNS: Final = frozenset(
    {"entrez", "entrezid", "entrezgene", "entrezgeneid", "hugo", "hgnc", "hgncid", "genes"}
    | {"genenames", "geneids", "geneshortname", "ensemblgene", "name", "transcript", "accession"}
    | {"transcriptid", "probe", "probeid", "probesetid", "refseq", "unigene", "uniprot"}
    | {"idref", "compositeelementref", "unnamed0"}
    | {"description", "genedescription", "biotype", "genebiotype", "genetype", "locustype"}
    | {"locusgroup", "chromosome", "chromosomename", "chr", "chrom", "seqname", "seqnames"}
    | {"cytoband", "band", "genestart", "geneend", "length", "genelength", "efflength"}
    | {"effectivelength", "gc", "gccontent", "genegccontent"}
)
# Samples may be called "start" and "end", but not beside a chromosome.
_CHROMOSOME: Final = frozenset({"chromosome", "chromosomename", "chr", "chrom", "seqname"})
_COORDINATES: Final = frozenset({"start", "end", "strand", "width"})


def header_word(name: object) -> str:
    """
    Return a name in lower case, letters and digits only.

    Parameters
    ----------
    name
        A column name.

    Examples
    --------
    >>> from dtp_scvi.data import header_word
    >>> header_word("Entrez_Gene_Id")
    'entrezgeneid'
    """
    return "".join(letter for letter in str(name).lower() if letter.isalnum())


def are_headers(names: Sequence[str]) -> list[bool]:
    """
    Tell which names are known to describe genes, so that none becomes a sample.

    Parameters
    ----------
    names
        Column names of an expression table, or names of samples.

    Examples
    --------
    >>> from dtp_scvi.data import are_headers
    >>> are_headers(["Hugo_Symbol", "chromosome", "start", "BA2123R"])
    [True, True, True, False]
    """
    words = [header_word(name) for name in names]
    known = _OTHER_COLUMNS.union(GENE_HEADERS)
    if not _CHROMOSOME.isdisjoint(words):
        known |= _COORDINATES
    return [word in known for word in words]
