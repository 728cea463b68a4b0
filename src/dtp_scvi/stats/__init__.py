"""Numbers in, numbers out: metrics, calibration, intervals, thresholds, shift and curves."""

from dtp_scvi.stats._agreement import FIDELITY, fidelity, fidelity_interval
from dtp_scvi.stats._auroc import auroc, auroc_interval, standardised_difference
from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights, interval
from dtp_scvi.stats._calibration import Calibration
from dtp_scvi.stats._calibration_line import calibration_line
from dtp_scvi.stats._calibration_metrics import ace, brier_decomposition, ece, log_loss, mce
from dtp_scvi.stats._calibration_summary import CALIBRATION_METRICS, calibration_metrics
from dtp_scvi.stats._calibrator import Calibrator
from dtp_scvi.stats._calibrators import (
    CALIBRATORS,
    BetaCalibrator,
    IsotonicCalibrator,
    PlattCalibrator,
    TemperatureCalibrator,
    fit_calibrator,
)
from dtp_scvi.stats._cluster_mean import cluster_mean
from dtp_scvi.stats._compare import bootstrap_metrics
from dtp_scvi.stats._concordance import concordance, concordance_interval
from dtp_scvi.stats._conformal import MondrianConformal, fewest_donors
from dtp_scvi.stats._conformal_coverage import conformal_coverage
from dtp_scvi.stats._confusion import threshold_sweep
from dtp_scvi.stats._coverage_table import coverage_table
from dtp_scvi.stats._curves import pr_table, reliability_table, roc_table
from dtp_scvi.stats._decision_curve import decision_curve
from dtp_scvi.stats._follow_up import median_follow_up
from dtp_scvi.stats._gene_associations import GeneAssociations
from dtp_scvi.stats._gene_fit import gene_r2, gene_r2_interval
from dtp_scvi.stats._gene_mmd import gene_mmd
from dtp_scvi.stats._label_shift import PrevalenceEstimate, bbse, prior_correction, saerens_em
from dtp_scvi.stats._label_shift_test import LabelShiftTest, label_shift_test
from dtp_scvi.stats._levels import cramers_v, level_auroc, pure_share
from dtp_scvi.stats._link import logit, sigmoid
from dtp_scvi.stats._lowess import lowess
from dtp_scvi.stats._macro_f1 import macro_f1, macro_f1_interval
from dtp_scvi.stats._matched_draws import matched_draws, matching_bins
from dtp_scvi.stats._matched_set import MatchedSetTest, matched_set_test
from dtp_scvi.stats._metrics import (
    HIGHER_IS_BETTER,
    METRICS,
    WeightedMetrics,
    classification_metrics,
)
from dtp_scvi.stats._mixed_model import MixedModel, mixed_model
from dtp_scvi.stats._moments import LEDOIT_WOLF, LinearMap, Moments, coral_map, moment_map
from dtp_scvi.stats._network_agreement import (
    NETWORK_STATISTICS,
    NetworkAgreement,
    network_agreement,
)
from dtp_scvi.stats._over_representation import over_representation
from dtp_scvi.stats._profiles import group_profiles, profile_correlation, profile_r2
from dtp_scvi.stats._random_effects import RandomEffects, random_effects
from dtp_scvi.stats._rank_aggregation import (
    robust_rank_aggregation,
    weighted_geometric_mean,
    within_list_quantiles,
)
from dtp_scvi.stats._rank_correlation import (
    RankCorrelation,
    partial_rank_correlation,
    rank_correlation,
)
from dtp_scvi.stats._replicates import ReplicateCeiling, control_artefact, replicate_ceiling
from dtp_scvi.stats._retrieval import retrieval_rank
from dtp_scvi.stats._rmst import MeanDifference, rmst, rmst_difference
from dtp_scvi.stats._rules import RULES
from dtp_scvi.stats._score_reference import ScoreReference
from dtp_scvi.stats._selective_effect import selective_effect
from dtp_scvi.stats._shuffle import shuffled_tables
from dtp_scvi.stats._smooth_ece import smooth_ece
from dtp_scvi.stats._space_reference import SpaceReference
from dtp_scvi.stats._spline import spline_basis, spline_knots
from dtp_scvi.stats._stratified_auroc import stratified_auroc, stratified_auroc_table
from dtp_scvi.stats._tanimoto import tanimoto
from dtp_scvi.stats._threshold_transfer import threshold_transfer
from dtp_scvi.stats._thresholds import Threshold, choose_threshold
from dtp_scvi.stats._time_dependent_auc import (
    time_dependent_auc,
    time_dependent_auc_interval,
)
from dtp_scvi.stats._top_genes import precision_at_k
from dtp_scvi.stats._within_drug import (
    DrugRanks,
    PooledRank,
    other_drugs_rank,
    pooled_rank_correlation,
    within_drug_rank,
)

