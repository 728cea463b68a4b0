"""What is known of each drug, stored once a drug and looked up by its code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class DrugSizes:
    """Shape of a drug table; a width of 0 leaves the part out.

    Attributes
    ----------
    n_drugs
        Number of drugs.
    n_tokens
        Tokens (atoms, or words of a text) of the longest drug.
    token_features
        Width of a token.
    vector_features
        Width of the vector of the whole molecule, such as a fingerprint.
    graph_features
        Width of the vector from a knowledge graph.
    """

    n_drugs: int
    n_tokens: int = 0
    token_features: int = 0
    vector_features: int = 0
    graph_features: int = 0


class Drugs(NamedTuple):
    """The drugs of a batch."""

    tokens: Tensor
    """(n_rows, n_tokens, token_features)."""
    mask: Tensor
    """True where a token is real, bool, (n_rows, n_tokens)."""
    vector: Tensor
    """(n_rows, vector_features)."""
    graph: Tensor
    """(n_rows, graph_features)."""
    in_graph: Tensor
    """True where the graph holds the drug, bool, (n_rows,)."""


class DrugBuffers(nn.Module):
    """Buffers of drug features: they are saved and moved with the weights, and never learned.

    Parameters
    ----------
    sizes
        Shape of the table, which starts empty.
    """

    tokens: Tensor
    mask: Tensor
    vector: Tensor
    graph: Tensor
    in_graph: Tensor

    def __init__(self, sizes: DrugSizes) -> None:
        super().__init__()
        n, n_tokens = sizes.n_drugs, sizes.n_tokens
        self.register_buffer("tokens", torch.zeros(n, n_tokens, sizes.token_features))
        self.register_buffer("mask", torch.zeros(n, n_tokens, dtype=torch.bool))
        self.register_buffer("vector", torch.zeros(n, sizes.vector_features))
        self.register_buffer("graph", torch.zeros(n, sizes.graph_features))
        self.register_buffer("in_graph", torch.zeros(n, dtype=torch.bool))

    @property
    def sizes(self) -> DrugSizes:
        """Shape of the table."""
        n_drugs, n_tokens, width = self.tokens.shape
        return DrugSizes(n_drugs, n_tokens, width, self.vector.shape[1], self.graph.shape[1])

    @torch.no_grad()
    def fill(self, **parts: Tensor) -> None:
        """Copy arrays into the table.

        Parameters
        ----------
        **parts
            Any of ``tokens``, ``mask``, ``vector``, ``graph`` and ``in_graph``, each with the
            shape that the table was made with.
        """
        for name, value in parts.items():
            getattr(self, name).copy_(value)

    @torch.no_grad()
    def extended(self, **parts: Tensor) -> DrugBuffers:
        """Return a table with further drugs behind those of this one.

        Parameters
        ----------
        **parts
            ``tokens``, ``mask``, ``vector``, ``graph`` and ``in_graph`` of the further drugs.
        """
        table = DrugBuffers(replace(self.sizes, n_drugs=0))
        for name, value in parts.items():
            own = getattr(self, name)
            setattr(table, name, torch.cat([own, value.to(own)]))
        return table

    def lookup(self, codes: Tensor) -> Drugs:
        """Return the drugs of a batch, without tokens that none of them has.

        Parameters
        ----------
        codes
            Position of each row's drug in the table, int64, (n_rows,).
        """
        mask, tokens = self.mask[codes], self.tokens[codes]
        # Elsewhere the length would have to be waited for.
        if codes.device.type == "cpu":
            longest = int(mask.any(dim=0).nonzero().max()) + 1 if mask.any() else 0
            mask, tokens = mask[:, :longest], tokens[:, :longest]
        return Drugs(tokens, mask, self.vector[codes], self.graph[codes], self.in_graph[codes])
