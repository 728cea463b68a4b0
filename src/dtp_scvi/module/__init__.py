"""One network a model family."""

from dtp_scvi.module._amu import NETWORKS, AMUModule, GeneAttention, Network, PanelCNN
from dtp_scvi.module._batch import SparseBatch, TrainingBatch, sorted_columns, sparse_batch
from dtp_scvi.module._dense import dense_rows
from dtp_scvi.module._dist_vae import DistVAEModule
from dtp_scvi.module._drug_sensitivity import (
    N_CLASSES,
    Adaptation,
    DrugSensitivityModule,
    SensitivityHead,
)
from dtp_scvi.module._logits import class_scores, one_against_rest
from dtp_scvi.module._program import ProgramModule, ResidualNet
from dtp_scvi.module._res_vae import DenseBatch, ResVAEModule, gaussian_kl
from dtp_scvi.module._response import LOSSES, Loss, ResponseModule
from dtp_scvi.module._student import StudentModule
from dtp_scvi.module._transformer import TransformerModule
from dtp_scvi.module._vae_presets import (
    ACTIVATIONS,
    PRESETS,
    SCHEDULES,
    SPECTRAL_NORMS,
    Activation,
    Preset,
    Schedule,
    SpectralNorm,
)

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "NETWORKS",
    "N_CLASSES",
    "PRESETS",
    "SCHEDULES",
    "SPECTRAL_NORMS",
    "AMUModule",
    "Activation",
    "Adaptation",
    "DenseBatch",
    "DistVAEModule",
    "DrugSensitivityModule",
    "GeneAttention",
    "Loss",
    "Network",
    "PanelCNN",
    "Preset",
    "ProgramModule",
    "ResVAEModule",
    "ResidualNet",
    "ResponseModule",
    "Schedule",
    "SensitivityHead",
    "SparseBatch",
    "SpectralNorm",
    "StudentModule",
    "TrainingBatch",
    "TransformerModule",
    "class_scores",
    "dense_rows",
    "gaussian_kl",
    "one_against_rest",
    "sorted_columns",
    "sparse_batch",
]
