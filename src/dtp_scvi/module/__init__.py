"""One network a model family."""

from dtp_scvi.module._amu import NETWORKS, AMUModule, GeneAttention, Network, PanelCNN
from dtp_scvi.module._batch import SparseBatch, TrainingBatch, sorted_columns, sparse_batch
from dtp_scvi.module._geneformer import GeneformerEncoder, load_geneformer
from dtp_scvi.module._logits import class_scores, one_against_rest
from dtp_scvi.module._program import ProgramModule, ResidualNet
from dtp_scvi.module._response import LOSSES, Loss, ResponseModule
from dtp_scvi.module._scfoundation import load_scfoundation
from dtp_scvi.module._student import StudentModule
from dtp_scvi.module._transformer import TransformerModule

__all__ = [
    "LOSSES",
    "NETWORKS",
    "AMUModule",
    "GeneAttention",
    "GeneformerEncoder",
    "Loss",
    "Network",
    "PanelCNN",
    "ProgramModule",
    "ResidualNet",
    "ResponseModule",
    "SparseBatch",
    "StudentModule",
    "TrainingBatch",
    "TransformerModule",
    "class_scores",
    "load_geneformer",
    "load_scfoundation",
    "one_against_rest",
    "sorted_columns",
    "sparse_batch",
]
