"""One verb a file; results are written under ``key_added``."""

from dtp_scvi.tl._attribute import attribute
from dtp_scvi.tl._cross_validate import cross_validate
from dtp_scvi.tl._drug_response import drug_response
from dtp_scvi.tl._recalibrate import recalibrate
from dtp_scvi.tl._score import score
from dtp_scvi.tl._survival import survival
from dtp_scvi.tl._transfer_check import transfer_check

__all__ = [
    "attribute",
    "cross_validate",
    "drug_response",
    "recalibrate",
    "score",
    "survival",
    "transfer_check",
]