__all__ = [
    "CALIBRATION_METRICS",
    "CALIBRATORS",
    "FIDELITY",
    "HIGHER_IS_BETTER",
    "LEDOIT_WOLF",
    "METRICS",
    "NETWORK_STATISTICS",
    "RULES",
    "BetaCalibrator",
    "Calibration",
    "Calibrator",
    "DrugRanks",
    "GeneAssociations",
    "IsotonicCalibrator",
    "LabelShiftTest",
    "LinearMap",
    "MatchedSetTest",
    "MeanDifference",
    "MixedModel",
    "Moments",
    "MondrianConformal",
    "NetworkAgreement",
    "PlattCalibrator",
    "PooledRank",
    "PrevalenceEstimate",
    "RandomEffects",
    "RankCorrelation",
    "ReplicateCeiling",
    "ScoreReference",
    "SpaceReference",
    "TemperatureCalibrator",
    "Threshold",
    "WeightedMetrics",
    "ace",
    "auroc",
    "auroc_interval",
    "bbse",
    "bootstrap_metrics",
    "brier_decomposition",
    "calibration_line",
    "calibration_metrics",
    "choose_threshold",
    "classification_metrics",
    "cluster_bootstrap_weights",
    "cluster_mean",
    "concordance",
    "concordance_interval",
    "conformal_coverage",
    "control_artefact",
    "coral_map",
    "coverage_table",
    "cramers_v",
    "decision_curve",
    "ece",
    "fewest_donors",
    "fidelity",
    "fidelity_interval",
    "fit_calibrator",
    "gene_mmd",
    "gene_r2",
    "gene_r2_interval",
    "group_profiles",
    "interval",
    "label_shift_test",
    "level_auroc",
    "log_loss",
    "logit",
    "lowess",
    "macro_f1",
    "macro_f1_interval",
    "matched_draws",
    "matched_set_test",
    "matching_bins",
    "mce",
    "median_follow_up",
    "mixed_model",
    "moment_map",
    "network_agreement",
    "other_drugs_rank",
    "over_representation",
    "partial_rank_correlation",
    "pooled_rank_correlation",
    "pr_table",
    "precision_at_k",
    "prior_correction",
    "profile_correlation",
    "profile_r2",
    "pure_share",
    "random_effects",
    "rank_correlation",
    "reliability_table",
    "replicate_ceiling",
    "retrieval_rank",
    "rmst",
    "rmst_difference",
    "robust_rank_aggregation",
    "roc_table",
    "saerens_em",
    "selective_effect",
    "shuffled_tables",
    "sigmoid",
    "smooth_ece",
    "spline_basis",
    "spline_knots",
    "standardised_difference",
    "stratified_auroc",
    "stratified_auroc_table",
    "tanimoto",
    "threshold_sweep",
    "threshold_transfer",
    "time_dependent_auc",
    "time_dependent_auc_interval",
    "weighted_geometric_mean",
    "within_drug_rank",
    "within_list_quantiles",
]
