"""Take over the weights of a trained network, gene by gene and cell line by cell line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

# Tensors with one row a gene, and with one row a cell line.
_BY_GENE: Final = frozenset(
    {
        "x_mean",
        "x_sd",
        "delta_mean",
        "delta_sd",
        "genes.identity",
        "genes.gene_vectors",
        "net.position",
    }
)
_BY_CELL: Final = frozenset({"cell_head.weight", "cell_head.bias"})
# What is known of the drugs belongs to the data, not to what was learned.
_OF_THE_DATA: Final = "drugs."


@torch.no_grad()
def take_over(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    genes: tuple[Sequence[str], Sequence[str]],
    cells: tuple[Sequence[str], Sequence[str]],
) -> pd.DataFrame:
    """Copy what fits and return what did not: one row a tensor that is, in part, as it was.

    Parameters
    ----------
    module
        Network to change.
    state
        Weights of the other one.
    genes, cells
        Names in the order of ``module`` and in that of ``state``.

    Returns
    -------
    Indexed by tensor: ``shape`` as text, and ``kept``, the share of it that was not taken over.
    """
    rows = {"gene": _matched(*genes), "cell": _matched(*cells)}
    left = []
    for name, own in module.state_dict().items():
        if name.startswith(_OF_THE_DATA) or not own.numel():
            continue
        other = state.get(name)
        kind = "gene" if name in _BY_GENE else "cell" if name in _BY_CELL else None
        if other is None or other.shape[1:] != own.shape[1:]:
            share = 1.0
        elif kind is not None:
            here, there = rows[kind]
            own[here] = other[there].to(own)
            share = 1 - len(here) / max(1, len(own))
        elif other.shape == own.shape:
            own.copy_(other)
            share = 0.0
        else:
            share = 1.0
        if share > 0:
            left.append((name, str(tuple(own.shape)), share))
    table = pd.DataFrame(left, columns=["tensor", "shape", "kept"])
    return table.set_index("tensor")


def _matched(own: Sequence[str], other: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return positions in ``own`` and ``other`` of the names that both have."""
    there = torch.from_numpy(pd.Index(other).get_indexer(pd.Index(own)).astype("int64"))
    here = torch.nonzero(there >= 0).ravel()
    return here, there[here]
