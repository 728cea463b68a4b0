"""From raw network outputs to log-odds."""

from __future__ import annotations

import torch
from torch import Tensor


def class_scores(raw: Tensor) -> Tensor:
    """Return one score a class; a single output is the log-odds of the second class."""
    return torch.cat([torch.zeros_like(raw), raw], dim=1) if raw.shape[1] == 1 else raw


def one_against_rest(raw: Tensor) -> Tensor:
    """Return the log-odds of each class against all others, shape (n_rows, n_classes).

    ``sigmoid`` of it is the softmax probability.
    """
    if raw.shape[1] == 1:
        return torch.cat([-raw, raw], dim=1)
    log_prob = torch.log_softmax(raw, dim=1)
    columns = range(raw.shape[1])
    rest = [
        torch.logsumexp(log_prob[:, [other for other in columns if other != column]], dim=1)
        for column in columns
    ]
    return log_prob - torch.stack(rest, dim=1)
