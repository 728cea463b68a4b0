"""One network a model family."""

from dtp_scvi.module._amu import NETWORKS, AMUModule, GeneAttention, Network, PanelCNN
from dtp_scvi.module._batch import SparseBatch, TrainingBatch, sorted_columns, sparse_batch
from dtp_scvi.module._dense import dense_inputs
from dtp_scvi.module._dist_vae import DistVAEModule
from dtp_scvi.module._drug_sensitivity import (
    N_CLASSES,
    Adaptation,
    DrugSensitivityModule,
    SensitivityHead,
)
from dtp_scvi.module._drugs import DrugBuffers, Drugs, DrugSizes
from dtp_scvi.module._geneformer import GeneformerEncoder, load_geneformer
from dtp_scvi.module._logits import class_scores, one_against_rest
from dtp_scvi.module._pertdit import (
    OBJECTIVES,
    PREDICTIONS,
    SAMPLERS,
    TARGETS,
    Objective,
    PertDiTModule,
    Prediction,
    Sampler,
    Target,
)
from dtp_scvi.module._pertdit_net import BACKBONES, Backbone
from dtp_scvi.module._perturbation import PerturbationBatch, PerturbationModule
from dtp_scvi.module._program import ProgramModule, ResidualNet
from dtp_scvi.module._res_vae import DenseBatch, ResVAEModule, gaussian_kl
from dtp_scvi.module._response import LOSSES, Loss, ResponseModule
from dtp_scvi.module._scfoundation import load_scfoundation
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
from dtp_scvi.module._xpert import XPertModule, XPertWeights
from dtp_scvi.module._xpert_tokens import DOSE_EDGES, TIME_EDGES, VALUES, Value

__all__ = [
    "ACTIVATIONS",
    "BACKBONES",
    "DOSE_EDGES",
    "LOSSES",
    "NETWORKS",
    "N_CLASSES",
    "OBJECTIVES",
    "PREDICTIONS",
    "PRESETS",
    "SAMPLERS",
    "SCHEDULES",
    "SPECTRAL_NORMS",
    "TARGETS",
    "TIME_EDGES",
    "VALUES",
    "AMUModule",
    "Activation",
    "Adaptation",
    "Backbone",
    "DenseBatch",
    "DistVAEModule",
    "DrugBuffers",
    "DrugSensitivityModule",
    "DrugSizes",
    "Drugs",
    "GeneAttention",
    "GeneformerEncoder",
    "Loss",
    "Network",
    "Objective",
    "PanelCNN",
    "PertDiTModule",
    "PerturbationBatch",
    "PerturbationModule",
    "Prediction",
    "Preset",
    "ProgramModule",
    "ResVAEModule",
    "ResidualNet",
    "ResponseModule",
    "Sampler",
    "Schedule",
    "SensitivityHead",
    "SparseBatch",
    "SpectralNorm",
    "StudentModule",
    "Target",
    "TrainingBatch",
    "TransformerModule",
    "Value",
    "XPertModule",
    "XPertWeights",
    "class_scores",
    "dense_inputs",
    "gaussian_kl",
    "load_geneformer",
    "load_scfoundation",
    "one_against_rest",
    "sorted_columns",
    "sparse_batch",
]
