"""Sums of gene values over (cell, program) bags, straight from a sparse batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SparseBagSum(torch.autograd.Function):
    """Sum ``weight[gene] * value`` over consecutive bags of nonzeros.

    Forward is :func:`torch.nn.functional.embedding_bag`. On a CPU its own backward takes about
    80 times as long as the forward pass; the gradient is one product of the transposed sparse
    matrix, so it is taken that way.
    """

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, values: Tensor, genes: Tensor, offsets: Tensor
    ) -> Tensor:
        """Return an array of shape (n_bags, n_columns of ``weight``)."""
        ctx.save_for_backward(values, genes, offsets)
        ctx.n_genes = weight.shape[0]
        return F.embedding_bag(
            genes,
            weight,
            offsets,
            mode="sum",
            per_sample_weights=values.to(weight.dtype),
            include_last_offset=True,
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the gradient of the weight: (bags x genes).T @ grad."""
        values, genes, offsets = ctx.saved_tensors
        if grad.device.type == "cpu":
            bags = sp.csr_matrix(
                (values.numpy(), genes.numpy(), offsets.numpy()),
                shape=(len(offsets) - 1, ctx.n_genes),
            )
            return torch.from_numpy(bags.T @ grad.float().numpy()), None, None, None
        bag = torch.repeat_interleave(
            torch.arange(len(offsets) - 1, device=grad.device), offsets.diff().long()
        )
        out = grad.new_zeros(ctx.n_genes, grad.shape[1])
        return out.index_add_(0, genes.long(), values[:, None] * grad[bag]), None, None, None


class ProgramTokens(nn.Module):
    r"""Turn each gene program into one token.

    A program :math:`k` is summarised by :math:`r` coordinates

    .. math:: c_{kr} = \frac{\sum_{g \in k} o_g w_{gr} (x_g - \mu_g)}
                            {\sum_{g \in k} o_g w_{gr}^2 / \sum_{g \in k} w_{gr}^2}

    where :math:`o_g` is 1 for observed genes. The weights start at the leading principal
    components of the program, scaled to unit variance. Each program lifts its coordinates to
    ``d_model`` with a matrix of its own and adds a learned identity.

    Parameters
    ----------
    programs
        Program of each gene, shape (n_genes,), sorted; ``n_programs`` marks genes in no program.
    weight
        Initial projection, shape (n_genes, n_components).
    mean
        Mean expression of each gene in the training cells, shape (n_genes,).
    n_programs
        Number of programs.
    d_model
        Width of a token.
    """

    programs: Tensor
    mean: Tensor

    def __init__(
        self, programs: Tensor, weight: Tensor, mean: Tensor, n_programs: int, d_model: int
    ) -> None:
        super().__init__()
        self.n_programs = n_programs
        self.weight = nn.Parameter(weight.clone())
        self.register_buffer("programs", programs.clone())
        self.register_buffer("mean", mean.clone())
        n_components = weight.shape[1]
        self.lift = nn.Parameter(
            torch.randn(n_programs, n_components, d_model) / n_components**0.5
        )
        self.identity = nn.Parameter(0.5 * torch.randn(n_programs, d_model))

    def _per_program(self, values: Tensor) -> Tensor:
        out = values.new_zeros(self.n_programs + 1, values.shape[1])
        return out.index_add(0, self.programs, values)[: self.n_programs]

    def coordinates(self, sums: Tensor, observed: Tensor | None) -> Tensor:
        """Centre bag sums of shape (n_cells, n_programs, r) and renormalise them."""
        if observed is None:
            return sums - self._per_program(self.weight * self.mean[:, None])
        seen = observed.to(self.weight.dtype)[:, None]
        centre = self._per_program(seen * self.weight * self.mean[:, None])
        energy = self.weight.detach().square()
        share = self._per_program(seen * energy) / self._per_program(energy).clamp_min(1e-12)
        return (sums - centre) / share.clamp_min(0.05)

    def embed(self, coordinates: Tensor) -> Tensor:
        """Lift coordinates (n_cells, n_programs, r) to tokens (n_cells, n_programs, d_model)."""
        return torch.einsum("nkr,krd->nkd", coordinates, self.lift) + self.identity

    def forward(self, sums: Tensor, observed: Tensor | None = None) -> Tensor:
        """Map bag sums (n_cells, n_programs, r) to tokens (n_cells, n_programs, d_model)."""
        return self.embed(self.coordinates(sums, observed))


def bag_offsets(indptr: np.ndarray, indices: np.ndarray, boundaries: np.ndarray) -> np.ndarray:
    """Find where each (cell, program) bag starts in a CSR batch with sorted columns.

    ``boundaries`` holds the first column of each program and the number of columns.
    Returns ``n_cells * n_programs + 1`` offsets into the nonzeros.
    """
    n_cells, n_columns = len(indptr) - 1, int(boundaries[-1])
    rows = np.repeat(np.arange(n_cells, dtype=np.int64), np.diff(indptr))
    keys = rows * n_columns + indices
    starts = (np.arange(n_cells, dtype=np.int64)[:, None] * n_columns + boundaries[:-1]).ravel()
    return np.append(np.searchsorted(keys, starts), len(indices))
