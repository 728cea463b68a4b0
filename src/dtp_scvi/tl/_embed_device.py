"""Run rows through a network in batches of like length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from dtp_scvi._validate import check_one_of, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Run(NamedTuple):
    """
    An embedding and what there is to record of it.

    Attributes
    ----------
    values
        float32, shape ``(n_obs, n_dims)``.
    options
        What a query has to agree in.
    about
        Other facts.
    """

    values: np.ndarray
    options: dict[str, Any]
    about: dict[str, Any]


def pick_device(accelerator: str) -> torch.device:
    """Return the torch device of an accelerator's name."""
    check_one_of(accelerator, ("auto", "cpu", "gpu", "mps"), "accelerator")
    there = {
        "gpu": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    names = {"gpu": "cuda", "mps": "mps", "cpu": "cpu"}
    if accelerator == "auto":
        return torch.device(names[next(name for name, present in there.items() if present)])
    if not there[accelerator]:
        todo = 'Pass accelerator="cpu".'
        raise ValueError(problem(f"the accelerator {accelerator!r}", "none", todo))
    return torch.device(names[accelerator])


def batches(lengths: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield row numbers, the longest rows first: like lengths together need little padding."""
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def run_network(
    network: torch.nn.Module,
    arrays: Callable[[np.ndarray], tuple[np.ndarray, ...]],
    lengths: np.ndarray,
    batch_size: int,
    out: np.ndarray,
    bar: Any,
    **options: Any,
) -> None:
    """Fill ``out``, a row each, with what ``network`` makes of the ``arrays`` of some rows."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        for rows in batches(lengths, batch_size):
            tensors = (torch.from_numpy(array).to(device) for array in arrays(rows))
            out[rows] = network(*tensors, **options).cpu().numpy()
            bar.update(len(rows))
