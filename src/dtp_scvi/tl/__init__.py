"""One verb a file; results are written under ``key_added``."""

from dtp_scvi.tl._cross_validate import cross_validate
from dtp_scvi.tl._drug_response import drug_response
from dtp_scvi.tl._rank_targets import rank_targets
from dtp_scvi.tl._recalibrate import recalibrate
from dtp_scvi.tl._score import score
from dtp_scvi.tl._survival import survival
from dtp_scvi.tl._target_recovery import target_recovery
from dtp_scvi.tl._transfer_check import transfer_check

__all__ = [
    "cross_validate",
    "drug_response",
    "rank_targets",
    "recalibrate",
    "score",
    "survival",
    "target_recovery",
    "transfer_check",
]
