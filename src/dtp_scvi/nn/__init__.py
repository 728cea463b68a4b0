"""Torch layers only."""

from dtp_scvi.nn._attention import ClsEncoder, TransformerBlock
from dtp_scvi.nn._edm import EDM, sample_heun
from dtp_scvi.nn._ema import WeightAverage
from dtp_scvi.nn._gated import AdaptiveNorm, GatedMLP
from dtp_scvi.nn._masked_attention import MaskedAttention
from dtp_scvi.nn._mmd import BANDWIDTHS, mmd2
from dtp_scvi.nn._normalize import linear_values, log_normalize
from dtp_scvi.nn._residual_block import ResidualBlock, Swish, linear_layer
from dtp_scvi.nn._scfoundation import N_DEPTH_TOKENS, Pool, ScFoundationEncoder
from dtp_scvi.nn._schedule import Draw, NoiseSchedule, RowNoise, guided, sample_ddim, sample_ddpm
from dtp_scvi.nn._seeded import seeded
from dtp_scvi.nn._tokens import ProgramTokens, SparseBagSum, bag_offsets
from dtp_scvi.nn._values import AmountToken, ContinuousValues, StepEmbedding, ValueBins

__all__ = [
    "BANDWIDTHS",
    "EDM",
    "N_DEPTH_TOKENS",
    "AdaptiveNorm",
    "AmountToken",
    "ClsEncoder",
    "ContinuousValues",
    "Draw",
    "GatedMLP",
    "MaskedAttention",
    "NoiseSchedule",
    "Pool",
    "ProgramTokens",
    "ResidualBlock",
    "RowNoise",
    "ScFoundationEncoder",
    "SparseBagSum",
    "StepEmbedding",
    "Swish",
    "TransformerBlock",
    "ValueBins",
    "WeightAverage",
    "bag_offsets",
    "guided",
    "linear_layer",
    "linear_values",
    "log_normalize",
    "mmd2",
    "sample_ddim",
    "sample_ddpm",
    "sample_heun",
    "seeded",
]
