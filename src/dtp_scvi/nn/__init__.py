"""Torch layers only."""

from dtp_scvi.nn._attention import ClsEncoder, TransformerBlock
from dtp_scvi.nn._mmd import BANDWIDTHS, mmd2
from dtp_scvi.nn._normalize import linear_values, log_normalize
from dtp_scvi.nn._residual_block import ResidualBlock, Swish, linear_layer
from dtp_scvi.nn._tokens import ProgramTokens, SparseBagSum, bag_offsets

__all__ = [
    "BANDWIDTHS",
    "ClsEncoder",
    "ProgramTokens",
    "ResidualBlock",
    "SparseBagSum",
    "Swish",
    "TransformerBlock",
    "bag_offsets",
    "linear_layer",
    "linear_values",
    "log_normalize",
    "mmd2",
]
