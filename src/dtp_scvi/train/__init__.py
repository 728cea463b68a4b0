"""Fitting: principal axes, linear part, plans, batches, gene panels, baselines."""

from dtp_scvi.train._augment import mix_rows
from dtp_scvi.train._axes import Axes, principal_axes
from dtp_scvi.train._baseline_fitted import FittedBaseline
from dtp_scvi.train._baseline_sample import RESAMPLERS, check_resample
from dtp_scvi.train._baseline_scores import LSC17_WEIGHTS, MEAN_SIGNATURES
from dtp_scvi.train._baseline_study import study_rows
from dtp_scvi.train._baselines import BASELINES, MORE_BASELINES, fit_baseline, usable_baselines
from dtp_scvi.train._batches import Rows, SparseBatches
from dtp_scvi.train._class_augmentation import (
    AUGMENTATIONS,
    augment_classes,
    augmentation_multipliers,
)
from dtp_scvi.train._dense_batches import DenseBatches, DenseRows
from dtp_scvi.train._imitate import LinearStart, ridge_start
from dtp_scvi.train._latent_start import latent_start
from dtp_scvi.train._linear import Folds, LinearFit, fit_linear
from dtp_scvi.train._panel import Panel, choose_panel, gene_attributions, panel_table
from dtp_scvi.train._perturbation_baselines import (
    NEED_STRUCTURES,
    PERTURBATION_BASELINES,
    fit_perturbation_baseline,
)
from dtp_scvi.train._perturbation_plan import PerturbationPlan
from dtp_scvi.train._perturbation_rows import (
    PerturbationKeys,
    PerturbationRows,
    perturbation_keys,
    perturbation_rows,
)
from dtp_scvi.train._plan import DistillPlan, PanelPlan, ResidualPlan
from dtp_scvi.train._prepare import (
    InnerFolds,
    TokenBasis,
    inner_folds,
    log_rows,
    read_rows,
    token_basis,
)
from dtp_scvi.train._run import Trainable, run_plan
from dtp_scvi.train._sensitivity import (
    FeatureBatches,
    FittedAdapter,
    SensitivityPlan,
    fit_adapter,
)
from dtp_scvi.train._treated_rows import TreatedBatches, TreatedRows, noise_seeds
from dtp_scvi.train._vae import VAEPlan, deal_rows, hold_out

__all__ = [
    "AUGMENTATIONS",
    "BASELINES",
    "LSC17_WEIGHTS",
    "MEAN_SIGNATURES",
    "MORE_BASELINES",
    "NEED_STRUCTURES",
    "PERTURBATION_BASELINES",
    "RESAMPLERS",
    "Axes",
    "DenseBatches",
    "DenseRows",
    "DistillPlan",
    "FeatureBatches",
    "FittedAdapter",
    "FittedBaseline",
    "Folds",
    "InnerFolds",
    "LinearFit",
    "LinearStart",
    "Panel",
    "PanelPlan",
    "PerturbationKeys",
    "PerturbationPlan",
    "PerturbationRows",
    "ResidualPlan",
    "Rows",
    "SensitivityPlan",
    "SparseBatches",
    "TokenBasis",
    "Trainable",
    "TreatedBatches",
    "TreatedRows",
    "VAEPlan",
    "augment_classes",
    "augmentation_multipliers",
    "check_resample",
    "choose_panel",
    "deal_rows",
    "fit_adapter",
    "fit_baseline",
    "fit_linear",
    "fit_perturbation_baseline",
    "gene_attributions",
    "hold_out",
    "inner_folds",
    "latent_start",
    "log_rows",
    "mix_rows",
    "noise_seeds",
    "panel_table",
    "perturbation_keys",
    "perturbation_rows",
    "principal_axes",
    "read_rows",
    "ridge_start",
    "run_plan",
    "study_rows",
    "token_basis",
    "usable_baselines",
]
