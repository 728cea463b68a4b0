"""The one place where expression becomes log1p of 10,000 counts a row."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from dtp_scvi._constants import TARGET_SUM


def linear_values(values: Tensor, kind: str) -> Tensor:
    """Undo the logarithm that the input is stored in.

    Parameters
    ----------
    values
        Values of any shape.
    kind
        How the input is stored: ``"linear"``, ``"log1p"`` (natural), ``"log2p1"``, or ``"as_is"``
        for values that are used as they are.
    """
    if kind == "log1p":
        return torch.expm1(values)
    return torch.expm1(values * math.log(2.0)) if kind == "log2p1" else values


def log_normalize(values: Tensor, lengths: Tensor, total: Tensor, kind: str) -> Tensor:
    """Bring the nonzeros of a sparse batch to log1p(1e4 · x / total).

    Parameters
    ----------
    values
        Nonzeros of all rows, one row after the other, on the scale of the input.
    lengths
        Number of nonzeros in each row.
    total
        Sum of each row on the linear scale, over all genes of the input.
    kind
        How the input is stored: ``"linear"``, ``"log1p"`` (natural) or ``"log2p1"``. Values of
        the kind ``"as_is"`` come back unchanged.

    Returns
    -------
    Values >= 0 with the shape of ``values``, float32.
    """
    if kind == "as_is":
        return values
    values = linear_values(values, kind)
    # A row without counts has no nonzeros, so its factor is never used.
    factor = (TARGET_SUM / total.double().clamp_min(1e-12)).to(values.dtype)
    if values.device.type == "cpu":
        # torch repeats by way of an index array, which takes five times as long.
        spread = torch.from_numpy(np.repeat(factor.numpy(), lengths.numpy()))
    else:
        spread = torch.repeat_interleave(factor, lengths, output_size=len(values))
    return torch.log1p(spread.mul_(values))
