"""One verb a file; results are written under ``key_added``."""

from dtp_scvi.tl._attention import attention
from dtp_scvi.tl._attribute import attribute
from dtp_scvi.tl._attribution_stability import attribution_stability
from dtp_scvi.tl._compare_attributions import compare_attributions
from dtp_scvi.tl._compare_transfer import compare_transfer
from dtp_scvi.tl._cross_validate import cross_validate
from dtp_scvi.tl._drug_response import drug_response
from dtp_scvi.tl._embed import embed
from dtp_scvi.tl._embedding_network import embedding_vs_network
from dtp_scvi.tl._enrichment import enrichment
from dtp_scvi.tl._essentiality import essentiality
from dtp_scvi.tl._evaluate_perturbation import evaluate_perturbation
from dtp_scvi.tl._gene_map import gene_map
from dtp_scvi.tl._gene_survival import gene_survival
from dtp_scvi.tl._over_representation import over_representation
from dtp_scvi.tl._permutation_control import permutation_control
from dtp_scvi.tl._rank_targets import rank_targets
from dtp_scvi.tl._recalibrate import recalibrate
from dtp_scvi.tl._score import score
from dtp_scvi.tl._signatures import signatures
from dtp_scvi.tl._signatures_compare import compare_signatures
from dtp_scvi.tl._survival import survival
from dtp_scvi.tl._target_recovery import target_recovery
from dtp_scvi.tl._transfer_check import transfer_check

__all__ = [
    "attention",
    "attribute",
    "attribution_stability",
    "compare_attributions",
    "compare_signatures",
    "compare_transfer",
    "cross_validate",
    "drug_response",
    "embed",
    "embedding_vs_network",
    "enrichment",
    "essentiality",
    "evaluate_perturbation",
    "gene_map",
    "gene_survival",
    "over_representation",
    "permutation_control",
    "rank_targets",
    "recalibrate",
    "score",
    "signatures",
    "survival",
    "target_recovery",
    "transfer_check",
]
