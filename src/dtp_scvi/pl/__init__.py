"""One figure a function: takes ``ax``, returns ``Axes``, draws what ``tl`` wrote."""

from dtp_scvi.pl._atom_attention import atom_attention
from dtp_scvi.pl._attribution import attribution, attribution_beeswarm
from dtp_scvi.pl._attribution_agreement import attribution_agreement
from dtp_scvi.pl._attribution_dependence import attribution_dependence
from dtp_scvi.pl._attribution_groups import attribution_groups
from dtp_scvi.pl._audit import audit
from dtp_scvi.pl._benchmark import benchmark
from dtp_scvi.pl._calibration import calibration
from dtp_scvi.pl._coverage import coverage
from dtp_scvi.pl._decision_curve import decision_curve
from dtp_scvi.pl._dose_time import dose_time
from dtp_scvi.pl._drug_patients import drug_scatter, drug_waterfall
from dtp_scvi.pl._drug_response import drug_response
from dtp_scvi.pl._drug_transfer import drug_transfer
from dtp_scvi.pl._enrichment import enrichment
from dtp_scvi.pl._essentiality import essentiality
from dtp_scvi.pl._fidelity import fidelity
from dtp_scvi.pl._gene_attention import gene_attention
from dtp_scvi.pl._gene_embedding import gene_embedding
from dtp_scvi.pl._history import history
from dtp_scvi.pl._leak_demonstration import leak_demonstration
from dtp_scvi.pl._null_controls import null_controls
from dtp_scvi.pl._perturbation_benchmark import perturbation_benchmark
from dtp_scvi.pl._perturbation_heatmap import perturbation_heatmap
from dtp_scvi.pl._perturbation_scatter import perturbation_scatter
from dtp_scvi.pl._pr import pr
from dtp_scvi.pl._program_attention import program_attention
from dtp_scvi.pl._response_heatmap import response_heatmap
from dtp_scvi.pl._roc import roc
from dtp_scvi.pl._scores import scores
from dtp_scvi.pl._signatures import signatures
from dtp_scvi.pl._survival import survival
from dtp_scvi.pl._target_recovery import target_recovery
from dtp_scvi.pl._targets import targets
from dtp_scvi.pl._threshold_sweep import threshold_sweep
from dtp_scvi.pl._threshold_transfer import threshold_transfer
from dtp_scvi.pl._transfer import transfer

__all__ = [
    "atom_attention",
    "attribution",
    "attribution_agreement",
    "attribution_beeswarm",
    "attribution_dependence",
    "attribution_groups",
    "audit",
    "benchmark",
    "calibration",
    "coverage",
    "decision_curve",
    "dose_time",
    "drug_response",
    "drug_scatter",
    "drug_transfer",
    "drug_waterfall",
    "enrichment",
    "essentiality",
    "fidelity",
    "gene_attention",
    "gene_embedding",
    "history",
    "leak_demonstration",
    "null_controls",
    "perturbation_benchmark",
    "perturbation_heatmap",
    "perturbation_scatter",
    "pr",
    "program_attention",
    "response_heatmap",
    "roc",
    "scores",
    "signatures",
    "survival",
    "target_recovery",
    "targets",
    "threshold_sweep",
    "threshold_transfer",
    "transfer",
]
