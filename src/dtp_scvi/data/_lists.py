"""Genes whose expression tells sample handling, sex or ribosome content rather than state."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dtp_scvi.data._symbols import SymbolResolver, ensembl_base

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_RIBOSOMAL = re.compile(
    r"^(RP[LS]\d+[AXYL]?\d*(L\d*)?|RPS4Y[12]|RPLP[012]|RPSA2?|FAU|UBA52|RACK1|GNB2L1"
    r"|RP[LS]\d+[A-Z]?\d*P\d+)$"
)
_MITOCHONDRIAL = re.compile(r"^(MT-.+|MT(ND[1-6]|ND4L|CO[1-3]|ATP[68]|CYB))$")
_HAEMOGLOBIN = re.compile(r"^HB(A[12]|B|D|E1|G[12]|M|Q1|Z)$")

# Male-specific region of the Y chromosome, and the X-inactivation transcripts.
_SEX: Final = (
    "XIST TSIX SRY RPS4Y1 RPS4Y2 ZFY AMELY TBL1Y PRKY TTTY15 USP9Y DDX3Y UTY TMSB4Y NLGN4Y "
    "KDM5D EIF1AY CDY1 CDY2A DAZ1 DAZ2 DAZ3 DAZ4 BPY2 HSFY1 HSFY2 RBMY1A1 RBMY1B RBMY1D RBMY1E "
    "RBMY1F RBMY1J PCDH11Y TGIF2LY TSPY1 TXLNGY TTTY10 TTTY14 LINC00278 ANOS2P"
)

# Early-response and heat-shock genes that tissue dissociation raises: van den Brink et al. Nature
# Methods 14:935 (2017), human counterparts of the affected genes of their Supplementary Table 1.
_DISSOCIATION: Final = (
    "ACTG1 ANKRD1 ARID5A ATF3 ATF4 BAG3 BHLHE40 BRD2 BTG1 BTG2 CCNL1 CCRN4L NOCT CEBPB CEBPD CEBPG "
    "CSRNP1 CXCL1 CYR61 CCN1 DCN DDX3X DDX5 DES DNAJA1 DNAJB1 DNAJB4 DUSP1 DUSP8 EGR1 EGR2 EIF1 "
    "EIF5 ERF ERRFI1 FAM132B ERFE FOS FOSB FOSL2 GADD45A GADD45G GCC1 GEM H3F3B H3-3B HIPK3 "
    "HSP90AA1 HSP90AB1 HSPA1A HSPA1B HSPA5 HSPA8 HSPB1 HSPE1 HSPH1 ID3 IDI1 IER2 IER3 IER5 IFRD1 "
    "IL6 IRF1 IRF8 ITPKC JUN JUNB JUND KCNE4 KLF2 KLF4 KLF6 KLF9 LITAF LMNA MAFF MAFK MCL1 MIDN "
    "MIR22HG MT1A MT1E MT1M MT1X MT2A MYADM MYC MYD88 NCKAP5L NCOA7 NFKBIA NFKBIZ NOP58 NPPC NR4A1 "
    "ODC1 OSGIN1 OXNAD1 PCF11 PDE4B PER1 PHLDA1 PNP PNRC1 PPP1CC PPP1R15A PXDC1 RAP1B RASSF1 RHOB "
    "RHOH RIPK1 SAT1 SBNO2 SDC4 SERPINE1 SKIL SLC10A6 SLC38A2 SLC41A1 SOCS3 SQSTM1 SRF SRSF5 SRSF7 "
    "STAT3 TAGLN2 TIPARP TNFAIP3 TNFAIP6 TPM3 TPPP3 TRA2A TRA2B TRIB1 TUBB4B TUBB6 UBC USP2 WAC "
    "ZC3H12A ZFAND5 ZFP36 ZFP36L1 ZFP36L2 ZYX"
)


def nuisance_genes(names: Iterable[str]) -> dict[str, list[str]]:
    """
    Find ribosomal, mitochondrial, sex, haemoglobin and dissociation genes.

    Parameters
    ----------
    names
        Human gene symbols in any case, or Ensembl gene ids.

    Returns
    -------
    The names found, in order, under ``"ribosomal"`` (cytosolic ribosomal proteins and their
    pseudogenes, not RPS6 kinases), ``"mitochondrial"`` (encoded by mitochondrial DNA), ``"sex"``
    (Y chromosome and X inactivation), ``"haemoglobin"`` (globins, not HBP1 or HBEGF) and
    ``"dissociation"`` (early response to tissue dissociation, after van den Brink et al., Nature
    Methods 14:935, 2017).

    Examples
    --------
    >>> from dtp_scvi.data import nuisance_genes
    >>> found = nuisance_genes(["RPL13", "RPS6KA1", "MT-ND1", "HBP1", "HBB", "FOS", "CD34"])
    >>> found["ribosomal"], found["mitochondrial"], found["haemoglobin"], found["dissociation"]
    (['RPL13'], ['MT-ND1'], ['HBB'], ['FOS'])
    """
    tests: dict[str, Callable[[str], object]] = {
        "ribosomal": _RIBOSOMAL.match,
        "mitochondrial": _MITOCHONDRIAL.match,
        "sex": frozenset(_SEX.split()).__contains__,
        "haemoglobin": _HAEMOGLOBIN.match,
        "dissociation": frozenset(_DISSOCIATION.split()).__contains__,
    }
    pairs = _symbols([str(name) for name in names])
    return {
        kind: [name for name, symbol in pairs if matches(symbol)]
        for kind, matches in tests.items()
    }


def _symbols(names: list[str]) -> list[tuple[str, str]]:
    """Pair each name with its symbol in upper case; Ensembl ids are looked up."""
    ids = [name for name in names if ensembl_base(name)]
    found = SymbolResolver.bundled().look_up(ids) if ids else []
    known = {name: symbol for name, (symbol, _, _) in zip(ids, found, strict=True) if symbol}
    return [(name, known.get(name, name).upper()) for name in names]
