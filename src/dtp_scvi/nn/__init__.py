"""Torch layers only."""

from dtp_scvi.nn._attention import ClsEncoder, TransformerBlock
from dtp_scvi.nn._mmd import BANDWIDTHS, mmd2
from dtp_scvi.nn._normalize import linear_values, log_normalize
from dtp_scvi.nn._tokens import ProgramTokens, SparseBagSum, bag_offsets

__all__ = [
    "BANDWIDTHS",
    "ClsEncoder",
    "ProgramTokens",
    "SparseBagSum",
    "TransformerBlock",
    "bag_offsets",
    "linear_values",
    "log_normalize",
    "mmd2",
]
