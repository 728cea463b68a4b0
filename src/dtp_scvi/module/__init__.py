"""One network a model family."""

from dtp_scvi.module._amu import NETWORKS, AMUModule, GeneAttention, Network, PanelCNN
from dtp_scvi.module._batch import SparseBatch, TrainingBatch, sorted_columns, sparse_batch
from dtp_scvi.module._drugs import DrugBuffers, Drugs, DrugSizes
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
from dtp_scvi.module._response import LOSSES, Loss, ResponseModule
from dtp_scvi.module._student import StudentModule
from dtp_scvi.module._transformer import TransformerModule
from dtp_scvi.module._xpert import XPertModule, XPertWeights
from dtp_scvi.module._xpert_tokens import DOSE_EDGES, TIME_EDGES, VALUES, Value

__all__ = [
    "BACKBONES",
    "DOSE_EDGES",
    "LOSSES",
    "NETWORKS",
    "OBJECTIVES",
    "PREDICTIONS",
    "SAMPLERS",
    "TARGETS",
    "TIME_EDGES",
    "VALUES",
    "AMUModule",
    "Backbone",
    "DrugBuffers",
    "DrugSizes",
    "Drugs",
    "GeneAttention",
    "Loss",
    "Network",
    "Objective",
    "PanelCNN",
    "PertDiTModule",
    "PerturbationBatch",
    "PerturbationModule",
    "Prediction",
    "ProgramModule",
    "ResidualNet",
    "ResponseModule",
    "Sampler",
    "SparseBatch",
    "StudentModule",
    "Target",
    "TrainingBatch",
    "TransformerModule",
    "Value",
    "XPertModule",
    "XPertWeights",
    "class_scores",
    "one_against_rest",
    "sorted_columns",
    "sparse_batch",
]
