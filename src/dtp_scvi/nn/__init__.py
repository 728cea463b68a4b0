"""Torch layers only."""

from dtp_scvi.nn._attention import ClsEncoder, TransformerBlock
from dtp_scvi.nn._normalize import linear_values, log_normalize
from dtp_scvi.nn._scfoundation import N_DEPTH_TOKENS, Pool, ScFoundationEncoder
from dtp_scvi.nn._tokens import ProgramTokens, SparseBagSum, bag_offsets

__all__ = [
    "N_DEPTH_TOKENS",
    "ClsEncoder",
    "Pool",
    "ProgramTokens",
    "ScFoundationEncoder",
    "SparseBagSum",
    "TransformerBlock",
    "bag_offsets",
    "linear_values",
    "log_normalize",
]
