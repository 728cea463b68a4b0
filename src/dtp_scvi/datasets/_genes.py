"""The gene names of the simulators: curated markers first, then approved symbols."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from functools import cache
from importlib.resources import files
from typing import Final

from dtp_scvi._validate import problem

# The 17 genes of the LSC17 score (Ng et al., Nature 2016, doi:10.1038/nature20598) under their
# approved symbols; the sign is that of the published coefficient.
LSC17_SIGNS: Final[dict[str, int]] = {
    "DNMT3B": 1,
    "ZBTB46": -1,
    "NYNRIN": 1,
    "ARHGAP22": -1,
    "LAPTM4B": 1,
    "MMRN1": 1,
    "DPYSL3": 1,
    "FAM30A": 1,
    "CDK6": -1,
    "CPXM1": -1,
    "SOCS2": 1,
    "SMIM24": -1,
    "EMP1": 1,
    "BEX3": 1,
    "CD34": 1,
    "AKR1C3": -1,
    "ADGRG1": 1,
}

# Genes that define a programme of the simulation, so that marker plots look as expected.
MARKERS: Final[dict[str, tuple[str, ...]]] = {
    "stemness": (*LSC17_SIGNS, "HLF", "MECOM", "CRHBP", "HOPX"),
    "progenitor": ("MPO", "ELANE", "AZU1", "PRTN3", "CTSG", "KIT", "FLT3"),
    "monocytic": ("LYZ", "S100A8", "S100A9", "CD14", "FCN1", "CSF1R", "CTSS", "ADGRE5"),
    "lymphoid": ("CD3D", "CD3E", "CD79A", "MS4A1", "NKG7", "IL7R"),
    "erythroid": ("HBA1", "HBA2", "HBB", "GYPA", "ALAS2", "AHSP", "KLF1"),
    "cell_cycle": ("MKI67", "TOP2A", "CDK1", "TYMS", "PCNA", "CIP2A", "PCLAF", "H2AZ1"),
    "dissociation": ("FOS", "FOSB", "JUN", "JUNB", "EGR1", "HSPA1A", "DUSP1"),
    "ribosomal": ("RPL3", "RPL10", "RPL13", "RPLP0", "RPS2", "RPS6", "RPS18", "RACK1"),
    "mitochondrial": ("MT-CO1", "MT-CO2", "MT-ND1", "MT-ND4", "MT-CYB", "ATP5F1B"),
    "tolerance_1": ("CCN1", "CCN2", "NECTIN2"),
    "tolerance_2": ("PLPP3", "CAVIN1", "P3H2"),
    "tolerance_3": ("NIBAN1", "TENT5A", "STING1"),
    "tolerance_4": ("MYDGF", "AFDN", "NSD2"),
}
FEMALE_GENES: Final = ("XIST",)
MALE_GENES: Final = ("RPS4Y1", "DDX3Y")

# old symbol -> approved symbol; each old symbol is a previous symbol of this gene only.
RENAMED: Final[dict[str, str]] = {
    "KIAA0125": "FAM30A",
    "NGFRAP1": "BEX3",
    "GPR56": "ADGRG1",
    "C19orf77": "SMIM24",
    "CD97": "ADGRE5",
    "KIAA1524": "CIP2A",
    "KIAA0101": "PCLAF",
    "H2AFZ": "H2AZ1",
    "GNB2L1": "RACK1",
    "ATP5B": "ATP5F1B",
    "CYR61": "CCN1",
    "CTGF": "CCN2",
    "PVRL2": "NECTIN2",
    "PPAP2B": "PLPP3",
    "PTRF": "CAVIN1",
    "LEPREL1": "P3H2",
    "FAM129A": "NIBAN1",
    "FAM46A": "TENT5A",
    "TMEM173": "STING1",
    "C19orf10": "MYDGF",
    "MLLT4": "AFDN",
    "WHSC1": "NSD2",
}

# Families that are mostly RNA genes, pseudogenes, receptor segments or provisional names.
_NOT_CODING = re.compile(
    r"(-AS\d*|-IT\d*|-DT|-OT\d*|-[A-Z]?\d*P\d*)$"
    r"|^(LINC|MIR|SNOR|RN[0-9UY]|RNU|RNA|SCARNA|TR[A-Z]-|TR[ABDG][VDJC]|IG[HKL][VDJCMAEG]|LOC|MT-)"
    r"|^(OR\d|VN1R|TAS2R|KRTAP|DEF|USP17L|GAGE|PRAMEF|HLA-|VTRNA|GC\d|FRA\d)"
    r"|\d[A-Z]?P\d*$|[@~]|orf"
)


def curated_genes() -> tuple[str, ...]:
    """Return the approved symbols that every simulation contains, without repeats."""
    listed = [gene for genes in MARKERS.values() for gene in genes]
    return tuple(dict.fromkeys([*listed, *FEMALE_GENES, *MALE_GENES]))


@cache
def _approved_symbols() -> frozenset[str]:
    """Return the symbols that HGNC approves and Ensembl knows, from the bundled table."""
    path = files("dtp_scvi.data") / "resources" / "hgnc_symbols.tsv.gz"
    with path.open("rb") as raw, gzip.open(raw, "rt", encoding="utf-8") as handle:
        rows = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
        return frozenset(row["symbol"] for row in rows if row["ensembl"])


def _looks_coding(symbol: str, approved: frozenset[str]) -> bool:
    if _NOT_CODING.search(symbol) or len(symbol) < 3:
        return False
    parent = re.sub(r"P\d*$", "", symbol)
    return parent == symbol or parent not in approved


def choose_genes(n_genes: int) -> list[str]:
    """Return ``n_genes`` approved symbols; a smaller choice is the start of a larger one.

    Genes beyond the curated ones are ordered by a checksum of their name, so that a change of
    the symbol table moves few genes.
    """
    curated = curated_genes()
    approved = _approved_symbols()
    pool = [gene for gene in approved if gene not in curated and _looks_coding(gene, approved)]
    if n_genes > len(curated) + len(pool):
        msg = problem(
            f"`n_genes` of at most {len(curated) + len(pool):,}, the gene names at hand",
            f"{n_genes:,}",
            "Lower `n_genes`.",
        )
        raise ValueError(msg)
    pool.sort(key=lambda gene: (zlib.crc32(gene.encode()), gene))
    return [*curated, *pool][:n_genes]
