"""Numbers in, numbers out: metrics, intervals, thresholds, curves and agreement."""

from dtp_scvi.stats._agreement import FIDELITY, fidelity, fidelity_interval
from dtp_scvi.stats._bootstrap import cluster_bootstrap_weights, interval
from dtp_scvi.stats._compare import bootstrap_metrics
from dtp_scvi.stats._confusion import threshold_sweep
from dtp_scvi.stats._curves import pr_table, reliability_table, roc_table
from dtp_scvi.stats._link import logit, sigmoid
from dtp_scvi.stats._metrics import (
    HIGHER_IS_BETTER,
    METRICS,
    WeightedMetrics,
    classification_metrics,
)
from dtp_scvi.stats._rules import RULES
from dtp_scvi.stats._thresholds import Threshold, choose_threshold

__all__ = [
    "FIDELITY",
    "HIGHER_IS_BETTER",
    "METRICS",
    "RULES",
    "Threshold",
    "WeightedMetrics",
    "bootstrap_metrics",
    "choose_threshold",
    "classification_metrics",
    "cluster_bootstrap_weights",
    "fidelity",
    "fidelity_interval",
    "interval",
    "logit",
    "pr_table",
    "reliability_table",
    "roc_table",
    "sigmoid",
    "threshold_sweep",
]
