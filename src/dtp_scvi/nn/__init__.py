"""Torch layers only."""

from dtp_scvi.nn._attention import ClsEncoder, TransformerBlock
from dtp_scvi.nn._mmd import BANDWIDTHS, mmd2
from dtp_scvi.nn._normalize import linear_values, log_normalize
from dtp_scvi.nn._residual_block import ResidualBlock, Swish, linear_layer
from dtp_scvi.nn._scfoundation import N_DEPTH_TOKENS, Pool, ScFoundationEncoder
from dtp_scvi.nn._tokens import ProgramTokens, SparseBagSum, bag_offsets

__all__ = [
    "BANDWIDTHS",
    "N_DEPTH_TOKENS",
    "ClsEncoder",
    "Pool",
    "ProgramTokens",
    "ResidualBlock",
    "ScFoundationEncoder",
    "SparseBagSum",
    "Swish",
    "TransformerBlock",
    "bag_offsets",
    "linear_layer",
    "linear_values",
    "log_normalize",
    "mmd2",
]
