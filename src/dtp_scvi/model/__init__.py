"""What a user instantiates: one class a file, on ``ExpressionClassifier``."""

from dtp_scvi.model._amu import AMU
from dtp_scvi.model._attribute import Attribution
from dtp_scvi.model._card import NOTES, ModelCard, read_card
from dtp_scvi.model._classifier import ExpressionClassifier
from dtp_scvi.model._dist_vae import DistVAE
from dtp_scvi.model._drug_sensitivity import DrugSensitivity
from dtp_scvi.model._load import load_model, load_predictor
from dtp_scvi.model._network_card import NetworkCard
from dtp_scvi.model._pertdit import PertDiT
from dtp_scvi.model._perturbation import PerturbationModel
from dtp_scvi.model._perturbation_baseline import PerturbationBaseline
from dtp_scvi.model._query import Query
from dtp_scvi.model._registration import Registration
from dtp_scvi.model._res_vae import ResVAE
from dtp_scvi.model._response import ResponseModel
from dtp_scvi.model._response_base import ResponseBase
from dtp_scvi.model._response_card import ResponseCard
from dtp_scvi.model._response_input import ALIGN
from dtp_scvi.model._response_transformer import ResponseTransformer
from dtp_scvi.model._saved import SavedModel
from dtp_scvi.model._student import DTPStudent
from dtp_scvi.model._transformer import DTPTransformer
from dtp_scvi.model._versions import versions
from dtp_scvi.model._xpert import XPert

__all__ = [
    "ALIGN",
    "AMU",
    "NOTES",
    "Attribution",
    "DTPStudent",
    "DTPTransformer",
    "DistVAE",
    "DrugSensitivity",
    "ExpressionClassifier",
    "ModelCard",
    "NetworkCard",
    "PertDiT",
    "PerturbationBaseline",
    "PerturbationModel",
    "Query",
    "Registration",
    "ResVAE",
    "ResponseBase",
    "ResponseCard",
    "ResponseModel",
    "ResponseTransformer",
    "SavedModel",
    "XPert",
    "load_model",
    "load_predictor",
    "read_card",
    "versions",
]
